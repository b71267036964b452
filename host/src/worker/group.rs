//! A program's process group: the program and whatever it started that did not leave the group.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// A group that does not outlive this value: what is left of it is killed on drop, so a program
/// whose task is aborted is gone at once, with its children.
#[derive(Debug)]
pub(super) struct Group(Pid);

impl Group {
    /// The group that `child`, not waited for yet, was started as the leader of.
    pub(super) fn led_by(child: &Child) -> Option<Self> {
        child.id().and_then(|id| i32::try_from(id).ok()).map(|id| Self(Pid::from_raw(id)))
    }

    /// Asks every process of the group to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends every process of the group.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        // The one failure there is, is that nobody is left.
        let _ = killpg(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

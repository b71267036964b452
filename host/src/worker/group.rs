//! A program's process group: the program and whatever it started that did not leave the group.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// A group that does not outlive this value: what is left of it is killed on drop, so a program
/// whose task is aborted is gone at once, with its children.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    /// Whether a keeper leads it, which sees to the end of all.
    is_kept: bool,
}

impl Group {
    /// The group that `child`, not waited for yet, was started as the leader of.
    pub(super) fn led_by(child: &Child, is_kept: bool) -> Option<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok())?;
        Some(Self { leader: Pid::from_raw(id), is_kept })
    }

    /// The leader's number.
    pub(super) fn id(&self) -> i32 {
        self.leader.as_raw()
    }

    /// Asks every process of the group to end. Its leader has not been waited for.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends every process of the group. Its leader has not been waited for.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        // A keeper that is just beginning leads no group yet.
        if killpg(self.leader, signal) == Err(Errno::ESRCH) && self.is_kept {
            let _ = kill(self.leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A keeper must live to end what has left the group, and does so without being told.
        let last = if self.is_kept { Signal::SIGCONT } else { Signal::SIGKILL };
        // The one failure there is, is that nobody is left.
        let _ = killpg(self.leader, last);
    }
}

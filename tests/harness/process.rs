//! The built program, as a process.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// How many of the last lines it wrote a failing test shows.
const SHOWN_LINES: usize = 60;

/// The program with nothing of the test's environment but `PATH`.
pub(crate) fn hillock(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hillock"));
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The processes that were given this variable.
pub(crate) fn given(variable: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let given = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        given.split(|&byte| byte == 0).any(|one| one == variable.as_bytes())
    };
    pids.filter(has).collect()
}

/// A process that runs on beside the test, what it writes in a file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log: log.to_owned() }
    }

    /// The same, and what it writes goes there.
    pub(crate) fn with_log(mut command: Command, log: OwnedFd) -> Self {
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, log: PathBuf::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the process has not been waited for")
    }

    /// Whether this is its number, as long as it lives.
    pub(crate) fn is(&self, id: u32) -> bool {
        self.child.id() == Some(id)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ending = tokio::time::timeout(Duration::from_secs(60), self.child.wait());
        ending.await.expect("the process ends").unwrap()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        assert_eq!(self.ended().await.signal(), Some(9));
    }

    /// Asks it to stop, and says how it did.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has written so far.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.written();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!("--- {} ends with\n{}\n---", self.log.display(), lines[last..].join("\n"));
        }
    }
}

//! A program that runs: how it is begun, what becomes of it, and its end with all that it started.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::pipe2;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::environment::Variables;
use super::group::Group;
use super::keeper::{self, Report};

/// How long a keeper may take to end all that it keeps.
const END: Duration = Duration::from_secs(3);
/// The longest report of a keeper, in bytes.
const REPORT_BYTES_MAX: usize = 4096;

/// One program is begun at a time, so that none inherits what is meant for another.
static BEGINNING: Mutex<()> = Mutex::new(());

/// What is to be run.
pub(super) struct Plan<'p> {
    /// The argument list.
    pub(super) argv: &'p [OsString],
    /// The whole environment.
    pub(super) variables: Variables,
    /// The working folder.
    pub(super) dir: Option<&'p Path>,
    /// Who keeps it, where somebody can.
    pub(super) keeper: Option<&'p Path>,
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Body {
    /// The process that was begun: the keeper, or the program itself.
    pub(super) child: Child,
    /// Its group.
    pub(super) group: Group,
    keeping: Option<Keeping>,
}

/// A keeper, seen from its worker.
#[derive(Debug)]
struct Keeping {
    /// While this is open, what is kept goes on.
    lifeline: Option<OwnedFd>,
    report: Receiver,
    heard: Vec<u8>,
}

impl Body {
    /// Begins it.
    ///
    /// # Errors
    /// When the program, or its keeper, cannot be begun.
    pub(super) fn begin(plan: Plan<'_>) -> io::Result<Self> {
        let Some(keeper) = plan.keeper else {
            let (first, rest) = plan.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
            let mut command = Command::new(first);
            command.args(rest).process_group(0).kill_on_drop(true);
            return Self::spawn(command, plan, None);
        };
        let one_at_a_time = BEGINNING.lock().unwrap_or_else(PoisonError::into_inner);
        let (lifeline_there, lifeline) = pipe2(OFlag::O_CLOEXEC)?;
        let (report, report_there) = pipe2(OFlag::O_CLOEXEC)?;
        let mut command = Command::new(keeper);
        command.arg0("hillock").arg(keeper::WORD);
        for inherited in [&lifeline_there, &report_there] {
            fcntl(inherited, FcntlArg::F_SETFD(FdFlag::empty()))?;
            command.arg(inherited.as_raw_fd().to_string());
        }
        command.args(plan.argv);
        let report = Receiver::from_file(File::from(report))?;
        let keeping = Keeping { lifeline: Some(lifeline), report, heard: Vec::new() };
        let begun = Self::spawn(command, plan, Some(keeping));
        drop((lifeline_there, report_there, one_at_a_time));
        begun
    }

    fn spawn(mut command: Command, plan: Plan<'_>, keeping: Option<Keeping>) -> io::Result<Self> {
        command.env_clear().envs(plan.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = plan.dir {
            command.current_dir(dir);
        }
        let child = command.spawn()?;
        let group = Group::led_by(&child, keeping.is_some());
        let group = group.ok_or_else(|| io::Error::other("the program has no process id"))?;
        Ok(Self { child, group, keeping })
    }

    /// Waits until the program itself has ended. What it started may go on.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(super) async fn exited(&mut self) -> io::Result<Report> {
        if let Some(keeping) = &mut self.keeping
            && let Some(report) = keeping.heard().await
        {
            return Ok(report);
        }
        let status = self.child.wait().await?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Report::Exited(code),
            (None, signal) => Report::Killed(signal.unwrap_or_default()),
        })
    }

    /// Kills the program and all that it started, and waits until they are gone.
    pub(super) async fn end(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.lifeline = None;
            if timeout(END, self.child.wait()).await.is_ok() {
                return;
            }
        }
        if self.child.id().is_some() {
            self.group.kill();
            let _ = self.child.wait().await;
        }
    }
}

impl Keeping {
    /// What the keeper reports; nothing when it ends without.
    async fn heard(&mut self) -> Option<Report> {
        while !self.heard.contains(&b'\n') && self.heard.len() < REPORT_BYTES_MAX {
            match self.report.read_buf(&mut self.heard).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        Report::read(&String::from_utf8_lossy(&self.heard))
    }
}

/// Looks for a program as the kernel would for one that is begun in `dir`. Whoever begins another
/// program for it, which then does not find it, has to tell beforehand.
///
/// # Errors
/// When it is not there.
pub(super) fn look_for(
    name: &str,
    dir: Option<&Path>,
    path: Option<&OsString>,
) -> io::Result<PathBuf> {
    let here = dir.unwrap_or(Path::new("."));
    if name.contains('/') {
        let file = here.join(name);
        return file.metadata().map(|_| file);
    }
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let mut files =
        folders.unwrap_or_default().into_iter().map(|folder| here.join(folder).join(name));
    files.find(|file| file.is_file()).ok_or_else(|| Errno::ENOENT.into())
}

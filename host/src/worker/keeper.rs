//! The keeper of one program: this same program, begun beside it, which sees to it that nothing of it
//! is left when it has ended or when its worker is gone, however that went.
//!
//! ```text
//! worker ─── lifeline ──► keeper ──► the program ──► whatever that starts
//!        ◄── report ─────    │            in a session of their own, without a terminal
//!                            └─ adopts whoever loses its parent
//! ```
//! The lifeline is a pipe of which the worker alone has the other end: it closes when the worker lets
//! go of it, and when the worker is killed. Then all that the keeper has begun or adopted is killed,
//! those too that left the program's group or session. A signal at the parent's death would not do: it
//! comes when the *thread* that started the program ends, and a worker's threads come and go.
//!
//! It has one thread, no configuration and no secret, and passes nothing on but the three standard
//! streams.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setsid};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::processes;

/// The first argument of a program that is to be a keeper.
pub(super) const WORD: &str = "keep-a-program";
/// What goes wrong in a keeper itself ends it with this.
const FAILED: u8 = 125;
/// How often what is left is killed, and how long between.
const ROUNDS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// How a program began, or ended, as the keeper reports it on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It could not begin.
    Unable(String),
    /// It ended by itself, with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
}

impl Report {
    fn line(&self) -> String {
        match self {
            Self::Unable(why) => format!("unable {}\n", why.replace('\n', " ")),
            Self::Exited(code) => format!("exited {code}\n"),
            Self::Killed(signal) => format!("killed {signal}\n"),
        }
    }

    /// What a keeper wrote; nothing when it was killed itself.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (word, rest) = text.strip_suffix('\n')?.split_once(' ')?;
        match word {
            "unable" => Some(Self::Unable(rest.to_owned())),
            "exited" => rest.parse().ok().map(Self::Exited),
            "killed" => rest.parse().ok().map(Self::Killed),
            _ => None,
        }
    }
}

/// Whether this program keeps others when it is asked to: whoever embeds the library in another one
/// does not.
static IS_ASKED: AtomicBool = AtomicBool::new(false);
/// Where Linux says what runs in this process, also when its file has been replaced since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The program that keeps others, which is this one if it has looked whether it is [`asked`].
pub(super) fn program() -> Option<PathBuf> {
    IS_ASKED.load(Ordering::Relaxed).then(|| PathBuf::from(THIS_PROGRAM))
}

/// Keeps a program, if that is what this process was begun for: `WORD LIFELINE REPORT PROGRAM …`,
/// where the first two are numbers of open files.
pub fn asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|word| word != WORD) {
        IS_ASKED.store(true, Ordering::Relaxed);
        return None;
    }
    let arguments: Vec<OsString> = arguments.collect();
    Some(match keep(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: a program could not be kept: {error}");
            ExitCode::from(FAILED)
        }
    })
}

fn keep(arguments: &[OsString]) -> io::Result<()> {
    let [lifeline, report, command @ ..] = arguments else {
        return Err(io::Error::other("the arguments are a worker's to give"));
    };
    // A group that the worker can kill, and no terminal that a program could type into.
    setsid()?;
    prctl::set_child_subreaper(true)?;
    prctl::set_name(c"hillock-keeper")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let lifeline = OpenOptions::new().open_receiver(open_file(lifeline))?;
        let report = File::options().write(true).open(open_file(report))?;
        close_the_rest()?;
        prctl::set_dumpable(false)?;
        watch(lifeline, report, command).await
    })
}

fn open_file(number: &OsStr) -> PathBuf {
    PathBuf::from("/proc/self/fd").join(number)
}

/// Closes what was inherited beside the standard streams. What this process opened itself closes by
/// itself when another program begins.
fn close_the_rest() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &i32| *number > 2).collect::<Vec<_>>() {
        if is_inherited(number) {
            let _ = nix::unistd::close(number);
        }
    }
    Ok(())
}

/// Whether an open file would be inherited by the next program, as this one has inherited it.
fn is_inherited(number: i32) -> bool {
    const CLOSES_BY_ITSELF: u64 = 0o2_000_000;
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSES_BY_ITSELF == 0)
}

async fn watch(mut lifeline: Receiver, mut report: File, command: &[OsString]) -> io::Result<()> {
    // Heard and left to the program, which hears them too.
    let _asked_to_end = signal(SignalKind::terminate())?;
    let _hung_up = signal(SignalKind::hangup())?;
    let mut changed = signal(SignalKind::child())?;
    let program = match begin(command) {
        Ok(program) => program,
        Err(error) => return report.write_all(Report::Unable(error.to_string()).line().as_bytes()),
    };
    let mut byte = [0];
    loop {
        if !reap(program, &mut report)? {
            return Ok(());
        }
        tokio::select! {
            _ = changed.recv() => {}
            _ = lifeline.read(&mut byte) => break,
        }
    }
    end_all(program, &mut report).await
}

/// Starts the program, and lets go of its streams.
fn begin(command: &[OsString]) -> io::Result<Pid> {
    let (first, rest) = command.split_first().ok_or_else(|| io::Error::other("no program"))?;
    let program = Command::new(first).args(rest).spawn()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    Ok(Pid::from_raw(program.id().try_into().map_err(io::Error::other)?))
}

/// Takes note of whoever has ended; says whether somebody is left.
fn reap(program: Pid, report: &mut File) -> io::Result<bool> {
    loop {
        let ended = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return Ok(true),
            Ok(WaitStatus::Exited(pid, code)) => (pid, Report::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Report::Killed(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if ended.0 == program {
            // A worker that is gone does not read it.
            let _ = report.write_all(ended.1.line().as_bytes());
        }
    }
}

/// Kills all that is left. Whoever loses its parent by that is ours in the next round.
async fn end_all(program: Pid, report: &mut File) -> io::Result<()> {
    for _ in 0..ROUNDS {
        for child in processes::children_of(getpid()) {
            let _ = kill(child, Signal::SIGKILL);
        }
        if !reap(program, report)? {
            break;
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_is_read_back() {
        for report in [
            Report::Unable("No such file or directory (os error 2)".to_owned()),
            Report::Exited(3),
            Report::Killed(9),
        ] {
            assert_eq!(Report::read(&report.line()), Some(report));
        }
        for text in ["", "exited", "exited 3", "exited x\n", "else 3\n"] {
            assert_eq!(Report::read(text), None, "{text}");
        }
    }
}

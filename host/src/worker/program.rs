//! Runs one program for one command: starts it, feeds it the prompt, passes on what it writes, and
//! ends it when it is asked to or takes too long. It knows neither the host nor other commands.
//!
//! ```text
//! started ──► exits by itself ──────────────────────────┐
//!    │                                                  ▼
//!    └─ asked to end, or too late ─► SIGTERM ─► grace ─► pipes closed, or 2 s ─► SIGKILL to what
//!                                              SIGKILL                           is left ─► ended
//! ```
//! The program leads a process group of its own, and signals go to the whole group. A process that
//! left the group (`setsid`) is out of reach; that it still holds the pipes does not hold up the end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::environment;
use super::group::Group;
use super::lines::Splitter;
use super::outlet::{News, Outlet};
use super::wait::Wait;
use crate::config::Program;
use crate::dispatch::protocol::{Held, Served};
use crate::model::id::RunId;
use crate::model::run::{Ending, Stream};

/// How much is read from a pipe at once. What one read can weigh stays within the outlet's budget.
const READ_BYTES: usize = 16 * 1024;
/// How long the pipes may stay open after the program's exit.
const LINGER: Duration = Duration::from_secs(2);
/// How long the reads of what a pipe already holds may take together.
const LAST_READS: Duration = Duration::from_millis(100);
/// The most that a pipe can already hold, in bytes (`fs.pipe-max-size` of Linux).
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// What the host asked for.
pub(super) struct Order {
    /// The command.
    pub(super) held: Held,
    /// Its run.
    pub(super) run_id: RunId,
    /// The agent to run it as.
    pub(super) agent: Served,
    /// Which attempt this is, counted from 1.
    pub(super) attempt: u32,
    /// What the agent is asked.
    pub(super) prompt: String,
}

/// What is wanted of a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// That it does its work.
    GoOn,
    /// That it ends, and is killed when it has not after this time. Said again, the earlier end holds.
    EndWithin(Duration),
}

/// How long a program may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To do its work.
    pub(super) timeout: Duration,
    /// To end by itself when its time is up.
    pub(super) grace: Duration,
}

/// Runs `program` to its end. Its lines have all gone through `outlet` then.
pub(super) async fn run(
    program: &Program,
    order: &Order,
    patience: Patience,
    wish: watch::Receiver<Wish>,
    outlet: &Outlet,
) -> Ending {
    let mut child = match start(program, order) {
        Ok(child) => child,
        Err(error) => return Ending::failed(error),
    };
    let Some(group) = Group::led_by(&child) else {
        return Ending::failed("the program has no process id");
    };
    outlet.tell(News::Started).await;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let last_call = CancellationToken::new();
    let closed = CancellationToken::new();
    let life = async {
        let ending = supervise(&mut child, &group, patience, wish).await;
        let _ = timeout(LINGER, closed.cancelled()).await;
        drop(group);
        last_call.cancel();
        ending
    };
    let wait = Wait::default();
    let output = async {
        tokio::join!(
            pass_on(stdout, Stream::Stdout, outlet, &last_call, &wait),
            pass_on(stderr, Stream::Stderr, outlet, &last_call, &wait),
        );
        closed.cancel();
    };
    let input = last_call.run_until_cancelled(feed(stdin, &order.prompt));
    let (ending, (), _) = tokio::join!(life, output, input);
    wait.upon(ending)
}

fn start(program: &Program, order: &Order) -> Result<Child, String> {
    let (name, arguments) =
        program.command.split_first().ok_or_else(|| "the agent has no program".to_owned())?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(environment::of(order, &program.env));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(dir) = &program.dir {
        command.current_dir(dir);
    }
    command.spawn().map_err(|error| match &program.dir {
        Some(dir) => format!("cannot start `{name}` in {}: {error}", dir.display()),
        None => format!("cannot start `{name}`: {error}"),
    })
}

async fn supervise(
    child: &mut Child,
    group: &Group,
    patience: Patience,
    mut wish: watch::Receiver<Wish>,
) -> Ending {
    let Patience { timeout, grace } = patience;
    let (grace, ending) = tokio::select! {
        biased;
        exited = child.wait() => return ending(exited),
        grace = asked_to_end(&mut wish) => (grace, Ending::Canceled),
        () = sleep(timeout) => (grace, Ending::failed(format!("timed out after {timeout:?}"))),
    };
    group.terminate();
    tokio::select! {
        biased;
        _ = child.wait() => {}
        () = grace_over(grace, &mut wish) => {
            group.kill();
            let _ = child.wait().await;
        }
    }
    ending
}

async fn asked_to_end(wish: &mut watch::Receiver<Wish>) -> Duration {
    loop {
        if let Wish::EndWithin(grace) = *wish.borrow_and_update() {
            return grace;
        }
        if wish.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

async fn grace_over(grace: Duration, wish: &mut watch::Receiver<Wish>) {
    let mut deadline = Instant::now() + grace;
    loop {
        tokio::select! {
            () = sleep_until(deadline) => return,
            Ok(()) = wish.changed() => {
                if let Wish::EndWithin(grace) = *wish.borrow_and_update() {
                    deadline = deadline.min(Instant::now() + grace);
                }
            }
        }
    }
}

fn ending(exited: std::io::Result<ExitStatus>) -> Ending {
    let error = match exited {
        Ok(status) if status.success() => return Ending::Completed,
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => format!("killed by signal {number} ({signal})"),
                Err(_) => format!("killed by signal {number}"),
            },
            (None, None) => status.to_string(),
        },
        Err(error) => format!("cannot tell how the program ended: {error}"),
    };
    Ending::failed(error)
}

/// Writes the prompt and closes the pipe. A program may read none of it.
async fn feed(stdin: Option<ChildStdin>, prompt: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(prompt.as_bytes()).await;
    }
}

/// Passes a stream's lines on until its end, or after the last call, until it is empty.
async fn pass_on(
    pipe: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    outlet: &Outlet,
    last_call: &CancellationToken,
    wait: &Wait,
) {
    let Some(mut pipe) = pipe else { return };
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut rest = Rest { bytes: PIPE_BYTES_MAX, wait: LAST_READS };
    while let Some(read) = read(&mut pipe, &mut buffer, last_call, &mut rest).await {
        let lines = splitter.push(&buffer[..read]);
        wait.look_for(stream, &lines);
        outlet.write(stream, lines).await;
    }
    let lines = splitter.finish();
    wait.look_for(stream, &lines);
    outlet.write(stream, lines).await;
}

/// How much was read; `None` at the end. After the last call, only what the pipe already holds.
async fn read(
    pipe: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    last_call: &CancellationToken,
    rest: &mut Rest,
) -> Option<usize> {
    let read = match last_call.run_until_cancelled(pipe.read(buffer)).await {
        Some(read) => read.ok()?,
        None => rest.take(pipe, buffer).await?,
    };
    (read > 0).then_some(read)
}

/// What may still be read when the program and its group are gone: the end of a pipe may never come,
/// because a process out of reach holds it, and writes.
struct Rest {
    bytes: usize,
    wait: Duration,
}

impl Rest {
    async fn take(
        &mut self,
        pipe: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
    ) -> Option<usize> {
        let begun = Instant::now();
        let read = timeout(self.wait, pipe.read(buffer)).await.ok()?.ok()?;
        self.wait = self.wait.saturating_sub(begun.elapsed());
        self.bytes = self.bytes.checked_sub(read)?;
        Some(read)
    }
}

#[cfg(test)]
mod tests;

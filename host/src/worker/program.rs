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

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::environment;
use super::group::Group;
use super::outlet::{News, Outlet};
use super::output::Listener;
use super::redaction::Redaction;
use super::stdin::Mouth;
use super::wait::Wait;
use crate::config::Program;
use crate::dispatch::protocol::{Held, Served};
use crate::model::id::{RunId, TaskId};
use crate::model::run::{Ending, Stream, Terms};

/// How long the pipes may stay open after the program's exit.
const LINGER: Duration = Duration::from_secs(2);
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
    /// The run's task, if it is one's.
    pub(super) task_id: Option<TaskId>,
    /// How it is to be carried out.
    pub(super) terms: Terms,
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

/// All that it takes to run a program for an order.
pub(super) struct Task {
    /// The program.
    pub(super) program: Program,
    /// Its argument list, within the bounds that the order's policy sets.
    pub(super) argv: Vec<OsString>,
    /// What the host asked for.
    pub(super) order: Order,
    /// How long it may take.
    pub(super) patience: Patience,
    /// How it is told.
    pub(super) mouth: Mouth,
}

/// Runs a program to its end. What it wrote has all gone through `outlet` then.
pub(super) async fn run(task: Task, wish: watch::Receiver<Wish>, outlet: &Outlet) -> Ending {
    let Task { program, argv, order, patience, mouth } = task;
    let mut child = match start(&program, &argv, &order) {
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
    let (wait, redaction) = (Wait::default(), Redaction::of(&program.env));
    let listener = Listener { outlet, redaction: &redaction, last_call: &last_call, wait: &wait };
    let output = async {
        tokio::join!(
            listener.pass_on(stdout, Stream::Stdout),
            listener.pass_on(stderr, Stream::Stderr)
        );
        closed.cancel();
    };
    let input = mouth.speak(stdin, &order.prompt, outlet, &last_call);
    let (ending, (), ()) = tokio::join!(life, output, input);
    wait.upon(ending)
}

fn start(program: &Program, argv: &[OsString], order: &Order) -> Result<Child, String> {
    let (first, arguments) =
        argv.split_first().ok_or_else(|| "the agent has no program".to_owned())?;
    let mut command = Command::new(first);
    command.args(arguments).env_clear().envs(environment::of(order, &program.env)?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(dir) = &program.dir {
        command.current_dir(dir);
    }
    let name = first.display();
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

#[cfg(test)]
mod tests;

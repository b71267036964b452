//! Runs one program for one command: starts it, feeds it the prompt, passes on what it writes, and
//! ends it when it is asked to or takes too long. It knows neither the host nor other commands.
//!
//! ```text
//! started ──► exits by itself ──────────────────────────┐
//!    │                                                  ▼
//!    └─ asked to end, or too late ─► SIGTERM ─► grace ─► pipes closed, or 2 s ─► SIGKILL to what
//!                                              SIGKILL                           is left ─► ended
//! ```
//! The program is in a process group of its own, and signals go to the whole group. A process that
//! left the group (`setsid`) hears none of them, and is killed with the others by the program's keeper
//! (`keeper.rs`); that it still holds the pipes does not hold up the end.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::body::{Body, Plan, look_for};
use super::context::Context;
use super::environment;
use super::keeper::Report;
use super::output::Listener;
use super::register::Register;
use super::reporter::{ProgramEvent, ProgramReporter};
use super::stdin::StdinMode;
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
    /// How often the attempt has been handed out, this time included; 0 when nobody counts.
    pub(super) dispatch: u32,
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
pub(super) struct ProgramTimeouts {
    /// To do its work.
    pub(super) timeout: Duration,
    /// To end by itself when its time is up.
    pub(super) grace: Duration,
}

/// All that it takes to run a program for an order.
pub(super) struct Task {
    /// The program.
    pub(super) program: Program,
    /// Its argument list, within the bounds that are set to it.
    pub(super) argv: Vec<OsString>,
    /// Whether these are bubblewrap's.
    pub(super) is_apart: bool,
    /// Where it works, unless that is where the worker does.
    pub(super) dir: Option<PathBuf>,
    /// What comes with the run, in files.
    pub(super) context: Context,
    /// What its environment says otherwise than the worker's.
    pub(super) instead: environment::Variables,
    /// Who keeps it, where somebody can.
    pub(super) keeper: Option<PathBuf>,
    /// Where it is noted as long as it runs.
    pub(super) register: Arc<Register>,
    /// What the host asked for.
    pub(super) order: Order,
    /// How long it may take.
    pub(super) patience: ProgramTimeouts,
    /// How it is told.
    pub(super) mouth: StdinMode,
}

/// Runs a program to its end. What it wrote has all gone through `reporter` then.
pub(super) async fn run(
    task: Task,
    wish: watch::Receiver<Wish>,
    reporter: &ProgramReporter,
) -> Ending {
    let redaction = match environment::redaction(&task.program.env) {
        Ok(redaction) => redaction,
        Err(error) => return Ending::failed(error),
    };
    let mut body = match start(&task) {
        Ok(body) => body,
        Err(error) => return Ending::failed(redaction.text(error)),
    };
    // The context stays until the end.
    let Task { program, is_apart, order, patience, mouth, register, context: _context, .. } = task;
    let _noted = register.note(body.group.id(), &order.held.command_id, order.dispatch);
    reporter.tell(ProgramEvent::Started).await;
    let child = &mut body.child;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let last_call = CancellationToken::new();
    let closed = CancellationToken::new();
    let life = async {
        let ending = supervise(&mut body, patience, wish).await;
        let _ = timeout(LINGER, closed.cancelled()).await;
        body.end().await;
        drop(body);
        last_call.cancel();
        ending.unwrap_or_else(|report| ended(report, is_apart, &program))
    };
    let wait = Wait::default();
    let listener = Listener { reporter, redaction: &redaction, last_call: &last_call, wait: &wait };
    let output = async {
        tokio::join!(
            listener.pass_on(stdout, Stream::Stdout),
            listener.pass_on(stderr, Stream::Stderr)
        );
        closed.cancel();
    };
    let input = mouth.speak(stdin, &order.prompt, reporter, &last_call);
    let (ending, (), ()) = tokio::join!(life, output, input);
    wait.upon(ending)
}

fn start(task: &Task) -> Result<Body, String> {
    let Task { program, argv, order, keeper, .. } = task;
    let name = program.command.first().ok_or_else(|| "the agent has no program".to_owned())?;
    let mut variables = environment::of(order, &program.env, task.context.path());
    environment::replace(&mut variables, &task.instead);
    let dir = task.dir.as_deref();
    let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
    let begun = look_for(name, dir, path.as_ref())
        .and_then(|_| Body::begin(Plan { argv, variables, dir, keeper: keeper.as_deref() }));
    begun.map_err(|error| unable(program, &error.to_string()))
}

fn unable(program: &Program, why: &str) -> String {
    let name = program.command.first().map(String::as_str).unwrap_or_default();
    match &program.dir {
        Some(dir) => format!("cannot start `{name}` in {}: {why}", dir.display()),
        None => format!("cannot start `{name}`: {why}"),
    }
}

/// How a program ended by itself; else how its end was brought about.
async fn supervise(
    body: &mut Body,
    patience: ProgramTimeouts,
    mut wish: watch::Receiver<Wish>,
) -> Result<Ending, io::Result<Report>> {
    let ProgramTimeouts { timeout, grace } = patience;
    let (grace, ending) = tokio::select! {
        biased;
        exited = body.exited() => return Err(exited),
        grace = asked_to_end(&mut wish) => (grace, Ending::Canceled),
        () = sleep(timeout) => (grace, Ending::failed(format!("timed out after {timeout:?}"))),
    };
    body.group.terminate();
    tokio::select! {
        biased;
        _ = body.exited() => {}
        () = grace_over(grace, &mut wish) => body.end().await,
    }
    Ok(ending)
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

/// What a program that ended by itself is said to have come to.
fn ended(exited: io::Result<Report>, is_apart: bool, program: &Program) -> Ending {
    let error = match exited.map(|report| if is_apart { unwrapped(report) } else { report }) {
        Ok(Report::Exited(0)) => return Ending::Completed,
        Ok(Report::Exited(code)) => format!("exit status {code}"),
        Ok(Report::Killed(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by signal {number} ({signal})"),
            Err(_) => format!("killed by signal {number}"),
        },
        Ok(Report::Unable(why)) => unable(program, &why),
        Err(error) => format!("cannot tell how the program ended: {error}"),
    };
    Ending::failed(error)
}

/// bubblewrap says of a signal what shells say: 128 and its number.
fn unwrapped(report: Report) -> Report {
    match report {
        Report::Exited(code) if Signal::try_from(code - 128).is_ok() => Report::Killed(code - 128),
        report => report,
    }
}

#[cfg(test)]
mod tests;

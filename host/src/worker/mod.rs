//! A worker: takes commands from a host, runs the programs of their agents, and reports.
//!
//! ```text
//!             ┌─ link ── connection ──┐                 keeps one WebSocket to the host
//! run ── desk ┼─ ledger ── backlog    │                 what is owed to the host
//!             └─ hands ── program ┬─ isolation ── confinement  one task per program, within its bounds
//!                                 ├─ body ── keeper            the processes of it
//!                                 ├─ context                   what comes with the run, in files
//!                                 ├─ stdin                     what it is told
//!                                 └─ output ── reporter        what it writes, bounded
//! ```
//! One loop owns all state. It never waits for the socket or for a program: words leave when there
//! is room for them, and a program whose lines are not answered is held up by its own budget.
//! Programs go on while the host is away; what the host has not answered is said again.
//!
//! It does not decide what is worth running, keeps nothing on disk but who it is and which programs
//! run, and takes no program but those that the worker's own configuration names. A program runs
//! within the bounds that the run's policy sets, or not at all; and programs are taken for hostile:
//! they are kept from the host, the worker and one another as far as the machine allows it.

mod account;
mod backlog;
mod backoff;
mod body;
mod confinement;
mod connection;
mod context;
pub mod credential;
mod desk;
mod drain;
mod environment;
mod event;
pub mod exposure;
mod group;
mod hands;
pub mod identity;
mod isolation;
pub mod keeper;
mod ledger;
mod lines;
mod link;
mod means;
mod output;
mod output_event;
mod processes;
mod program;
mod register;
mod reporter;
mod sight;
mod stdin;
#[cfg(test)]
mod tests;
mod wait;

use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Private};
use crate::dispatch::protocol::{ToHost, VERSION};
use crate::model::id::WorkerId;
use crate::model::policy::Enforces;
use crate::model::time::Time;
use connection::Address;
use desk::Desk;
use event::Event;
use isolation::Isolation;
pub use ledger::Owed;
use means::Means;
use register::Register;

/// How many events of the link, and how many reports of programs, may wait.
const WAITING: usize = 16;

/// What a worker needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The host's base URL, `http://…` or `https://…`.
    pub host: String,
    /// The worker's credential, or an API key that may connect workers.
    pub key: String,
    /// Who this worker is; see [`identity::claim`].
    pub id: WorkerId,
    /// What it runs.
    pub worker: config::Worker,
    /// What it runs instead from some time on; none when that does not change.
    pub changes: Option<watch::Receiver<Option<config::Worker>>>,
    /// Where it keeps what it must know after it was killed.
    pub data_dir: PathBuf,
    /// What is not for the programs that it runs.
    pub private: PrivateNow,
    /// What time it is.
    pub now: fn() -> Time,
    /// Canceled when the worker shall drain and end.
    pub stop: CancellationToken,
}

/// What is not for programs, at this moment.
pub type PrivateNow = Arc<dyn Fn() -> Private + Send + Sync>;

/// Why a worker cannot work. What may pass, such as a host that is away, is not among this.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The host's URL is not one.
    #[error("`{host}` is not the URL of a host, such as https://hillock.example")]
    InvalidHost {
        /// The URL.
        host: String,
    },
    /// The API key cannot be sent.
    #[error("the API key holds characters that no key has: check it for line ends and quotes")]
    InvalidKey,
    /// Programs cannot run as the user that is configured.
    #[error("worker.user: {0}")]
    User(String),
    /// Programs are to be kept apart, and cannot be.
    #[error(
        "worker.isolation is \"required\", and bubblewrap (`bwrap`) does not work on this machine: \
         install it, and let it make namespaces"
    )]
    NotIsolated,
    /// The host does not accept the API key.
    #[error("the host {host} refused the API key ({status}): use an active key of role `worker`")]
    Unauthorized {
        /// The host's URL.
        host: String,
        /// The HTTP status that it answered.
        status: u16,
    },
    /// The worker was told to stop, and left with what the host has not acknowledged.
    #[error("left before the host {host} acknowledged what became of {owed}")]
    Undelivered {
        /// The host's URL.
        host: String,
        /// What was owed to it.
        owed: Owed,
    },
    /// The host speaks another version of the protocol.
    #[error(
        "the host speaks version {theirs} of the worker protocol and this worker {VERSION}: \
         update the older of the two"
    )]
    Version {
        /// The host's version.
        theirs: u32,
    },
}

/// The policies that a worker can enforce on this machine, found out by trying.
pub async fn enforced_here() -> Enforces {
    Means::find(crate::environment::var_os("PATH").as_deref()).await.enforces()
}

/// Works until `settings.stop` is canceled and what was in hand is finished or handed back.
/// Dropping the future kills the programs.
///
/// # Errors
/// When the host's URL or the key is unusable, or the host refuses the key or the version. Programs
/// that run then are killed; the host takes their commands back when the leases run out. When
/// something is still owed to the host at the end of the grace.
pub async fn run(settings: Settings) -> Result<(), WorkerError> {
    prepare(settings).await?.work().await
}

/// A worker that can begin.
pub struct Ready {
    settings: Settings,
    isolation: Isolation,
}

/// Ends what an earlier worker left, and finds out how programs are kept apart here.
///
/// # Errors
/// When that is not as it is configured.
pub async fn prepare(settings: Settings) -> Result<Ready, WorkerError> {
    let Settings { worker, data_dir, private, .. } = &settings;
    let means = Means::find(crate::environment::var_os("PATH").as_deref()).await;
    let register = Arc::new(Register::open(data_dir).await);
    let (private, keeper) = (Arc::clone(private), keeper::program());
    let is_hillock = keeper.is_some();
    let isolation = Isolation::new(worker, means, keeper, data_dir, private, register)?;
    warn_of_exposure(&settings, worker, &isolation);
    if is_hillock && !crate::environment::is_withdrawn() {
        tracing::warn!("programs that run as root can read this process's initial environment");
    }
    Ok(Ready { settings, isolation })
}

fn warn_of_exposure(settings: &Settings, worker: &config::Worker, isolation: &Isolation) {
    let Settings { data_dir, private, .. } = settings;
    for sentence in exposure::of(worker, isolation, data_dir, &private()) {
        tracing::warn!("{sentence}");
    }
}

impl Ready {
    /// Works; see [`run`].
    ///
    /// # Errors
    /// As [`run`].
    pub async fn work(self) -> Result<(), WorkerError> {
        let Self { settings, isolation } = self;
        work(settings, isolation).await
    }
}

async fn work(mut settings: Settings, isolation: Isolation) -> Result<(), WorkerError> {
    let mut changes = settings.changes.take();
    let address = Address::parse(&settings.host, &settings.key)?;
    let (sender, mut events) = mpsc::channel(WAITING);
    let mut link = pin!(link::keep(&settings.host, &address, sender, &settings.stop));
    let (sender, mut reports) = mpsc::channel(WAITING);
    let mut desk = Desk::new(&settings, isolation, sender);
    let mut line = None;
    loop {
        let now = Instant::now();
        desk.tick(now);
        if desk.is_done(now) {
            break;
        }
        let (outward, word_due, due) = (line.clone(), desk.word_due(now), desk.due());
        tokio::select! {
            ended = &mut link => return ended,
            Some(event) = events.recv() => match event {
                Event::Opened(sender) => {
                    line = Some(sender);
                    desk.opened();
                }
                Event::Heard(message) => desk.hear(message, Instant::now())?,
                Event::Lost => {
                    line = None;
                    desk.lost();
                }
            },
            Some(report) = reports.recv() => desk.note(report),
            held = desk.hands.crashed() => desk.crashed(&held),
            Some(room) = room(outward.as_ref(), word_due) => {
                if let Some(word) = desk.word(Instant::now()) {
                    room.send(word);
                }
            }
            worker = next(&mut changes) => change(&mut desk, &settings, worker),
            () = settings.stop.cancelled(), if !desk.is_draining() => desk.drain(Instant::now()),
            () = at(due) => {}
        }
    }
    // Without a line and a listener, the link says goodbye and ends.
    drop(events);
    let left = if line.take().is_some() { link.await } else { Ok(()) };
    let owed = desk.owed();
    if owed.is_empty() { left } else { Err(undelivered(&settings.host, owed)) }
}

/// What the worker is to run from now on; waits for ever when that does not change.
async fn next(changes: &mut Option<watch::Receiver<Option<config::Worker>>>) -> config::Worker {
    let Some(changes) = changes else { return pending().await };
    while changes.changed().await.is_ok() {
        if let Some(worker) = changes.borrow_and_update().clone() {
            return worker;
        }
    }
    pending().await
}

fn change(desk: &mut Desk, settings: &Settings, worker: config::Worker) {
    match desk.isolation_of(&worker) {
        Ok(isolation) => {
            config::programs::warn_of_missing(&worker.programs);
            warn_of_exposure(settings, &worker, &isolation);
            desk.become_another(worker, isolation);
        }
        Err(error) => tracing::error!(%error, "the worker goes on as it is configured until now"),
    }
}

fn undelivered(host: &str, owed: Owed) -> WorkerError {
    WorkerError::Undelivered { host: host.to_owned(), owed }
}

/// Room for a word that is due at `due`; never, when there is no line or no word.
async fn room(
    line: Option<&mpsc::Sender<ToHost>>,
    due: Option<Instant>,
) -> Option<mpsc::Permit<'_, ToHost>> {
    let line = line?;
    at(due).await;
    line.reserve().await.ok()
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) if instant <= Instant::now() => {}
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

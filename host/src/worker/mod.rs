//! A worker: takes commands from a host, runs the programs of their agents, and reports.
//!
//! ```text
//!             ┌─ link ── connection ──┐                 keeps one WebSocket to the host
//! run ── desk ┼─ ledger ── backlog    │                 what is owed to the host
//!             └─ hands ── program ┬─ cage ── means      one task per program, within its bounds
//!                                 ├─ stdin              what it is told
//!                                 └─ output ── outlet   what it writes, bounded
//! ```
//! One loop owns all state. It never waits for the socket or for a program: words leave when there
//! is room for them, and a program whose lines are not answered is held up by its own budget.
//! Programs go on while the host is away; what the host has not answered is said again.
//!
//! It does not decide what is worth running, keeps nothing on disk but who it is, and takes no program
//! but those that the worker's own configuration names. A program runs within the bounds that the
//! run's policy sets, or not at all.

mod backlog;
mod backoff;
mod cage;
mod connection;
pub mod credential;
mod desk;
mod drain;
mod environment;
mod event;
mod group;
mod hands;
pub mod identity;
mod ledger;
mod lines;
mod link;
mod means;
mod outlet;
mod output;
mod program;
mod redaction;
mod stdin;
#[cfg(test)]
mod tests;
mod told;
mod wait;

use std::future::pending;
use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::dispatch::protocol::{ToHost, VERSION};
use crate::model::id::WorkerId;
use crate::model::time::Time;
use connection::Address;
use desk::Desk;
use event::Event;
use means::Means;

/// How many events of the link, and how many reports of programs, may wait.
const WAITING: usize = 16;

/// What a worker needs to know.
pub struct Settings {
    /// The host's base URL, `http://…` or `https://…`.
    pub host: String,
    /// The worker's credential, or an API key that may connect workers.
    pub key: String,
    /// Who this worker is; see [`identity::claim`].
    pub id: WorkerId,
    /// What it runs.
    pub worker: config::Worker,
    /// What time it is.
    pub now: fn() -> Time,
    /// Canceled when the worker shall drain and end.
    pub stop: CancellationToken,
}

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
    /// The host does not accept the API key.
    #[error("the host {host} refused the API key ({status}): use an active key of role `worker`")]
    Unauthorized {
        /// The host's URL.
        host: String,
        /// The HTTP status that it answered.
        status: u16,
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

/// Works until `settings.stop` is canceled and what was in hand is finished or handed back.
/// Dropping the future kills the programs.
///
/// # Errors
/// When the host's URL or the key is unusable, or the host refuses the key or the version. Programs
/// that run then are killed; the host takes their commands back when the leases run out.
pub async fn run(settings: Settings) -> Result<(), WorkerError> {
    let address = Address::parse(&settings.host, &settings.key)?;
    let (sender, mut events) = mpsc::channel(WAITING);
    let mut link = pin!(link::keep(&settings.host, &address, sender));
    let (sender, mut reports) = mpsc::channel(WAITING);
    let means = Means::find(std::env::var_os("PATH").as_deref()).await;
    let mut desk = Desk::new(&settings, means, sender);
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
            () = settings.stop.cancelled(), if !desk.is_draining() => desk.drain(Instant::now()),
            () = at(due) => {}
        }
    }
    // Without a line and a listener, the link says goodbye and ends.
    drop(events);
    if line.take().is_some() { link.await } else { Ok(()) }
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

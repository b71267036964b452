//! Workers that poll: each has a keeper, which holds its place in the hub between one poll and the
//! next and treats what it says as if it had come from a socket.
//!
//! ```text
//!   poll   ───► keeper ── what it says ──► link
//!   answer ◄─── keeper ◄────────────────── outbox     at once, or when there is something
//! ```
//! A place has a key that only its worker was told. What was sent in an answer that got lost is not
//! sent again: its worker says hello, and the link puts right what it does not hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Link, LinkError};
use super::outbox::Outbox;
use super::protocol::{SILENCE_MAX, ToHost, ToWorker};
use crate::clock::Clock;
use crate::model::time::Time;
use crate::model::worker::Dismissal;

/// How many polls of one worker may wait for their turn.
const ASKED_MAX: usize = 4;

/// Why a poll gets no messages.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The host does not know the place: the worker is to say hello.
    #[error("the worker has no place here, or not any more: it says hello")]
    HelloNeeded,
    /// The place was given up because of this.
    #[error(transparent)]
    Link(LinkError),
}

/// The places of the workers that poll.
#[derive(Clone, Debug)]
pub struct Polls {
    keepers: Arc<Mutex<HashMap<String, mpsc::Sender<Asked>>>>,
    tasks: TaskTracker,
    clock: Clock,
    stop: CancellationToken,
}

/// A poll, on its way to the keeper of its place.
#[derive(Debug)]
struct Asked {
    messages: Vec<ToHost>,
    wait: Duration,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Vec<ToWorker>, LinkError>>;

impl Polls {
    /// No places yet; all are given up when `stop` is called, and `tasks` are done when all are.
    pub fn new(clock: Clock, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { keepers: Arc::default(), tasks, clock, stop }
    }

    /// Keeps a worker's connection, and says under which key.
    pub fn keep(&self, link: Link, outbox: Outbox) -> String {
        let key = hex::encode(self.clock.random::<16>());
        let (sender, asked) = mpsc::channel(ASKED_MAX);
        self.lock().insert(key.clone(), sender);
        let keeper = Keeper { link, outbox, asked, waiting: None, heard_at: self.clock.now() };
        let (polls, own) = (self.clone(), key.clone());
        self.tasks.spawn(async move { polls.attend(keeper, &own).await });
        key
    }

    /// Has what the worker says heard, and waits up to `wait` for something to say to it. An
    /// earlier poll that still waits is answered with nothing.
    ///
    /// # Errors
    /// When there is no such place, or the connection cannot go on.
    pub async fn poll(
        &self,
        key: &str,
        messages: Vec<ToHost>,
        wait: Duration,
    ) -> Result<Vec<ToWorker>, PollError> {
        let keeper = self.lock().get(key).cloned().ok_or(PollError::HelloNeeded)?;
        let (answer, answered) = oneshot::channel();
        let asked = Asked { messages, wait, answer };
        keeper.send(asked).await.map_err(|_| PollError::HelloNeeded)?;
        match answered.await {
            Ok(Ok(messages)) => Ok(messages),
            Err(_) | Ok(Err(LinkError::Dismissed(Dismissal::Replaced))) => {
                Err(PollError::HelloNeeded)
            }
            Ok(Err(error)) => Err(PollError::Link(error)),
        }
    }

    async fn attend(self, mut keeper: Keeper, key: &str) {
        let end = keeper.keep(self.clock, &self.stop).await;
        tracing::debug!(?end, "polling session closed");
        self.lock().remove(key);
        if let Some(Waiting { answer, .. }) = keeper.waiting.take()
            && let Some(last) = end.last_word()
        {
            let _ = answer.send(last);
        }
        keeper.link.close(keeper.outbox).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Asked>>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one place.
struct Keeper {
    link: Link,
    outbox: Outbox,
    asked: mpsc::Receiver<Asked>,
    waiting: Option<Waiting>,
    /// When the last poll was answered.
    heard_at: Time,
}

/// A poll that waits for something to be said.
struct Waiting {
    answer: Answer,
    until: Instant,
}

/// Why a place is given up.
#[derive(Debug)]
enum End {
    Replaced,
    Silent,
    Stopping,
    Link(LinkError),
}

impl End {
    /// What the poll hears that waits; none when it is to say hello.
    fn last_word(self) -> Option<Result<Vec<ToWorker>, LinkError>> {
        match self {
            Self::Replaced | Self::Silent => None,
            Self::Stopping => Some(Ok(Vec::new())),
            Self::Link(error) => Some(Err(error)),
        }
    }
}

/// What happens next at a place.
enum Turn {
    Asked(Asked),
    Say(ToWorker),
    /// The poll has waited for long enough.
    Nothing,
    /// Who polled has gone.
    Deserted,
    End(End),
}

impl Keeper {
    async fn keep(&mut self, clock: Clock, stop: &CancellationToken) -> End {
        loop {
            match self.turn(clock, stop).await {
                Turn::Asked(asked) => {
                    self.answer(Vec::new(), clock);
                    self.waiting =
                        Some(Waiting { answer: asked.answer, until: Instant::now() + asked.wait });
                    for message in asked.messages {
                        if let Err(error) = self.link.hear(message).await {
                            return End::Link(error);
                        }
                    }
                }
                Turn::Say(message) => {
                    let batch = self.outbox.batch(message);
                    self.answer(batch, clock);
                }
                Turn::Nothing => self.answer(Vec::new(), clock),
                Turn::Deserted => {
                    self.waiting = None;
                    self.heard_at = clock.now();
                }
                Turn::End(end) => return end,
            }
        }
    }

    async fn turn(&mut self, clock: Clock, stop: &CancellationToken) -> Turn {
        let Self { link, outbox, asked, waiting, heard_at } = self;
        let Some(Waiting { answer, until }) = waiting else {
            return tokio::select! {
                biased;
                () = stop.cancelled() => Turn::End(End::Stopping),
                why = link.dismissed() => Turn::End(End::Link(why.into())),
                Some(asked) = asked.recv() => Turn::Asked(asked),
                () = clock.sleep_until(*heard_at + SILENCE_MAX) => Turn::End(End::Silent),
            };
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Turn::End(End::Stopping),
            why = link.dismissed() => Turn::End(End::Link(why.into())),
            () = answer.closed() => Turn::Deserted,
            message = outbox.next() => message.map_or(Turn::End(End::Replaced), Turn::Say),
            Some(asked) = asked.recv() => Turn::Asked(asked),
            () = sleep_until(*until) => Turn::Nothing,
        }
    }

    /// Answers the poll that waits. What nobody receives waits for the next.
    fn answer(&mut self, batch: Vec<ToWorker>, clock: Clock) {
        let Some(Waiting { answer, .. }) = self.waiting.take() else { return };
        self.heard_at = clock.now();
        if let Err(Ok(batch)) = answer.send(Ok(batch)) {
            self.outbox.put_back(batch);
        }
    }
}

//! Where a worker decides: what the host says goes to the programs, what becomes of the programs
//! goes into the ledger, and the next word to the host comes out. No I/O, no waiting.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::drain::Drain;
use super::hands::Hands;
use super::isolation::Isolation;
use super::ledger::{End, Ledger, Owed, Standing};
use super::program::Order;
use super::reporter::{ProgramEvent, Report};
use super::stdin::{ENDED, Input};
use super::{Settings, WorkerError};
use crate::config::{Program, Worker};
use crate::dispatch::protocol::{Held, Served, ToHost, ToWorker, VERSION};
use crate::model::command::Control;
use crate::model::id::{CommandId, WorkerId};
use crate::model::routing::Offer;
use crate::model::run::Ending;
use crate::model::worker::Eligibility;

/// The shortest time between heartbeats, whatever the host asks for.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// A worker's state.
#[derive(Debug)]
pub(super) struct Desk {
    id: WorkerId,
    worker: Worker,
    isolation: Isolation,
    /// What the host has yet to hear of the worker.
    changed: Changed,
    /// The programs in progress.
    pub(super) hands: Hands,
    ledger: Ledger,
    /// What is said before anything of the ledger.
    errands: VecDeque<ToHost>,
    connected: bool,
    /// Since the host's welcome.
    heartbeat: Option<Heartbeat>,
    drain: Option<Drain>,
    released: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Changed {
    agents: bool,
    capacity: bool,
    offer: bool,
}

#[derive(Clone, Copy, Debug)]
struct Heartbeat {
    every: Duration,
    next: Instant,
}

impl Desk {
    /// A worker that holds nothing, whose programs report to `reports`.
    pub(super) fn new(
        settings: &Settings,
        isolation: Isolation,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self {
            id: settings.id.clone(),
            worker: settings.worker.clone(),
            isolation,
            changed: Changed::default(),
            hands: Hands::new(settings.worker.called(&settings.id), reports, settings.now),
            ledger: Ledger::default(),
            errands: VecDeque::new(),
            connected: false,
            heartbeat: None,
            drain: None,
            released: false,
        }
    }

    /// A connection is open: the first word is `hello`.
    pub(super) fn opened(&mut self) {
        self.connected = true;
        self.changed = Changed::default();
        self.errands = VecDeque::from([ToHost::Hello {
            version: VERSION,
            worker_id: self.id.clone(),
            name: self.worker.called(&self.id),
            agents: self.agents(),
            capacity: self.worker.capacity,
            offer: self.offer(),
            active: self.ledger.active(),
        }]);
    }

    fn agents(&self) -> Vec<Served> {
        let served = |program: &Program| Served {
            workspace_id: program.agent.scope.workspace_id().to_owned(),
            name: program.agent.name.clone(),
        };
        self.worker.programs.iter().map(served).collect()
    }

    fn offer(&self) -> Offer {
        let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        let enforces = self.isolation.means.enforces();
        Offer { platform: Some(platform), enforces, ..self.worker.offer.clone() }
    }

    /// The connection is gone. The programs go on.
    pub(super) fn lost(&mut self) {
        self.connected = false;
        self.heartbeat = None;
        self.errands.clear();
    }

    /// Does what the host says.
    ///
    /// # Errors
    /// When the host speaks another version.
    pub(super) fn hear(&mut self, message: ToWorker, now: Instant) -> Result<(), WorkerError> {
        match message {
            ToWorker::Welcome { version, heartbeat_ms } => {
                return self.welcome(version, heartbeat_ms, now);
            }
            ToWorker::Run { held, run_id, agent, attempt, dispatch, prompt, task_id, terms } => {
                let terms = *terms;
                let order =
                    Order { held, run_id, agent, attempt, dispatch, prompt, task_id, terms };
                self.take(order);
            }
            ToWorker::Eligibility { eligibility } => self.say_eligibility(eligibility),
            ToWorker::Control { held, control } => self.control(held, control),
            ToWorker::Cancel { command_id } => {
                tracing::info!(%command_id, "cancel requested");
                self.hands.cancel(&command_id, &self.worker);
            }
            // A word on an earlier hand-over of the command says nothing of the present one.
            ToWorker::Logged { held, .. }
            | ToWorker::Noted { held, .. }
            | ToWorker::Settled { held }
            | ToWorker::Refused { held }
                if self.ledger.standing(&held) != Standing::Current => {}
            ToWorker::Logged { held: Held { command_id, .. }, through } => {
                let weight = self.ledger.logged(&command_id, through);
                self.hands.refill(&command_id, weight);
            }
            ToWorker::Noted { held: Held { command_id, .. }, through } => {
                let weight = self.ledger.noted(&command_id, through);
                self.hands.refill(&command_id, weight);
            }
            ToWorker::Settled { held } => self.forget(&held.command_id),
            ToWorker::Refused { held: Held { command_id, .. } } => {
                tracing::warn!(%command_id, "command lost: it belongs to another worker now");
                self.forget(&command_id);
            }
        }
        Ok(())
    }

    fn welcome(&mut self, theirs: u32, beat_ms: u64, now: Instant) -> Result<(), WorkerError> {
        if theirs != VERSION {
            return Err(WorkerError::Version { theirs });
        }
        let every = Duration::from_millis(beat_ms).max(HEARTBEAT_MIN);
        self.heartbeat = Some(Heartbeat { every, next: now + every });
        self.ledger.rewind();
        if self.drain.is_some() {
            self.errands.push_back(ToHost::Draining);
        }
        Ok(())
    }

    /// Does what a word says. It is a command of its own, which ends with that.
    fn control(&mut self, held: Held, control: Control) {
        if self.ledger.standing(&held) == Standing::Current {
            return;
        }
        self.ledger.take(held.clone(), None);
        self.ledger.acknowledged(&held);
        let done = match control {
            Control::Cancel { command_id } => {
                tracing::info!(%command_id, "cancel requested");
                self.hands.cancel(&command_id, &self.worker);
                Ok(())
            }
            Control::HealthCheck => {
                self.beat();
                Ok(())
            }
            Control::ConfigUpdate { capacity } => self.resize(capacity),
            Control::Input { input_id: id, command_id, text } => {
                let input = Input { held: held.clone(), id, text };
                match self.hands.tell(&command_id, input) {
                    // The end is reported when the line is written.
                    Ok(()) => return,
                    Err(why) => Err(why),
                }
            }
        };
        let ending = done.map_or_else(Ending::failed, |()| Ending::Completed);
        self.ledger.ended(&held, End::Finished(ending));
    }

    /// Takes another capacity. What runs goes on; nothing new begins until there is room.
    fn resize(&mut self, capacity: Option<u32>) -> Result<(), String> {
        let Some(capacity) = capacity else { return Ok(()) };
        if capacity == 0 {
            return Err("capacity must be at least 1".to_owned());
        }
        tracing::info!(capacity, "capacity changed");
        self.worker.capacity = capacity;
        self.changed.capacity = true;
        self.beat();
        Ok(())
    }

    /// How programs of this worker would be kept apart.
    ///
    /// # Errors
    /// When that is not as it is configured.
    pub(super) fn isolation_of(&self, worker: &Worker) -> Result<Isolation, WorkerError> {
        self.isolation.clone().of_worker(worker)
    }

    /// Goes on as this worker. What runs goes on as it began.
    pub(super) fn become_another(&mut self, worker: Worker, isolation: Isolation) {
        let (agents, offer) = (self.agents(), self.offer());
        let capacity = std::mem::replace(&mut self.worker, worker).capacity;
        self.isolation = isolation;
        self.changed.agents |= self.agents() != agents;
        self.changed.offer |= self.offer() != offer;
        self.changed.capacity |= self.worker.capacity != capacity;
        tracing::info!(serves = self.worker.programs.len(), "worker configuration reloaded");
        if self.heartbeat.is_some() {
            self.beat();
        }
    }

    /// Says at once what a heartbeat says.
    fn beat(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        self.errands.push_back(ToHost::Heartbeat {
            active: self.ledger.active(),
            capacity: changed.capacity.then_some(self.worker.capacity),
            offer: changed.offer.then(|| self.offer()),
            agents: changed.agents.then(|| self.agents()),
        });
    }

    fn say_eligibility(&self, eligibility: Eligibility) {
        let name = self.worker.called(&self.id);
        match eligibility {
            Eligibility::Eligible => tracing::info!("let in: this worker is given work now"),
            Eligibility::Unapproved => tracing::warn!(
                "not let in yet: this worker gets no work before an administrator has run \
                 `hillock worker approve {name}`"
            ),
            Eligibility::Disabled => tracing::warn!(
                "disabled: this worker gets no work before an administrator has run \
                 `hillock worker enable {name}`"
            ),
            Eligibility::Draining => tracing::warn!(
                "draining: this worker gets no new work before an administrator has run \
                 `hillock worker undrain {name}`"
            ),
        }
    }

    fn take(&mut self, order: Order) {
        let held = order.held.clone();
        match self.ledger.standing(&held) {
            Standing::Current => return,
            Standing::Outdated => self.kill(&held.command_id),
            Standing::Unknown => {}
        }
        self.ledger.take(held.clone(), Some(order.run_id.clone()));
        match self.begin(order) {
            Ok(()) => self.ledger.acknowledged(&held),
            Err(end) => {
                if matches!(end, End::Finished(_)) {
                    self.ledger.acknowledged(&held);
                }
                self.ledger.ended(&held, end);
            }
        }
    }

    fn begin(&mut self, order: Order) -> Result<(), End> {
        if self.drain.is_some() || self.hands.len() >= self.worker.capacity as usize {
            return Err(End::HandBack);
        }
        let (id, agent) = (order.held.command_id.clone(), order.agent.name.clone());
        let begun = self.hands.start(&self.worker, &self.isolation, order);
        begun.map_err(|error| End::Finished(Ending::failed(error)))?;
        tracing::info!(command_id = %id, %agent, "program started");
        Ok(())
    }

    fn forget(&mut self, command_id: &CommandId) {
        self.kill(command_id);
        self.ledger.forget(command_id);
    }

    fn kill(&mut self, command_id: &CommandId) {
        let untold = self.hands.kill(command_id);
        self.not_told(untold);
    }

    /// Notes that these inputs will not be told.
    fn not_told(&mut self, inputs: Vec<Held>) {
        for input in inputs {
            self.ledger.ended(&input, End::Finished(Ending::failed(ENDED)));
        }
    }

    /// Notes what became of a program.
    pub(super) fn note(&mut self, report: Report) {
        let Report { held, news } = report;
        match news {
            ProgramEvent::Started => self.ledger.started(&held),
            ProgramEvent::Wrote(lines) => self.ledger.wrote(&held, lines),
            ProgramEvent::Told(events) => self.ledger.told(&held, events),
            ProgramEvent::Answered(ending) => {
                self.hands.answered(&held);
                self.ledger.ended(&held, End::Finished(ending));
            }
            ProgramEvent::Ended(ending) => self.ended(&held, ending),
        }
    }

    /// Notes that a program's task failed.
    pub(super) fn crashed(&mut self, held: &Held) {
        let error = "the worker failed while it ran the program".to_owned();
        self.ended(held, Ending::failed(error));
    }

    fn ended(&mut self, held: &Held, ending: Ending) {
        let (canceled, untold) = self.hands.ended(held);
        self.not_told(untold);
        tracing::info!(command_id = %held.command_id, status = %ending.status(), "program ended");
        // Asked to end, and not by the host: then by the drain.
        let released = ending == Ending::Canceled && !canceled;
        self.ledger.ended(held, if released { End::HandBack } else { End::Finished(ending) });
    }

    /// Begins to leave: takes nothing new from here on.
    pub(super) fn drain(&mut self, now: Instant) {
        tracing::info!(
            running = self.hands.len(),
            "draining: finishing what runs, taking nothing new"
        );
        self.drain = Some(Drain::begin(now, self.worker.drain_grace));
        if self.heartbeat.is_some() {
            self.errands.push_back(ToHost::Draining);
        }
    }

    /// Whether the worker is leaving.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Does what the time has come for.
    pub(super) fn tick(&mut self, now: Instant) {
        if let Some(beat) = self.heartbeat.as_mut().filter(|beat| beat.next <= now) {
            beat.next = now + beat.every;
            self.beat();
        }
        let (running, connected) = (self.hands.len() > 0, self.connected);
        if let Some(drain) = self.drain.as_mut().filter(|drain| drain.release_at <= now)
            && !self.released
        {
            self.released = true;
            drain.release(running, connected);
            self.hands.release();
        }
    }

    /// When the next [`Desk::tick`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        let release = self.drain.filter(|_| !self.released).map(|drain| drain.release_at);
        let leave = self.drain.map(|drain| drain.leave_at);
        [self.heartbeat.map(|beat| beat.next), release, leave].into_iter().flatten().min()
    }

    /// Whether the worker may leave: nothing is owed, or it has stayed for long enough.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        let nothing_owed = self.ledger.is_empty() && self.errands.is_empty();
        self.drain.is_some_and(|drain| nothing_owed || drain.leave_at <= now)
    }

    /// What the host has not acknowledged.
    pub(super) fn owed(&self) -> Owed {
        self.ledger.owed()
    }

    /// From when on there is something to say to the host.
    pub(super) fn word_due(&self, now: Instant) -> Option<Instant> {
        match self.heartbeat {
            _ if !self.errands.is_empty() => Some(now),
            Some(_) => self.ledger.due(now),
            None => None,
        }
    }

    /// The next word to the host.
    pub(super) fn word(&mut self, now: Instant) -> Option<ToHost> {
        self.errands.pop_front().or_else(|| self.heartbeat.and_then(|_| self.ledger.word(now)))
    }
}

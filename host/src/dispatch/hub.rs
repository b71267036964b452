//! The workers that are connected to this host, and the way to each of them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::exit::Exit;
use super::outbox::{Outbox, Slot, outbox};
use super::protocol::ToWorker;
use crate::model::definition::Agent;
use crate::model::id::{CommandId, WorkerId};
use crate::model::routing::Offer;
use crate::model::time::Time;
use crate::model::worker::{DEGRADED_AFTER, Dismissal, Eligibility, Presence};
use crate::store::workers::Changed;

/// The most commands that a silent worker has.
const DEGRADED_MAX: usize = 1;

/// A worker as it introduced itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// Who it is.
    pub id: WorkerId,
    /// What people call it.
    pub name: String,
    /// The agents it serves.
    pub agents: Vec<Agent>,
    /// How many commands it takes at once.
    pub capacity: usize,
    /// What it has, and what it can enforce.
    pub offer: Offer,
    /// What it holds already.
    pub holds: HashSet<CommandId>,
    /// Whether it may be given anything.
    pub eligibility: Eligibility,
    /// Its connection, as the store knows it.
    pub presence: Presence,
    /// Where it hears that it may not stay.
    pub exit: Exit,
}

/// A worker that could take more.
#[derive(Clone, Debug)]
pub struct AvailableWorker {
    /// Who it is.
    pub id: WorkerId,
    /// The agents it serves.
    pub agents: Vec<Agent>,
    /// What it has, and what it can enforce.
    pub offer: Offer,
    /// How many commands it takes at once.
    pub capacity: usize,
    /// How many it has.
    pub active: usize,
    /// How many it could take.
    pub room: usize,
    /// Whether it has been silent for so long that it may be gone: it is given nothing that another
    /// has room for, and no more than one command.
    pub degraded: bool,
}

/// One connection's place in the hub. A later connection of the same worker takes the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    worker: WorkerId,
    generation: u64,
}

/// The worker is not connected, or does not read what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker is not connected, or does not keep up")]
pub struct Unreachable;

#[derive(Debug)]
struct Connection {
    generation: u64,
    introduction: Introduction,
    /// Whether it has begun: what it held before is settled.
    seated: bool,
    draining: bool,
    /// What it believes of its eligibility.
    told: Eligibility,
    /// Its last sign of life, in the order of all of them.
    heard: u64,
    /// When that was.
    heard_at: Time,
    /// What it was given and did not name in its last heartbeat: that may have crossed.
    unnamed: HashSet<CommandId>,
    outbox: Slot,
}

impl Connection {
    /// Tells the worker of its eligibility, unless it knows. Without room for it, it is told with its
    /// next heartbeat.
    fn tell(&mut self, eligibility: Eligibility) {
        let knows =
            self.told == eligibility || (self.draining && eligibility == Eligibility::Draining);
        if !knows && self.outbox.put(ToWorker::Eligibility { eligibility }) {
            self.told = eligibility;
        }
    }
}

#[derive(Debug, Default)]
struct Connections {
    by_worker: HashMap<WorkerId, Connection>,
    generations: u64,
    signs_of_life: u64,
}

/// The connected workers.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    connections: Arc<Mutex<Connections>>,
    work: Arc<Notify>,
}

impl Hub {
    /// Gives a worker its place, in which an earlier connection's outbox is closed. The greeting
    /// is the first message it gets; no command is given to it before it is seated.
    pub fn enter(
        &self,
        introduction: Introduction,
        greeting: ToWorker,
        now: Time,
    ) -> (Place, Outbox) {
        let (slot, outbox) = outbox();
        // It is empty: there is room.
        slot.put(greeting);
        let mut connections = self.lock();
        connections.generations += 1;
        let generation = connections.generations;
        let heard = connections.sign_of_life();
        let worker = introduction.id.clone();
        let connection = Connection {
            generation,
            introduction,
            seated: false,
            draining: false,
            told: Eligibility::Eligible,
            heard,
            heard_at: now,
            unnamed: HashSet::new(),
            outbox: slot,
        };
        connections.by_worker.insert(worker.clone(), connection);
        (Place { worker, generation }, outbox)
    }

    /// Says that a worker may be given commands from now on.
    pub fn seat(&self, place: &Place) {
        if let Some(connection) = self.lock().at(place) {
            connection.seated = true;
        }
        self.work.notify_one();
    }

    /// Notes that the worker is alive, and what it says it holds. What it has not named twice in a
    /// row it does not hold: whoever took that from it need not have been this replica.
    pub fn heard(&self, place: &Place, active: &[CommandId], now: Time) {
        let mut connections = self.lock();
        let heard = connections.sign_of_life();
        let Some(connection) = connections.at(place) else { return };
        connection.heard = heard;
        connection.heard_at = now;
        let holds = &mut connection.introduction.holds;
        holds.retain(|held| active.contains(held) || !connection.unnamed.contains(held));
        connection.unnamed = holds.iter().filter(|held| !active.contains(*held)).cloned().collect();
        drop(connections);
        self.work.notify_one();
    }

    /// Gives a place up, unless a later connection has taken it; says whether it did.
    pub fn leave(&self, place: &Place) -> bool {
        let mut connections = self.lock();
        let own = connections.at(place).is_some();
        if own {
            connections.by_worker.remove(&place.worker);
        }
        own
    }

    /// Takes no more commands for this worker.
    pub fn drain(&self, place: &Place) {
        if let Some(connection) = self.lock().at(place) {
            connection.draining = true;
        }
    }

    /// Notes what has changed of a worker.
    pub fn change(&self, place: &Place, changed: Changed) {
        let Changed { agents, capacity, offer } = changed;
        if let Some(connection) = self.lock().at(place) {
            let own = &mut connection.introduction;
            own.agents = agents.unwrap_or_else(|| std::mem::take(&mut own.agents));
            own.capacity = capacity.map_or(own.capacity, |capacity| capacity as usize);
            own.offer = offer.unwrap_or_else(|| std::mem::take(&mut own.offer));
        }
        self.work.notify_one();
    }

    /// Notes whether a worker may be given anything, and tells it when that has changed.
    pub fn admit(&self, worker: &WorkerId, eligibility: Eligibility) {
        let mut connections = self.lock();
        let Some(connection) = connections.by_worker.get_mut(worker) else { return };
        let before = std::mem::replace(&mut connection.introduction.eligibility, eligibility);
        connection.tell(eligibility);
        if before != eligibility {
            self.work.notify_one();
        }
    }

    /// Closes a worker's connection at once, if it is connected here.
    pub fn expel(&self, worker: &WorkerId, why: Dismissal) {
        if let Some(connection) = self.lock().by_worker.remove(worker) {
            connection.introduction.exit.show(why);
        }
    }

    /// Closes this connection at once, if it is still its worker's.
    pub fn expel_from(&self, presence: &Presence, why: Dismissal) {
        let mut connections = self.lock();
        let present = connections.by_worker.get(&presence.worker_id);
        if present.is_some_and(|connection| connection.introduction.presence == *presence)
            && let Some(connection) = connections.by_worker.remove(&presence.worker_id)
        {
            connection.introduction.exit.show(why);
        }
    }

    /// The connections there are.
    pub fn presences(&self) -> Vec<Presence> {
        let connections = self.lock();
        let all = connections.by_worker.values();
        all.map(|connection| connection.introduction.presence.clone()).collect()
    }

    /// Notes that the worker has one command less.
    pub fn settle(&self, place: &Place, command: &CommandId) {
        if let Some(connection) = self.lock().at(place) {
            connection.introduction.holds.remove(command);
        }
        self.work.notify_one();
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the worker is not connected here, or its outbox is full.
    pub fn send(&self, worker: &WorkerId, message: ToWorker) -> Result<(), Unreachable> {
        let mut connections = self.lock();
        let connection = connections.by_worker.get_mut(worker).ok_or(Unreachable)?;
        let command = match &message {
            ToWorker::Run { held, .. } => Some(held.command_id.clone()),
            _ => None,
        };
        if !connection.outbox.put(message) {
            return Err(Unreachable);
        }
        connection.introduction.holds.extend(command);
        Ok(())
    }

    /// The workers that could take more, the one with the newest sign of life first.
    pub fn vacancies(&self, now: Time) -> Vec<AvailableWorker> {
        let connections = self.lock();
        let vacancy = |connection: &Connection| {
            let Introduction { id, agents, capacity, offer, holds, eligibility, .. } =
                &connection.introduction;
            let degraded = now.since(connection.heard_at) >= DEGRADED_AFTER;
            let capacity = if degraded { (*capacity).min(DEGRADED_MAX) } else { *capacity };
            let room = capacity.saturating_sub(holds.len()).min(connection.outbox.room());
            let vacancy = || AvailableWorker {
                id: id.clone(),
                agents: agents.clone(),
                offer: offer.clone(),
                capacity,
                active: holds.len(),
                room,
                degraded,
            };
            let eligible = *eligibility == Eligibility::Eligible;
            let open = room > 0 && eligible && connection.seated && !connection.draining;
            open.then(|| (connection.heard, vacancy()))
        };
        let mut found: Vec<_> = connections.by_worker.values().filter_map(vacancy).collect();
        drop(connections);
        found.sort_unstable_by_key(|(heard, _)| Reverse(*heard));
        found.into_iter().map(|(_, vacancy)| vacancy).collect()
    }

    /// Whether a worker is connected here.
    pub fn has(&self, worker: &WorkerId) -> bool {
        self.lock().by_worker.contains_key(worker)
    }

    /// Says that there may be something to hand out.
    pub fn notify(&self) {
        self.work.notify_one();
    }

    /// Waits until there may be something to hand out.
    pub async fn notified(&self) {
        self.work.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn at(&mut self, place: &Place) -> Option<&mut Connection> {
        let connection = self.by_worker.get_mut(&place.worker)?;
        (connection.generation == place.generation).then_some(connection)
    }

    fn sign_of_life(&mut self) -> u64 {
        self.signs_of_life += 1;
        self.signs_of_life
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::scope::Scope;

    fn introduction(id: &WorkerId, capacity: usize) -> Introduction {
        let agent = Agent { scope: Scope::Global, name: "triager".parse().unwrap() };
        Introduction {
            id: id.clone(),
            name: "w".to_owned(),
            agents: vec![agent],
            capacity,
            offer: Offer::default(),
            holds: HashSet::new(),
            eligibility: Eligibility::Eligible,
            presence: Presence {
                worker_id: id.clone(),
                connection: hex::encode(Clock.random::<4>()),
                credential: None,
            },
            exit: Exit::default(),
        }
    }

    #[tokio::test]
    async fn who_may_not_work_gets_nothing_and_who_may_not_stay_goes() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let unapproved = Eligibility::Unapproved;
        let introduction = Introduction { eligibility: unapproved, ..introduction(&id, 1) };
        let (exit, presence) = (introduction.exit.clone(), introduction.presence.clone());
        let (place, mut messages) = hub.enter(introduction, greeting, Clock.now());
        hub.seat(&place);
        assert!(hub.vacancies(Clock.now()).is_empty());
        for eligibility in [unapproved, unapproved, Eligibility::Eligible, Eligibility::Eligible] {
            hub.admit(&id, eligibility);
        }
        assert_eq!(hub.vacancies(Clock.now()).len(), 1);
        hub.change(&place, Changed { capacity: Some(3), ..Changed::default() });
        assert_eq!(hub.vacancies(Clock.now())[0].room, 3);
        let earlier = Presence { connection: "earlier".to_owned(), ..presence.clone() };
        hub.expel_from(&earlier, Dismissal::Replaced);
        assert_eq!(hub.presences(), std::slice::from_ref(&presence));
        hub.expel_from(&presence, Dismissal::Rotated);
        assert_eq!(exit.shown().await, Dismissal::Rotated);
        assert!(hub.presences().is_empty() && !hub.leave(&place));
        assert!(matches!(messages.next().await.as_ref(), Some(ToWorker::Welcome { .. })));
        for eligibility in [unapproved, Eligibility::Eligible] {
            assert_eq!(messages.next().await, Some(ToWorker::Eligibility { eligibility }));
        }
        assert!(messages.next().await.is_none());
    }

    #[tokio::test]
    async fn a_later_connection_takes_the_place_and_keeps_it() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = || ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let (early, mut early_messages) = hub.enter(introduction(&id, 1), greeting(), Clock.now());
        let (late, mut late_messages) = hub.enter(introduction(&id, 1), greeting(), Clock.now());
        assert_eq!(early_messages.next().await.as_ref(), Some(&greeting()));
        assert_eq!(late_messages.next().await.as_ref(), Some(&greeting()));
        assert!(early_messages.next().await.is_none(), "the early outbox is closed");
        hub.seat(&late);
        hub.leave(&early);
        hub.drain(&early);
        let cancel = ToWorker::Cancel { command_id: Clock.command_id() };
        hub.send(&id, cancel.clone()).unwrap();
        assert_eq!(late_messages.next().await.as_ref(), Some(&cancel));
        assert_eq!(hub.vacancies(Clock.now()).len(), 1);
    }

    #[test]
    fn draining_workers_have_no_vacancy_and_absent_ones_get_nothing() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let (place, _messages) = hub.enter(introduction(&id, 2), greeting, Clock.now());
        assert!(hub.vacancies(Clock.now()).is_empty(), "it has not begun");
        hub.seat(&place);
        assert_eq!(hub.vacancies(Clock.now())[0].room, 2);
        hub.drain(&place);
        assert!(hub.vacancies(Clock.now()).is_empty());
        hub.leave(&place);
        let cancel = ToWorker::Cancel { command_id: Clock.command_id() };
        assert_eq!(hub.send(&id, cancel), Err(Unreachable));
    }

    #[test]
    fn the_newest_sign_of_life_comes_first() {
        let (hub, ids) =
            (Hub::default(), [Clock.worker_id(), Clock.worker_id(), Clock.worker_id()]);
        let enter = |id: &WorkerId| {
            let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
            let (place, outbox) = hub.enter(introduction(id, 1), greeting, Clock.now());
            hub.seat(&place);
            (place, outbox)
        };
        let kept = ids.each_ref().map(enter);
        let order =
            || hub.vacancies(Clock.now()).into_iter().map(|vacancy| vacancy.id).collect::<Vec<_>>();
        assert_eq!(order(), [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
        hub.heard(&kept[1].0, &[], Clock.now());
        assert_eq!(order(), [ids[1].clone(), ids[2].clone(), ids[0].clone()]);
    }

    #[test]
    fn what_a_worker_does_not_name_twice_it_does_not_hold() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let (kept, forgotten) = (Clock.command_id(), Clock.command_id());
        let holds = HashSet::from([kept.clone(), forgotten]);
        let introduction = Introduction { holds, ..introduction(&id, 2) };
        let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let (place, _messages) = hub.enter(introduction, greeting, Clock.now());
        hub.seat(&place);
        hub.heard(&place, std::slice::from_ref(&kept), Clock.now());
        assert!(
            hub.vacancies(Clock.now()).is_empty(),
            "the heartbeat may have crossed the command"
        );
        hub.heard(&place, std::slice::from_ref(&kept), Clock.now());
        assert_eq!(hub.vacancies(Clock.now())[0].room, 1);
    }

    #[test]
    fn a_silent_worker_gets_one_command_at_most() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let now = Clock.now();
        let (place, _messages) = hub.enter(introduction(&id, 4), greeting, now);
        hub.seat(&place);
        let at = |later| {
            let vacancies = hub.vacancies(now + later);
            vacancies.first().map(|vacancy| (vacancy.room, vacancy.degraded))
        };
        let moment = std::time::Duration::from_millis(1);
        assert_eq!(at(DEGRADED_AFTER - moment), Some((4, false)));
        assert_eq!(at(DEGRADED_AFTER), Some((1, true)));
        hub.lock().at(&place).unwrap().introduction.holds.insert(Clock.command_id());
        assert_eq!(at(DEGRADED_AFTER), None);
        assert_eq!(at(DEGRADED_AFTER - moment), Some((3, false)));
        hub.heard(&place, &[], now + DEGRADED_AFTER);
        assert_eq!(at(DEGRADED_AFTER), Some((3, false)));
    }
}

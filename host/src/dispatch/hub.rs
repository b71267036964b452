//! The workers that are connected to this host, and the way to each of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::protocol::ToWorker;
use crate::model::definition::Agent;
use crate::model::id::{CommandId, WorkerId};

/// How many messages may wait for a worker to read them.
const OUTBOX_MAX: usize = 64;

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
    /// What it holds already.
    pub holds: HashSet<CommandId>,
}

/// A worker that could take more.
#[derive(Clone, Debug)]
pub struct Vacancy {
    /// Who it is.
    pub id: WorkerId,
    /// The agents it serves.
    pub agents: Vec<Agent>,
    /// How many commands it could take.
    pub room: usize,
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
    draining: bool,
    outbox: mpsc::Sender<ToWorker>,
}

#[derive(Debug, Default)]
struct Connections {
    by_worker: HashMap<WorkerId, Connection>,
    generations: u64,
}

/// The connected workers.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    connections: Arc<Mutex<Connections>>,
    work: Arc<Notify>,
}

impl Hub {
    /// Gives a worker its place, in which an earlier connection's outbox is closed. The greeting
    /// is the first message it gets.
    pub fn enter(
        &self,
        introduction: Introduction,
        greeting: ToWorker,
    ) -> (Place, mpsc::Receiver<ToWorker>) {
        let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
        // The channel is empty: there is room.
        let _ = outbox.try_send(greeting);
        let mut connections = self.lock();
        connections.generations += 1;
        let generation = connections.generations;
        let worker = introduction.id.clone();
        let connection = Connection { generation, introduction, draining: false, outbox };
        connections.by_worker.insert(worker.clone(), connection);
        drop(connections);
        self.work.notify_one();
        (Place { worker, generation }, messages)
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
        connection.outbox.try_send(message).map_err(|_| Unreachable)?;
        connection.introduction.holds.extend(command);
        Ok(())
    }

    /// The workers that could take more.
    pub fn vacancies(&self) -> Vec<Vacancy> {
        let connections = self.lock();
        let vacancy = |connection: &Connection| {
            let Introduction { id, agents, capacity, holds, .. } = &connection.introduction;
            let room = capacity.saturating_sub(holds.len()).min(connection.outbox.capacity());
            (room > 0 && !connection.draining).then(|| Vacancy {
                id: id.clone(),
                agents: agents.clone(),
                room,
            })
        };
        connections.by_worker.values().filter_map(vacancy).collect()
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
            holds: HashSet::new(),
        }
    }

    #[test]
    fn a_later_connection_takes_the_place_and_keeps_it() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = || ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let (early, mut early_messages) = hub.enter(introduction(&id, 1), greeting());
        let (_late, mut late_messages) = hub.enter(introduction(&id, 1), greeting());
        assert_eq!(early_messages.blocking_recv(), Some(greeting()));
        assert_eq!(late_messages.blocking_recv(), Some(greeting()));
        assert!(early_messages.blocking_recv().is_none(), "the early outbox is closed");
        hub.leave(&early);
        hub.drain(&early);
        let cancel = ToWorker::Cancel { command_id: Clock.command_id() };
        hub.send(&id, cancel.clone()).unwrap();
        assert_eq!(late_messages.blocking_recv(), Some(cancel));
        assert_eq!(hub.vacancies().len(), 1);
    }

    #[test]
    fn draining_workers_have_no_vacancy_and_absent_ones_get_nothing() {
        let (hub, id) = (Hub::default(), Clock.worker_id());
        let greeting = ToWorker::Welcome { version: 1, heartbeat_ms: 1 };
        let (place, _messages) = hub.enter(introduction(&id, 2), greeting);
        assert_eq!(hub.vacancies()[0].room, 2);
        hub.drain(&place);
        assert!(hub.vacancies().is_empty());
        hub.leave(&place);
        let cancel = ToWorker::Cancel { command_id: Clock.command_id() };
        assert_eq!(hub.send(&id, cancel), Err(Unreachable));
    }
}

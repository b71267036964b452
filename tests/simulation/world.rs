//! One life of a store: all who act on it, the time, and the one way that they reach it.

use std::collections::VecDeque;
use std::time::Duration;

use hillock::model::time::Time;
use hillock::store::{Store, StoreError};

use super::book::{Book, Violation};
use super::client::Clients;
use super::dice::Dice;
use super::eye::Eye;
use super::fault::Fault;
use super::journal::Journal;
use super::ledger::Ledger;
use super::replica::Replica;
use super::sender::Senders;
use super::worker::Worker;
use super::{audit, job};
use crate::harness::database::Database;

const REPLICAS: usize = 3;
pub(super) const WORKERS: usize = 5;
/// How many steps are told of when something is wrong.
const TOLD: usize = 30;
/// How many operations there are between two looks at the whole store.
const AUDIT_EVERY: u64 = 2_500;
/// A life with so many steps does not come to its end.
const STEPS_MAX: u64 = 60_000;

pub(super) struct World {
    pub(super) truth: Time,
    pub(super) dice: Dice,
    pub(super) replicas: Vec<Replica>,
    pub(super) workers: Vec<Worker>,
    pub(super) senders: Senders,
    pub(super) clients: Clients,
    pub(super) book: Book,
    pub(super) ledger: Ledger,
    /// How many rows the last operation has changed.
    pub(super) changes: usize,
    /// Nothing fails any more.
    pub(super) healthy: bool,
    pub(super) eye: Eye,
    journal: Journal,
    seed: u64,
    told: VecDeque<String>,
}

/// In how many transactions an operation is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    One,
    Several,
}

impl World {
    /// Begins in an empty database. On PostgreSQL each replica has connections of its own.
    pub(super) async fn begin(database: &Database, seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let truth: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        // What is tried out is not the disk.
        if let Database::Postgres { name: Some(name), .. } = database {
            let hasten = format!("ALTER DATABASE {name} SET synchronous_commit TO off");
            database.execute(&hasten).await;
        }
        let first = Store::open(&database.url()).await.unwrap();
        job::define(&first, truth).await;
        let mut eye = Eye::open(database).await;
        let journal = Journal::begin(&mut eye).await;
        Fault::prepare(&mut eye).await;
        let mut replicas = vec![Replica::of(first.clone(), &mut dice)];
        for _ in 1..REPLICAS {
            let store = match database {
                Database::Sqlite(_) => first.clone(),
                Database::Postgres { .. } => Store::open(&database.url()).await.unwrap(),
            };
            replicas.push(Replica::of(store, &mut dice));
        }
        let workers = (0..WORKERS).map(|place| Worker::new(place, truth, &mut dice)).collect();
        Self {
            truth,
            dice,
            replicas,
            workers,
            senders: Senders::default(),
            clients: Clients::default(),
            book: Book::default(),
            ledger: Ledger::default(),
            changes: 0,
            healthy: false,
            eye,
            journal,
            seed,
            told: VecDeque::new(),
        }
    }

    /// Time passes: little, as a rule.
    pub(super) fn pass(&mut self) {
        let ms = match self.dice.between(0, 7_999) {
            // Long enough for what has ended to be removed.
            0 => self.dice.between(20, 60) * 3_600_000,
            1..=2 => self.dice.between(10, 70) * 60_000,
            3..=20 => self.dice.between(20_000, 130_000),
            _ => self.dice.between(0, 120),
        };
        self.truth = self.truth + Duration::from_millis(ms);
        let replica = self.any_replica();
        match self.dice.between(0, 5_999) {
            0 => self.replicas[replica].leap(&mut self.dice),
            1..=30 => self.replicas[replica].come_right(),
            _ => {}
        }
    }

    pub(super) fn any_replica(&mut self) -> usize {
        self.dice.place(self.replicas.len()).unwrap()
    }

    /// The time by a replica's clock.
    pub(super) fn now(&self, replica: usize) -> Time {
        self.replicas[replica].now(self.truth)
    }

    /// Changes the store by a replica, in one transaction. None when it failed, or when nobody
    /// heard the answer.
    pub(super) async fn write<T>(
        &mut self,
        replica: usize,
        what: String,
        write: impl AsyncFnOnce(Store, Time) -> Result<T, StoreError>,
    ) -> Option<T> {
        self.act(replica, what, Extent::One, write).await
    }

    /// The same in several.
    pub(super) async fn writes<T>(
        &mut self,
        replica: usize,
        what: String,
        writes: impl AsyncFnOnce(Store, Time) -> Result<T, StoreError>,
    ) -> Option<T> {
        self.act(replica, what, Extent::Several, writes).await
    }

    /// Reads, which changes nothing and fails never.
    pub(super) async fn read<T>(
        &mut self,
        replica: usize,
        read: impl AsyncFnOnce(Store, Time) -> Result<T, StoreError>,
    ) -> T {
        self.ledger.steps += 1;
        let (store, now) = (self.replicas[replica].store.clone(), self.now(replica));
        match read(store, now).await {
            Ok(found) => found,
            Err(error) => self.fail(&format!("a look failed: {error}")),
        }
    }

    async fn act<T>(
        &mut self,
        replica: usize,
        what: String,
        extent: Extent,
        write: impl AsyncFnOnce(Store, Time) -> Result<T, StoreError>,
    ) -> Option<T> {
        let fault = if self.healthy { Fault::None } else { Fault::draw(&mut self.dice) };
        let (store, now) = (self.replicas[replica].store.clone(), self.now(replica));
        fault.arm(&mut self.eye, self.journal.place()).await;
        let result = write(store, now).await;
        fault.disarm(&mut self.eye).await;
        self.note(format!("{now} replica {replica}: {what}{}", told(fault, &result)));
        self.look(extent, fault, result.is_err()).await;
        self.ledger.steps += 1;
        self.must(self.ledger.steps < STEPS_MAX, || "it goes on for ever".to_owned());
        if self.ledger.steps.is_multiple_of(AUDIT_EVERY) {
            self.audit().await;
        }
        match result {
            Ok(_) if fault == Fault::Answer => {
                self.ledger.faults += 1;
                None
            }
            Ok(answer) => Some(answer),
            Err(_) if fault.is_the_databases() => {
                self.ledger.faults += 1;
                None
            }
            Err(error) => self.fail(&format!("nothing was to fail, and this did: {error:?}")),
        }
    }

    /// Holds what the operation has changed against the invariants.
    async fn look(&mut self, extent: Extent, fault: Fault, failed: bool) {
        let entries = self.journal.news(&mut self.eye).await;
        self.changes = entries.len();
        self.ledger.changes += entries.len() as u64;
        if failed && extent == Extent::One && fault.is_the_databases() && !entries.is_empty() {
            self.fail(&format!("half of it was done: {entries:?}"));
        }
        if let Err(violation) = self.book.see(&entries) {
            self.fail(&format!("{violation}\nthe changes: {entries:#?}"));
        }
    }

    /// What somebody is about to change past all of this, held against the invariants by a copy of
    /// the book.
    pub(super) async fn foresee(&mut self) -> Result<(), Violation> {
        let entries = self.journal.ahead(&mut self.eye).await;
        self.book.clone().see(&entries)
    }

    /// Holds the whole store against the invariants, and against what was seen of it.
    pub(super) async fn audit(&mut self) {
        self.ledger.audits += 1;
        if let Err(violation) = audit::check(&mut self.eye, &self.book).await {
            self.fail(&violation);
        }
    }

    pub(super) fn must(&self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            self.fail(&why());
        }
    }

    pub(super) fn note(&mut self, step: String) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        self.told.push_back(step);
    }

    pub(super) fn fail(&self, why: &str) -> ! {
        let told = self.told.iter().map(|step| format!("  {step}\n")).collect::<String>();
        let Self { seed, .. } = self;
        panic!(
            "an invariant does not hold: {why}\n\
             it happened at step {} of the life with HILLOCK_TEST_SEED={seed}; the last steps:\n\
             {told}",
            self.ledger.steps,
        )
    }
}

fn told<T>(fault: Fault, result: &Result<T, StoreError>) -> String {
    match (fault, result) {
        (Fault::None, Ok(_)) => String::new(),
        (fault, Ok(_)) => format!(" ({fault:?})"),
        (fault, Err(error)) => format!(" ({fault:?}: {error})"),
    }
}

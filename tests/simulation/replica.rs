//! A replica of the host, as far as it remembers: a crash forgets all of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hillock::model::command::Claim;
use hillock::model::envelope::Event;
use hillock::model::id::CommandId;
use hillock::model::time::Time;
use hillock::model::worker::Presence;
use hillock::store::Store;
use hillock::store::gatherings::Gathering;
use hillock::store::notices::Notice;
use hillock::store::schedules::JobTurn;

use super::dice::Dice;

/// How far a replica's clock may be from the true time, either way.
const SKEW_MS: u64 = 5_000;

pub(super) struct Replica {
    pub(super) store: Store,
    skew_ms: u64,
    pub(super) memory: Memory,
}

/// What is between two steps of a replica.
#[derive(Default)]
pub(super) struct Memory {
    /// Accepted, to be activated.
    pub(super) inbox: VecDeque<Arc<Event>>,
    /// Complete, to be flushed.
    pub(super) gatherings: VecDeque<Gathering>,
    /// Due, to be claimed.
    pub(super) turns: Vec<JobTurn>,
    /// Told, to become events.
    pub(super) notices: VecDeque<Notice>,
    /// Claimed, to be sent.
    pub(super) outbox: VecDeque<Claim>,
    /// The workers that are connected, by their place among all.
    pub(super) links: BTreeMap<usize, Link>,
}

/// A worker's connection.
pub(super) struct Link {
    pub(super) presence: Presence,
    pub(super) may_work: bool,
    /// What it was before is settled.
    pub(super) seated: bool,
    /// What it was given.
    pub(super) holds: Vec<CommandId>,
}

impl Replica {
    pub(super) fn of(store: Store, dice: &mut Dice) -> Self {
        Self { store, skew_ms: dice.between(0, 2 * SKEW_MS), memory: Memory::default() }
    }

    /// The time by its clock.
    pub(super) fn now(&self, truth: Time) -> Time {
        truth + Duration::from_millis(self.skew_ms) - Duration::from_millis(SKEW_MS)
    }

    /// Ends, and begins anew.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        *self = Self::of(self.store.clone(), dice);
    }
}

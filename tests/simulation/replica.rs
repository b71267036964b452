//! A replica of the host, as far as it remembers: a crash forgets all of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hillock::model::command::Claim;
use hillock::model::envelope::Event;
use hillock::model::id::CommandId;
use hillock::model::time::Time;
use hillock::model::worker::{Eligibility, Presence};
use hillock::store::Store;
use hillock::store::gatherings::Gathering;
use hillock::store::notices::Notice;
use hillock::store::schedules::JobTurn;

use super::dice::Dice;

/// How far a replica's clock may be from the true time, either way.
const SKEW_MS: u64 = 5_000;
/// How far one that is wrong may be.
const WRONG_MS: u64 = 2 * 60 * 60 * 1000;

pub(super) struct Replica {
    pub(super) store: Store,
    skew_ms: u64,
    /// By how much its clock is ahead beside that, or behind.
    wrong_ms: i64,
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
    pub(super) eligibility: Eligibility,
    /// What it was before is settled.
    pub(super) seated: bool,
    /// What it was given.
    pub(super) holds: Vec<CommandId>,
}

impl Replica {
    pub(super) fn of(store: Store, dice: &mut Dice) -> Self {
        let skew_ms = dice.between(0, 2 * SKEW_MS);
        Self { store, skew_ms, wrong_ms: 0, memory: Memory::default() }
    }

    /// The time by its clock.
    pub(super) fn now(&self, truth: Time) -> Time {
        let now = truth + Duration::from_millis(self.skew_ms) - Duration::from_millis(SKEW_MS);
        let wrong = Duration::from_millis(self.wrong_ms.unsigned_abs());
        if self.wrong_ms < 0 { now - wrong } else { now + wrong }
    }

    /// Its clock leaps, either way.
    pub(super) fn leap(&mut self, dice: &mut Dice) {
        let ms = |ms: u64| i64::try_from(ms).unwrap();
        self.wrong_ms = ms(dice.between(0, 2 * WRONG_MS)) - ms(WRONG_MS);
    }

    /// Its clock comes right.
    pub(super) fn come_right(&mut self) {
        self.wrong_ms = 0;
    }

    /// Ends, and begins anew.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        // A clock is the machine's, and no better after a crash.
        *self = Self { wrong_ms: self.wrong_ms, ..Self::of(self.store.clone(), dice) };
    }
}

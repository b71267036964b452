//! What came of it, in figures.

use std::io::Write as _;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Operations on a store, each followed by a look at the invariants.
    pub(super) steps: u64,
    /// Rows that these changed, each held against the invariants.
    pub(super) changes: u64,
    /// Times that the whole store was.
    pub(super) audits: u64,
    /// Events that a sender was told of as accepted.
    pub(super) accepted: u64,
    pub(super) runs: u64,
    pub(super) attempts: u64,
    /// Deliveries, tasks, inputs, activations, flushes and slots that came a second time.
    pub(super) duplicates_refused: u64,
    /// Words of workers whose token was not the current one.
    pub(super) late_refused: u64,
    /// Looks and wishes across workspaces.
    pub(super) strangers_refused: u64,
    /// Transactions that failed, and answers that were lost.
    pub(super) faults: u64,
    pub(super) crashes: u64,
    /// Events and runs that retention has removed when they were due.
    pub(super) removed: u64,
    /// Accepted events, runs, tasks and inputs that are missing or did not end.
    pub(super) lost: u64,
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        let Self {
            steps,
            changes,
            audits,
            accepted,
            runs,
            attempts,
            duplicates_refused,
            late_refused,
            strangers_refused,
            faults,
            crashes,
            removed,
            lost,
        } = other;
        self.steps += steps;
        self.changes += changes;
        self.audits += audits;
        self.accepted += accepted;
        self.runs += runs;
        self.attempts += attempts;
        self.duplicates_refused += duplicates_refused;
        self.late_refused += late_refused;
        self.strangers_refused += strangers_refused;
        self.faults += faults;
        self.crashes += crashes;
        self.removed += removed;
        self.lost += lost;
    }
}

impl Ledger {
    /// To the terminal, whether the test passes or not.
    pub(super) fn print(&self, title: &str) {
        let Self {
            steps, changes, audits, accepted, runs, attempts, faults, crashes, lost, ..
        } = self;
        let Self { duplicates_refused, late_refused, strangers_refused, removed, .. } = self;
        let _ = writeln!(
            std::io::stderr(),
            "ledger ({title}): steps {steps}, changes {changes}, audits {audits}, accepted \
             {accepted}, runs {runs}, attempts {attempts}, duplicates refused \
             {duplicates_refused}, late writes refused {late_refused}, strangers refused \
             {strangers_refused}, faults {faults}, crashes {crashes}, removed when due \
             {removed}, lost {lost}",
        );
    }
}

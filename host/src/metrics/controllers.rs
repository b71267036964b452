//! The background loops: whether they run, how often, how long and with what success.

use std::time::Duration;

use super::book::{Book, Counts, Gauges, Times};
use crate::model::time::Time;

/// How a controller's pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassOutcome {
    /// It did what there was to do.
    Done,
    /// It could not.
    Failed,
    /// It took too long.
    TimedOut,
    /// A defect ended it.
    Panicked,
}

impl PassOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed => "error",
            Self::TimedOut => "timeout",
            Self::Panicked => "panic",
        }
    }
}

/// The background loops of this host.
#[derive(Debug)]
pub struct Controllers {
    passes: Counts<2>,
    errors: Counts<1>,
    durations: Times<1>,
    items: Counts<1>,
    running: Gauges<1>,
    last: Gauges<1>,
}

impl Controllers {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            passes: book.counts(
                "hillock_controller_reconcile",
                ["controller", "result"],
                "Passes of controllers on this replica, by how they ended",
            ),
            errors: book.counts(
                "hillock_controller_errors",
                ["controller"],
                "Passes of controllers on this replica that did not end well",
            ),
            durations: book.spans(
                "hillock_controller_duration",
                ["controller"],
                "How long controllers' passes took",
            ),
            items: book.counts(
                "hillock_controller_items_processed",
                ["controller"],
                "What controllers put right",
            ),
            running: book.gauges(
                "hillock_controller_running",
                ["controller"],
                "Whether a controller is in a pass on this replica",
            ),
            last: book.instants(
                "hillock_controller_last_reconcile_timestamp",
                ["controller"],
                "When a controller's last pass on this replica ended",
            ),
        }
    }

    /// There is such a controller: its noughts show.
    pub fn known(&self, name: &'static str) {
        self.passes.add([name, PassOutcome::Done.as_str()], 0);
        self.errors.add([name], 0);
        self.items.add([name], 0);
        self.running.set([name], 0.0);
    }

    /// A pass begins.
    pub fn begun(&self, name: &'static str) {
        self.running.set([name], 1.0);
    }

    /// No pass is under way any more, whether it came to an end or was dropped.
    pub fn ended(&self, name: &'static str) {
        self.running.set([name], 0.0);
    }

    /// A pass ended at `at` and put `items` right.
    pub fn pass(
        &self,
        name: &'static str,
        outcome: PassOutcome,
        took: Duration,
        items: u64,
        at: Time,
    ) {
        self.passes.add([name, outcome.as_str()], 1);
        self.errors.add([name], u64::from(outcome != PassOutcome::Done));
        self.durations.observe([name], took);
        self.items.add([name], items);
        self.last.set([name], seconds_of(at));
        self.ended(name);
    }
}

fn seconds_of(at: Time) -> f64 {
    at.as_millis() as f64 / 1000.0
}

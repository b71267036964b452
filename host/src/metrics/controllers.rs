//! The background loops: whether they run, how often, how long and with what success.

use std::time::Duration;

use super::book::{Book, Counts, Gauges, Times, seconds_of};
use crate::model::controller::{ControllerName, Pass, PassResult};

/// The background loops of this host.
#[derive(Debug)]
pub struct Controllers {
    passes: Counts<2>,
    errors: Counts<1>,
    durations: Times<1>,
    items: Counts<1>,
    running: Gauges<1>,
    last: Gauges<1>,
    intervals: Gauges<1>,
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
            last: book.gauges_of_seconds(
                "hillock_controller_last_reconcile_timestamp",
                ["controller"],
                "When a controller's last pass on this replica ended",
            ),
            intervals: book.gauges_of_seconds(
                "hillock_controller_interval",
                ["controller"],
                "How often a controller has a pass, over all replicas",
            ),
        }
    }

    /// There is such a controller, with a pass every `interval`: its noughts show.
    pub fn known(&self, name: ControllerName, interval: Duration) {
        let name = name.as_str();
        self.passes.add([name, PassResult::Success.as_str()], 0);
        self.errors.add([name], 0);
        self.items.add([name], 0);
        self.running.set([name], 0.0);
        self.intervals.set([name], interval.as_secs_f64());
    }

    /// A pass begins.
    pub fn begun(&self, name: ControllerName) {
        self.running.set([name.as_str()], 1.0);
    }

    /// A pass was given up: the host ends.
    pub fn given_up(&self, name: ControllerName) {
        self.running.set([name.as_str()], 0.0);
    }

    /// A pass came to an end.
    pub fn ended(&self, name: ControllerName, pass: &Pass, took: Duration) {
        let name = name.as_str();
        self.passes.add([name, pass.result.as_str()], 1);
        self.errors.add([name], u64::from(pass.result != PassResult::Success));
        self.durations.observe([name], took);
        self.items.add([name], pass.items.values().sum());
        self.last.set([name], seconds_of(pass.at));
        self.running.set([name], 0.0);
    }
}

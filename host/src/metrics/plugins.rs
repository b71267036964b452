//! Calls into plugins.

use std::time::Duration;

use super::book::{Book, Counts, Times};

/// How a call into a plugin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It answered; the answer may be a refusal.
    Answered,
    /// It crashed.
    Trapped,
    /// It exceeded this limit.
    Limited(&'static str),
    /// Nothing was asked of it: it is busy.
    Busy,
}

impl CallOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Trapped => "trap",
            Self::Limited(_) => "limit",
            Self::Busy => "busy",
        }
    }
}

/// Calls into plugins.
#[derive(Debug)]
pub struct Plugins {
    calls: Counts<2>,
    durations: Times<1>,
    fuel: Counts<1>,
    limits: Counts<2>,
    denials: Counts<1>,
}

impl Plugins {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            calls: book.counts(
                "hillock_plugin_calls",
                ["world", "outcome"],
                "Calls into plugins, by the kind of component and how they ended: answered (which \
                 may be a refusal), trap, limit or busy",
            ),
            durations: book.moments(
                "hillock_plugin_call_duration",
                ["world"],
                "How long calls into plugins took, a new instance included where it took one",
            ),
            fuel: book.counts(
                "hillock_plugin_fuel",
                ["world"],
                "Fuel that plugins used, about one unit for each instruction",
            ),
            limits: book.counts(
                "hillock_plugin_limits_exceeded",
                ["world", "limit"],
                "Calls that ended because the plugin exceeded a limit, by which",
            ),
            denials: book.counts(
                "hillock_plugin_denials",
                ["world"],
                "Requests of plugins to the network that no grant allows",
            ),
        }
    }

    /// A call ended.
    pub fn called(&self, world: &'static str, outcome: CallOutcome, took: Duration) {
        self.calls.add([world, outcome.as_str()], 1);
        if let CallOutcome::Limited(limit) = outcome {
            self.limits.add([world, limit], 1);
        }
        if outcome != CallOutcome::Busy {
            self.durations.observe([world], took);
        }
    }

    /// A plugin used fuel.
    pub fn burnt(&self, world: &'static str, fuel: u64) {
        self.fuel.add([world], fuel);
    }

    /// A plugin wanted what it is not granted.
    pub fn denied(&self, world: &'static str) {
        self.denials.add([world], 1);
    }
}

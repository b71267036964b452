//! How long the simulation goes on: a number of steps, or as many as there is time for, in whole lives.

use std::time::{Duration, Instant};

use super::LIFE;
use super::ledger::Ledger;
use crate::harness::budget::budget;

/// Where another number of steps can be set; then it takes the time that it takes.
const STEPS: &str = "HILLOCK_SIMULATION_STEPS";
/// What a slow machine does at least for each second of the budget.
const STEPS_MIN: u64 = 100;

pub(super) struct Budget {
    /// None when the time is set.
    steps: Option<u64>,
    time: Duration,
    begin: Instant,
}

impl Budget {
    pub(super) fn from_environment() -> Self {
        let set = std::env::var(STEPS).ok().and_then(|text| text.parse().ok());
        Self { steps: set, time: budget(), begin: Instant::now() }
    }

    /// How many steps the next life has, if there is one.
    pub(super) fn next(&self, done: u64) -> Option<u64> {
        match self.steps {
            Some(steps) => (done < steps).then(|| LIFE.min(steps - done)),
            None => (self.begin.elapsed() < self.time).then_some(LIFE),
        }
    }

    pub(super) fn spent(&self, steps: u64) -> String {
        let secs = self.begin.elapsed().as_secs_f64();
        format!("{secs:.0} s, {:.0} steps a second", steps as f64 / secs)
    }

    pub(super) fn check(&self, sum: &Ledger) {
        let wanted = self.steps.unwrap_or(STEPS_MIN * self.time.as_secs());
        assert!(sum.steps >= wanted, "there was little: {sum:?}");
        assert_eq!(sum.lost, 0, "{sum:?}");
        let all = [sum.accepted, sum.runs, sum.attempts, sum.duplicates_refused, sum.late_refused];
        assert!(all.iter().all(|figure| *figure > 0), "nothing was tried out: {sum:?}");
    }
}

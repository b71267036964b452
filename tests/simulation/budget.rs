//! How long the simulation goes on: a number of steps, or as many as there is time for.

use std::time::{Duration, Instant};

use super::LIFE;
use super::ledger::Ledger;

/// Where another number of steps can be set; then it takes the time that it takes.
const STEPS: &str = "HILLOCK_SIMULATION_STEPS";
const STEPS_WANTED: u64 = 1_000_000;
/// What a machine that is too slow for all of them does at least.
const STEPS_MIN: u64 = 250_000;
const TIME_MAX: Duration = Duration::from_secs(600);

pub(super) struct Budget {
    steps: u64,
    /// None when the number was set.
    time: Option<Duration>,
    begin: Instant,
}

impl Budget {
    pub(super) fn of_ci() -> Self {
        let set = std::env::var(STEPS).ok().and_then(|text| text.parse().ok());
        Self {
            steps: set.unwrap_or(STEPS_WANTED),
            time: set.is_none().then_some(TIME_MAX),
            begin: Instant::now(),
        }
    }

    /// How many steps the next life has, if there is one.
    pub(super) fn next(&self, done: u64) -> Option<u64> {
        let late = self.time.is_some_and(|time| self.begin.elapsed() > time) && done >= STEPS_MIN;
        (done < self.steps && !late).then(|| LIFE.min(self.steps - done))
    }

    pub(super) fn spent(&self, steps: u64) -> String {
        let secs = self.begin.elapsed().as_secs_f64();
        format!("{secs:.0} s, {:.0} steps a second", steps as f64 / secs)
    }

    pub(super) fn check(&self, sum: &Ledger) {
        assert!(sum.steps >= self.steps.min(STEPS_MIN), "there was little: {sum:?}");
        assert_eq!(sum.lost, 0, "{sum:?}");
        let all = [sum.accepted, sum.runs, sum.attempts, sum.duplicates_refused, sum.late_refused];
        assert!(all.iter().all(|figure| *figure > 0), "nothing was tried out: {sum:?}");
    }
}

//! Jobs that are due.

use std::time::Duration;

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::controller::ControllerName;
use crate::model::time::Time;
use crate::schedule::{self, Gate, Tick};
use crate::store::Store;

/// How long to leave a rival alone that is claiming the same jobs, or a hook that is busy.
const YIELD: Duration = Duration::from_millis(20);

/// Fires due jobs: what became due meanwhile first, then each at its time.
#[derive(Debug)]
pub struct Scheduler {
    /// Whose jobs.
    pub store: Store,
    /// Who is told of runs.
    pub hub: Hub,
    /// The time.
    pub clock: Clock,
    /// What jobs pass before they fire.
    pub gate: Gate,
}

impl Controller for Scheduler {
    const NAME: ControllerName = ControllerName::Scheduler;

    async fn pass(&self) -> Result<Done, Failure> {
        let now = self.clock.now();
        let tick = schedule::tick(&self.store, self.clock, &self.gate, now).await?;
        // What is to stop has a word to its worker in the queue.
        if tick.fired > 0 || !tick.stops.is_empty() {
            self.hub.notify();
        }
        let Tick { fired, skipped, missed, deferred, .. } = tick;
        let counts = [
            ("fired", fired as u64),
            ("skipped", skipped as u64),
            ("missed", missed),
            ("deferred", deferred as u64),
        ];
        Ok(Done::of(counts).again_at(next(&tick, now)))
    }
}

fn next(tick: &Tick, now: Time) -> Option<Time> {
    let rival = tick.contended.then_some(now + YIELD);
    tick.next_due.map(|due| rival.map_or(due, |rival| due.max(rival)))
}

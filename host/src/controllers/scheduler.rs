//! Jobs that are due.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::time::Time;
use crate::schedule::{self, Gate, Tick};
use crate::store::Store;

/// How long a job may wait that another replica of the host has taken up.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long to wait after an error.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to leave a rival alone that is claiming the same jobs.
const YIELD: Duration = Duration::from_millis(20);

/// Fires due jobs until `stop` is called: what became due meanwhile first, then each at its time.
pub async fn scheduler(
    store: Store,
    hub: Hub,
    clock: Clock,
    catalog: Catalog,
    gate: Gate,
    stop: CancellationToken,
) {
    let mut changes = catalog.changes();
    while !stop.is_cancelled() {
        let now = clock.now();
        let until = match schedule::tick(&store, clock, &gate, now).await {
            Ok(tick) => {
                report(&tick, &hub);
                wait(&tick, now)
            }
            Err(error) => {
                tracing::error!(%error, "due jobs could not be fired");
                now + PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            // Jobs may be among what has changed.
            _ = changes.changed() => {}
            () = clock.sleep_until(until) => {}
        }
    }
}

fn report(tick: &Tick, hub: &Hub) {
    let Tick { fired, skipped, missed, .. } = tick;
    if fired + skipped > 0 || *missed > 0 {
        tracing::debug!(fired, skipped, missed, "jobs were due");
    }
    // What is to stop has a word to its worker in the queue.
    if *fired > 0 || !tick.stops.is_empty() {
        hub.notify();
    }
}

fn wait(tick: &Tick, now: Time) -> Time {
    let next = tick.next_due.unwrap_or(now + INTERVAL).min(now + INTERVAL);
    if tick.contended { next.max(now + YIELD) } else { next }
}

//! Commands whose worker has gone silent.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::store::{Store, commands};

/// How long after its end a lease may stand.
const INTERVAL: Duration = Duration::from_secs(10);

/// Releases expired leases until `stop` is called.
pub async fn leases(store: Store, hub: Hub, clock: Clock, stop: CancellationToken) {
    let mut look = interval(INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => release(&store, &hub, clock).await,
        }
    }
}

async fn release(store: &Store, hub: &Hub, clock: Clock) {
    loop {
        match commands::release_expired(store, clock.now()).await {
            Ok(0) => return,
            Ok(released) => {
                tracing::warn!(released, "leases ran out");
                hub.notify();
            }
            Err(error) => return tracing::error!(%error, "leases could not be released"),
        }
    }
}

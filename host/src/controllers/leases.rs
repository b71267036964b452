//! Commands whose worker has gone silent.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::store::{Store, StoreError, commands};

/// How long after its end a lease may stand.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long workers have to come back after nobody could renew a lease: after this host's start,
/// and after the store was away. Their back-off takes up to 15 s.
const GRACE: Duration = Duration::from_secs(30);

/// Releases expired leases until `stop` is called.
pub async fn leases(store: Store, hub: Hub, clock: Clock, stop: CancellationToken) {
    let mut pause = GRACE;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(pause) => {}
        }
        pause = match release(&store, &hub, clock).await {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::error!(%error, "leases could not be released");
                GRACE
            }
        };
    }
}

async fn release(store: &Store, hub: &Hub, clock: Clock) -> Result<(), StoreError> {
    loop {
        match commands::release_expired(store, clock.now()).await? {
            0 => return Ok(()),
            released => {
                tracing::warn!(released, "leases ran out");
                hub.notify();
            }
        }
    }
}

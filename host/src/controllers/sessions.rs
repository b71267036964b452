//! Sessions that are stuck in starting or stopping, and leases that nobody holds any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::store::{Store, StoreError, sessions};

/// How often sessions are looked at.
pub const SESSIONS_INTERVAL: Duration = Duration::from_secs(60);

/// Puts sessions right, at once and then at every `interval`, until `stop` is called.
pub async fn sessions(
    store: Store,
    hub: Hub,
    clock: Clock,
    interval: Duration,
    stop: CancellationToken,
) {
    loop {
        if let Err(error) = reconcile(&store, &hub, clock).await {
            tracing::error!(%error, "sessions could not be put right");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(interval) => {}
        }
    }
}

async fn reconcile(store: &Store, hub: &Hub, clock: Clock) -> Result<(), StoreError> {
    let done = sessions::reconcile(store, clock.now()).await?;
    if done != sessions::Reconciled::default() {
        let sessions::Reconciled { retried, forced, freed } = done;
        tracing::warn!(retried, forced, freed, "sessions were stuck");
        hub.notify();
    }
    Ok(())
}

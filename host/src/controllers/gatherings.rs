//! Bursts that have ended, batches that are full, and what fire limits have room for again.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::activation::Activator;
use crate::clock::Clock;
use crate::dispatch::hub::Hub;

/// How long what another replica of the host gathered may wait beyond its time.
const INTERVAL: Duration = Duration::from_secs(1);
/// How soon to look again at what is due and in somebody's hands.
const PAUSE: Duration = Duration::from_millis(100);

/// Fires what was gathered until `stop` is called.
pub async fn gatherings(
    activator: Arc<Activator>,
    hub: Hub,
    clock: Clock,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let pause = match flush(&activator, &hub, clock).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "failed to fire event batches");
                INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            // A batch may have been filled.
            () = activator.gathered() => {}
            () = clock.sleep(pause) => {}
        }
    }
}

/// How long there is nothing to do.
async fn flush(
    activator: &Activator,
    hub: &Hub,
    clock: Clock,
) -> Result<Duration, crate::store::StoreError> {
    activator.release().await?;
    if activator.flush().await? > 0 {
        hub.notify();
    }
    let next = activator.next_flush().await?;
    let left = next.map_or(INTERVAL, |due| due.since(clock.now()));
    Ok(left.clamp(PAUSE, INTERVAL))
}

//! Pending commands and workers with room, brought together.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::dispatch::limits::Limits;
use crate::dispatch::queue;
use crate::store::Store;

/// How long a command may wait that another replica of the host made.
const INTERVAL: Duration = Duration::from_secs(1);

/// Hands out commands until `stop` is called.
pub async fn dispatch(
    store: Store,
    hub: Hub,
    clock: Clock,
    limits: Limits,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        if let Err(error) = queue::hand_out(&store, &hub, clock, &limits).await {
            tracing::error!(%error, "commands could not be handed out");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // Signaled or not, look.
            _ = timeout(INTERVAL, hub.notified()) => {}
        }
    }
}

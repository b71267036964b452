//! Pending commands and workers with room, brought together.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::dispatch::limits::Limits;
use crate::dispatch::queue;
use crate::store::{Store, commands};

/// How long a command may wait that another replica of the host made.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ends what waits for an agent that is defined no more.
async fn fail_agentless(store: &Store, clock: Clock) {
    match commands::fail_agentless(store, clock.now()).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "runs failed: their agents are no longer defined"),
        Err(error) => tracing::error!(%error, "failed to look for commands whose agent is gone"),
    }
}

/// Hands out commands until `stop` is called.
pub async fn dispatch(
    store: Store,
    hub: Hub,
    clock: Clock,
    limits: Limits,
    stop: CancellationToken,
) {
    let mut looked: Option<Instant> = None;
    while !stop.is_cancelled() {
        // However often there is something to hand out, this is looked at as often as that.
        if looked.is_none_or(|at| at.elapsed() >= INTERVAL / 2) {
            looked = Some(Instant::now());
            fail_agentless(&store, clock).await;
        }
        if let Err(error) = queue::hand_out(&store, &hub, clock, &limits).await {
            tracing::error!(%error, "failed to dispatch commands");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            // Signaled or not, look.
            _ = timeout(INTERVAL, hub.notified()) => {}
        }
    }
}

//! Workers connected to this replica that may not stay, or may not work any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::attendance;
use crate::dispatch::hub::Hub;
use crate::store::Store;

/// How long a change of a worker by another replica of the host may take to reach a silent
/// connection.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks after the connections of workers until `stop` is called.
pub async fn attendance(store: Store, hub: Hub, clock: Clock, stop: CancellationToken) {
    loop {
        match attendance::check(&store, &hub, clock.now()).await {
            Ok(0) => {}
            Ok(closed) => tracing::info!(closed, "connections of workers were closed"),
            Err(error) => tracing::error!(%error, "the workers could not be looked after"),
        }
        if stop.run_until_cancelled(clock.sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

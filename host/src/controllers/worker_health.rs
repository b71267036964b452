//! Workers that have fallen silent, and those that may not stay or may not work any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::attendance;
use crate::dispatch::hub::Hub;
use crate::store::{Store, StoreError, workers};

/// How often silent workers are looked for.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long a change of a worker by another replica of the host may take to reach a silent
/// connection.
const ATTENDANCE: Duration = Duration::from_secs(5);

/// Looks after the workers until `stop` is called.
pub async fn worker_health(store: Store, hub: Hub, clock: Clock, stop: CancellationToken) {
    let health = async {
        loop {
            note(sweep(&store, clock).await);
            clock.sleep(INTERVAL).await;
        }
    };
    let attendance = async {
        loop {
            note(attend(&store, &hub, clock).await);
            clock.sleep(ATTENDANCE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = health => {}
        () = attendance => {}
    }
}

fn note(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::error!(%error, "the workers could not be looked after");
    }
}

async fn sweep(store: &Store, clock: Clock) -> Result<(), StoreError> {
    match workers::sweep(store, clock.now()).await? {
        0 => {}
        gone => tracing::warn!(gone, "workers fell silent"),
    }
    Ok(())
}

async fn attend(store: &Store, hub: &Hub, clock: Clock) -> Result<(), StoreError> {
    match attendance::check(store, hub, clock.now()).await? {
        0 => {}
        closed => tracing::info!(closed, "connections of workers were closed"),
    }
    Ok(())
}

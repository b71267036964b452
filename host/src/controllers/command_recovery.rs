//! Commands that would wait for ever, or be out for ever: those that no worker took in time end as
//! expired, with their runs; those whose worker cannot have them any more go back to the queue, or
//! fail when they were lost too often.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::time::Time;
use crate::store::{Store, StoreError, commands};

/// How often to look.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long workers have to come back after nobody could renew a lease: after this host's start,
/// after the store was away, and after the machine slept.
const GRACE: Duration = Duration::from_secs(30);

/// What was put right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many commands expired.
    pub expired: usize,
    /// How many were taken from their workers.
    pub released: usize,
}

/// Puts commands right until `stop` is called.
pub async fn command_recovery(store: Store, hub: Hub, clock: Clock, stop: CancellationToken) {
    let mut pause = GRACE;
    loop {
        let (begin, began) = (Instant::now(), clock.now());
        let until = clock.sleep_until(began + pause);
        if stop.run_until_cancelled(until).await.is_none() {
            return;
        }
        let now = clock.now();
        // The clock was put forward, or the machine slept: nobody could renew a lease.
        let jumped = now.since(began) > begin.elapsed() + GRACE;
        pause = match recover(&store, now, !jumped).await {
            Ok(recovered) => {
                if recovered != Recovered::default() {
                    tracing::warn!(?recovered, "commands were put right");
                    hub.notify();
                }
                if jumped { GRACE } else { INTERVAL }
            }
            Err(error) => {
                tracing::error!(%error, "commands could not be put right");
                GRACE
            }
        };
    }
}

/// Puts right what is wrong at `now`; with leases, if those could be renewed.
///
/// # Errors
/// When the store fails; what was put right before stays so.
pub async fn recover(store: &Store, now: Time, leases: bool) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    loop {
        match commands::expire(store, now).await? {
            0 => break,
            expired => recovered.expired += expired,
        }
    }
    if !leases {
        return Ok(recovered);
    }
    loop {
        match commands::release_stuck(store, now).await? {
            0 => return Ok(recovered),
            released => recovered.released += released,
        }
    }
}

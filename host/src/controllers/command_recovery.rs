//! Commands that would wait for ever, or be out for ever: those that no worker took in time end as
//! expired, with their runs; those whose worker cannot have them any more go back to the queue, or
//! fail when they were lost too often.

use std::time::{Duration, Instant};

use super::driver::{Controller, Done, Failure};
use super::grace::Grace;
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::audit::Author;
use crate::model::controller::ControllerName;
use crate::model::time::Time;
use crate::store::{Store, StoreError, commands};

/// How long one pass goes on finding more, before others have their turn.
const BUDGET: Duration = Duration::from_secs(20);

/// Puts commands right.
#[derive(Debug)]
pub struct CommandRecovery {
    store: Store,
    hub: Hub,
    clock: Clock,
    grace: Grace,
}

/// What was put right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many commands expired.
    pub expired: usize,
    /// How many were taken from their workers.
    pub released: usize,
    /// Whether there may be more to put right.
    pub more: bool,
}

impl CommandRecovery {
    /// Puts the commands of this store right.
    pub fn new(store: Store, hub: Hub, clock: Clock) -> Self {
        Self { store, hub, clock, grace: Grace::new(clock.now()) }
    }
}

impl Controller for CommandRecovery {
    const NAME: ControllerName = ControllerName::CommandRecovery;

    async fn pass(&self) -> Result<Done, Failure> {
        let now = self.clock.now();
        let grace = self.grace.until_despite_sleep(now);
        let recovered = recover(&self.store, now, grace.is_none()).await;
        let recovered = recovered.inspect_err(|_| self.grace.renew(now))?;
        let Recovered { expired, released, more } = recovered;
        if released > 0 {
            self.hub.notify();
        }
        let counts = [("expired", expired as u64), ("released", released as u64)];
        Ok(Done::of(counts).again_at(more.then_some(now).or(grace)))
    }
}

/// Puts right what is wrong at `now`; with leases, if those could be renewed.
///
/// # Errors
/// When the store fails; what was put right before stays so.
pub async fn recover(store: &Store, now: Time, leases: bool) -> Result<Recovered, StoreError> {
    let store = &store.acting(Author::controller(CommandRecovery::NAME.as_str()));
    let (begin, mut recovered) = (Instant::now(), Recovered::default());
    while begin.elapsed() < BUDGET {
        let expired = commands::expire(store, now).await?;
        let released = if leases { commands::release_stuck(store, now).await? } else { 0 };
        if expired + released == 0 {
            return Ok(recovered);
        }
        recovered.expired += expired;
        recovered.released += released;
    }
    Ok(Recovered { more: true, ..recovered })
}

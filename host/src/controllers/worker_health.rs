//! Workers that have fallen silent, and the commands whose leases ran out with them.

use std::time::{Duration, Instant};

use super::driver::{Controller, Done, Failure};
use super::grace::Grace;
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::audit::Author;
use crate::model::controller::ControllerName;
use crate::model::time::Time;
use crate::store::{Store, StoreError, commands, workers};

/// How long one pass goes on finding more, before others have their turn.
const BUDGET: Duration = Duration::from_secs(10);

/// Looks after the workers.
#[derive(Debug)]
pub struct WorkerHealth {
    store: Store,
    hub: Hub,
    clock: Clock,
    grace: Grace,
}

impl WorkerHealth {
    /// Looks after the workers of this store.
    pub fn new(store: Store, hub: Hub, clock: Clock) -> Self {
        Self { store, hub, clock, grace: Grace::new(clock.now()) }
    }

    async fn look(&self, now: Time, leases: bool) -> Result<Done, StoreError> {
        let store = self.store.acting(Author::controller(Self::NAME.as_str()));
        let silent = workers::sweep(&store, now).await?;
        let (begin, mut released, mut more) = (Instant::now(), 0, leases);
        while more && begin.elapsed() < BUDGET {
            let some = commands::release_expired(&store, now).await?;
            released += some;
            more = some > 0;
        }
        if released > 0 {
            self.hub.notify();
        }
        let done = Done::of([("fell_silent", silent as u64), ("leases_released", released as u64)]);
        Ok(done.again_at(more.then_some(now)))
    }
}

impl Controller for WorkerHealth {
    const NAME: ControllerName = ControllerName::WorkerHealth;

    async fn pass(&self) -> Result<Done, Failure> {
        let now = self.clock.now();
        let grace = self.grace.until(now);
        let done = self.look(now, grace.is_none()).await;
        let done = done.inspect_err(|_| self.grace.renew(now))?;
        Ok(Done { next_at: done.next_at.or(grace), ..done })
    }
}

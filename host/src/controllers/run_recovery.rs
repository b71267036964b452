//! Runs that nothing carries on.

use std::sync::atomic::{AtomicI64, Ordering};

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::audit::Author;
use crate::model::controller::ControllerName;
use crate::store::{Store, orphans};

/// Ends runs that nothing carries on, some of the open ones in each pass.
#[derive(Debug)]
pub struct RunRecovery {
    store: Store,
    hub: Hub,
    clock: Clock,
    /// Where the next pass goes on.
    after: AtomicI64,
}

impl RunRecovery {
    /// Puts the runs of this store right.
    pub fn new(store: Store, hub: Hub, clock: Clock) -> Self {
        Self { store, hub, clock, after: AtomicI64::new(0) }
    }
}

impl Controller for RunRecovery {
    const NAME: ControllerName = ControllerName::RunRecovery;

    async fn pass(&self) -> Result<Done, Failure> {
        let after = self.after.load(Ordering::Relaxed);
        let store = self.store.acting(Author::controller(Self::NAME.as_str()));
        let look = orphans::end(&store, after, self.clock.now()).await?;
        self.after.store(look.after, Ordering::Relaxed);
        if look.ended > 0 {
            // What waited for them may go out.
            self.hub.notify();
        }
        Ok(Done::of([("ended", look.ended)]))
    }
}

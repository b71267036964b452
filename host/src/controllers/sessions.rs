//! Sessions that are stuck in starting or stopping, and leases that nobody holds any more.

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::audit::Author;
use crate::model::controller::ControllerName;
use crate::store::{Store, sessions};

/// Puts sessions right.
#[derive(Debug)]
pub struct SessionReconciler {
    /// Whose sessions.
    pub store: Store,
    /// Who is told that there may be room.
    pub hub: Hub,
    /// The time.
    pub clock: Clock,
}

impl Controller for SessionReconciler {
    const NAME: ControllerName = ControllerName::SessionReconciler;

    async fn pass(&self) -> Result<Done, Failure> {
        let store = self.store.acting(Author::controller(Self::NAME.as_str()));
        let done = sessions::reconcile(&store, self.clock.now()).await?;
        if done != sessions::Reconciled::default() {
            self.hub.notify();
        }
        let sessions::Reconciled { retried, forced, freed } = done;
        Ok(Done::of([
            ("retried", retried as u64),
            ("forced", forced as u64),
            ("freed", freed as u64),
        ]))
    }
}

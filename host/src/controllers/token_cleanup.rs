//! Tokens and keys that are past their time, removed.

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::model::audit::Author;
use crate::model::controller::{ControllerName, Items};
use crate::model::time::Time;
pub use crate::store::expiry::Expired;
use crate::store::{Store, StoreError, audit, expiry};

/// Removes what is past its time at `now`; in a dry run, counts it and changes nothing.
///
/// # Errors
/// When the store fails; what was removed before is gone, and the next time goes on.
pub async fn token_cleanup(store: &Store, now: Time, dry_run: bool) -> Result<Expired, StoreError> {
    expiry::expire(store, now, dry_run).await
}

/// Removes tokens and keys that are past their time.
#[derive(Debug)]
pub struct TokenCleanup {
    /// Whose.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

impl TokenCleanup {
    async fn remove(&self, dry_run: bool) -> Result<Done, StoreError> {
        let now = self.clock.now();
        let store = self.store.acting(Author::controller(Self::NAME.as_str()));
        let done = Done::of(token_cleanup(&store, now, dry_run).await?.counts());
        if !dry_run {
            audit::note_removed(&store, &done.items, now).await?;
        }
        Ok(done)
    }
}

impl Controller for TokenCleanup {
    const NAME: ControllerName = ControllerName::TokenCleanup;

    async fn pass(&self) -> Result<Done, Failure> {
        Ok(self.remove(false).await?)
    }

    async fn rehearse(&self) -> Result<Option<Items>, Failure> {
        Ok(Some(self.remove(true).await?.items))
    }
}

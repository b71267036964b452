//! What ended longer ago than its workspace keeps it, removed, and its space given back.

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::config::{Keep, RetentionSettings};
use crate::model::audit::Author;
use crate::model::controller::{ControllerName, Items};
use crate::model::time::Time;
pub use crate::store::retention::Removed;
use crate::store::retention::{self, Sweep};
use crate::store::space::{self, GivenBack};
use crate::store::{Store, StoreError, audit};

/// Removes what is due at `now`; in a dry run, counts it and changes nothing.
///
/// # Errors
/// When the store fails; what was removed before is gone, and the next time goes on.
pub async fn retention(
    store: &Store,
    keep: &RetentionSettings,
    now: Time,
    dry_run: bool,
) -> Result<Removed, StoreError> {
    let patient = retention::patient(store).await?;
    let mut removed = Removed::default();
    for scope in retention::scopes(store).await? {
        let Keep { events, runs, logs } = keep.of(&scope);
        let sweep = |span| Sweep { scope: scope.clone(), until: now - span, dry_run };
        // No log outlives its run.
        if let Some(sweep) = logs.into_iter().chain(runs).min().map(sweep) {
            removed += retention::logs(store, &sweep).await?;
        }
        if let Some(sweep) = runs.map(sweep) {
            removed += retention::runs(store, &sweep, &patient, now).await?;
            removed += retention::tasks(store, &sweep).await?;
            removed += retention::words(store, &sweep).await?;
        }
        if let Some(sweep) = events.map(sweep) {
            removed += retention::events(store, &sweep).await?;
        }
    }
    removed += retention::sessions(store, keep, now, dry_run).await?;
    if !dry_run {
        give_back(store).await?;
    }
    Ok(removed)
}

async fn give_back(store: &Store) -> Result<(), StoreError> {
    match space::give_back(store).await? {
        GivenBack { stuck_bytes: bytes @ 1.., .. } => tracing::info!(
            bytes,
            "the store's file has free space and cannot become shorter: it was made by an earlier \
             version; `hillock backup` writes a copy that can, for `hillock restore`"
        ),
        GivenBack { bytes: 0, .. } => {}
        GivenBack { bytes, .. } => tracing::info!(bytes, "the store's file has become shorter"),
    }
    Ok(())
}

/// Removes what ended long ago.
#[derive(Debug)]
pub struct Retention {
    /// Whose.
    pub store: Store,
    /// How long each workspace keeps what.
    pub keep: RetentionSettings,
    /// The time.
    pub clock: Clock,
}

impl Retention {
    async fn remove(&self, dry_run: bool) -> Result<Done, StoreError> {
        let now = self.clock.now();
        let store = self.store.acting(Author::controller(Self::NAME.as_str()));
        let done = Done::of(retention(&store, &self.keep, now, dry_run).await?.counts());
        if !dry_run {
            audit::note_removed(&store, &done.items, now).await?;
        }
        Ok(done)
    }
}

impl Controller for Retention {
    const NAME: ControllerName = ControllerName::Retention;

    async fn pass(&self) -> Result<Done, Failure> {
        Ok(self.remove(false).await?)
    }

    async fn rehearse(&self) -> Result<Option<Items>, Failure> {
        Ok(Some(self.remove(true).await?.items))
    }
}

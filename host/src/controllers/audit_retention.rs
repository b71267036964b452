//! Rows of the audit that are too old to keep.

use std::time::Duration;

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::model::audit::Author;
use crate::model::controller::{ControllerName, Items};
use crate::model::time::Time;
use crate::store::{Store, StoreError, audit};

/// How many rows one transaction removes.
pub const AUDIT_RETENTION_BATCH: u32 = 10_000;

/// What went, or would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedRows {
    /// How many rows.
    pub rows: u64,
    /// In how many batches; none on a dry run.
    pub batches: u64,
    /// What is older than this.
    pub cut_off: Time,
}

/// Removes the rows that are older than `keep`, `batch` of them in each transaction; on a dry run
/// only counts them. The audit is told first, so that it says what is missing however this ends.
///
/// # Errors
/// When the store fails; what was removed before stays so.
pub async fn audit_retention(
    store: &Store,
    keep: Duration,
    batch: u32,
    now: Time,
    dry_run: bool,
) -> Result<RemovedRows, StoreError> {
    let store = &store.acting(Author::controller("audit-retention"));
    let cut_off = now - keep;
    let old = audit::count_old(store, cut_off).await?;
    let mut removed = RemovedRows { rows: 0, batches: 0, cut_off };
    if dry_run || old == 0 {
        return Ok(RemovedRows { rows: old, ..removed });
    }
    audit::announce(store, cut_off, old, now).await?;
    loop {
        match audit::remove_old(store, cut_off, batch.max(1)).await? {
            0 => return Ok(removed),
            rows => {
                removed.rows += rows;
                removed.batches += 1;
            }
        }
    }
}

/// Removes what is too old of the audit.
#[derive(Debug)]
pub struct AuditRetention {
    /// Whose audit.
    pub store: Store,
    /// How old a row may get.
    pub keep: Duration,
    /// The time.
    pub clock: Clock,
}

impl AuditRetention {
    async fn remove(&self, dry_run: bool) -> Result<Done, StoreError> {
        let (keep, now) = (self.keep, self.clock.now());
        let removed =
            audit_retention(&self.store, keep, AUDIT_RETENTION_BATCH, now, dry_run).await?;
        Ok(Done::of([("rows", removed.rows)]))
    }
}

impl Controller for AuditRetention {
    const NAME: ControllerName = ControllerName::AuditRetention;

    async fn pass(&self) -> Result<Done, Failure> {
        Ok(self.remove(false).await?)
    }

    async fn rehearse(&self) -> Result<Option<Items>, Failure> {
        Ok(Some(self.remove(true).await?.items))
    }
}

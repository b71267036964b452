//! Commands whose worker is gone: back to the queue, or failed when they were lost too often.

use super::super::sql::{Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::Current;
use crate::model::id::{CommandId, WorkerId};
use crate::model::time::Time;

/// How many lost commands one transaction puts right.
const LOST_BATCH: u32 = 100;

const SELECT_EXPIRED: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at <= $1
 ORDER BY lease_expires_at
 LIMIT $2",
    postgres: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at <= $1
 ORDER BY lease_expires_at
 LIMIT $2
   FOR UPDATE SKIP LOCKED",
};

const SELECT_OF_WORKER: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at IS NOT NULL
   AND worker_id = $1
   AND id NOT IN (SELECT value FROM json_each($2))",
    postgres: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at IS NOT NULL
   AND worker_id = $1
   AND id NOT IN (SELECT json_array_elements_text($2::json))
   FOR UPDATE",
};

/// Takes from `worker` all but the commands in `kept`; what it lost goes back to the queue, or
/// fails when it was lost too often. Counts them.
///
/// # Errors
/// When the store fails.
pub async fn release_others(
    store: &Store,
    worker: &WorkerId,
    kept: &[CommandId],
    now: Time,
) -> Result<usize, StoreError> {
    let kept: Vec<&str> = kept.iter().map(CommandId::as_str).collect();
    let kept = serde_json::Value::from(kept).to_string();
    store.write(ReleaseOthers { worker: worker.clone(), kept, now }).await
}

/// Puts right some of the commands whose lease has run out, and counts them.
///
/// # Errors
/// When the store fails.
pub async fn release_expired(store: &Store, now: Time) -> Result<usize, StoreError> {
    store.write(ReleaseExpired { now }).await
}

struct ReleaseOthers {
    worker: WorkerId,
    kept: String,
    now: Time,
}

impl Write for ReleaseOthers {
    type Output = usize;
    const DOING: &'static str = "release a worker's commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let binds = binds![self.worker.as_str(), self.kept.as_str()];
        let rows = tx.rows(SELECT_OF_WORKER, &binds).await?;
        lose_all(tx, &rows, self.now).await
    }
}

struct ReleaseExpired {
    now: Time,
}

impl Write for ReleaseExpired {
    type Output = usize;
    const DOING: &'static str = "release expired leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(SELECT_EXPIRED, &binds![self.now, LOST_BATCH]).await?;
        lose_all(tx, &rows, self.now).await
    }
}

async fn lose_all(tx: &mut Tx<'_>, rows: &[Row], now: Time) -> Result<usize, WriteError> {
    for row in rows {
        Current::read(row)?.lose(tx, now).await?;
    }
    Ok(rows.len())
}

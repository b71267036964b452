//! Rows that are too old to keep.

use std::sync::Arc;

use serde_json::json;

use super::super::sql::{Reader, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::AuditEntry;
use crate::model::audit::Author;
use crate::model::time::Time;

const COUNT: &str = "\
SELECT count(*) AS count
  FROM audit
 WHERE at < $1";

const DELETE: &str = "\
DELETE FROM audit
 WHERE seq IN (SELECT seq
                 FROM audit
                WHERE at < $1
                ORDER BY at, seq
                LIMIT $2)";

/// How many rows are from before `cut_off`.
///
/// # Errors
/// When the store fails.
pub async fn count_old(store: &Store, cut_off: Time) -> Result<u64, StoreError> {
    let rows = store.read("count_old_audit_rows", COUNT, &binds![cut_off]).await?;
    let count = rows.first().map(|row| Reader::new("audit", row).count("count")).transpose()?;
    Ok(count.unwrap_or(0).into())
}

/// Says in the audit that so many rows from before `cut_off` are about to go.
///
/// # Errors
/// When the store fails.
pub async fn announce(
    store: &Store,
    cut_off: Time,
    rows: u64,
    now: Time,
) -> Result<(), StoreError> {
    store.write(Announce { cut_off, rows, now, author: store.author() }).await
}

/// Removes the oldest `batch` of the rows from before `cut_off`, and counts them.
///
/// # Errors
/// When the store fails; then none of them is gone.
pub async fn remove_old(store: &Store, cut_off: Time, batch: u32) -> Result<u64, StoreError> {
    store.write(RemoveOld { cut_off, batch }).await
}

struct Announce {
    cut_off: Time,
    rows: u64,
    now: Time,
    author: Arc<Author>,
}

impl Write for Announce {
    type Output = ();
    const NAME: &'static str = "announce_audit_pruning";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let detail = json!({ "before": self.cut_off, "count": self.rows });
        AuditEntry::new("audit.remove", "audit", "", self.now)
            .with(detail)
            .record(tx, &self.author)
            .await
    }
}

struct RemoveOld {
    cut_off: Time,
    batch: u32,
}

impl Write for RemoveOld {
    type Output = u64;
    const NAME: &'static str = "remove_audit_rows";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<u64, WriteError> {
        Ok(tx.execute(DELETE, &binds![self.cut_off, self.batch]).await?)
    }
}

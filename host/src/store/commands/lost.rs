//! Commands whose worker is gone: back to the queue, or failed when they were lost too often.
//!
//! A host that dies between a claim and the worker's acknowledgement leaves a command that is `sent`.
//! Nobody takes it back by itself: the worker may have it. The worker says so when it comes again, to
//! this host or another one; if it comes without it, it has not seen it, and the hand-over does not
//! count against the command. A worker that does not come again lets the lease run out.

use std::sync::Arc;

use super::super::audit;
use super::super::sql::{Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::{Current, select_current};
use crate::model::audit::Author;
use crate::model::command::CommandState;
use crate::model::id::{CommandId, WorkerId};
use crate::model::time::Time;

/// How many lost commands one transaction puts right.
const LOST_BATCH: u32 = 100;

const SELECT_EXPIRED: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.lease_expires_at <= $1
 ORDER BY c.lease_expires_at
 LIMIT $2"
    ),
    postgres: select_current!(
        " WHERE c.lease_expires_at <= $1
 ORDER BY c.lease_expires_at
 LIMIT $2
   FOR UPDATE OF c SKIP LOCKED"
    ),
};

const SELECT_OF_WORKER: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.lease_expires_at IS NOT NULL
   AND c.worker_id = $1
   AND c.id NOT IN (SELECT value FROM json_each($2))"
    ),
    postgres: select_current!(
        " WHERE c.lease_expires_at IS NOT NULL
   AND c.worker_id = $1
   AND c.id NOT IN (SELECT json_array_elements_text($2::json))
   FOR UPDATE OF c"
    ),
};

const SELECT_HELD: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.id = $1
   AND c.lease_expires_at IS NOT NULL"
    ),
    postgres: select_current!(
        " WHERE c.id = $1
   AND c.lease_expires_at IS NOT NULL
   FOR UPDATE OF c"
    ),
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
    store.write(ReleaseExpired { now, author: store.author() }).await
}

/// A command that a worker has, which nobody else changes until the transaction ends.
pub(in crate::store) struct InHand(Current);

/// The command, if a worker has it.
pub(in crate::store) async fn in_hand(
    tx: &mut Tx<'_>,
    id: &CommandId,
) -> Result<Option<InHand>, WriteError> {
    let row = tx.row(SELECT_HELD, &binds![id.as_str()]).await?;
    Ok(row.as_ref().map(Current::read).transpose()?.map(InHand))
}

impl InHand {
    /// The run that it concerns.
    pub(in crate::store) fn run_id(&self) -> Option<&str> {
        self.0.run_id.as_deref()
    }

    /// Takes it from its worker, as if the worker were lost.
    pub(in crate::store) async fn take_back(
        &self,
        tx: &mut Tx<'_>,
        now: Time,
    ) -> Result<(), WriteError> {
        self.0.lose(tx, now).await
    }
}

struct ReleaseOthers {
    worker: WorkerId,
    kept: String,
    now: Time,
}

impl Write for ReleaseOthers {
    type Output = usize;
    const NAME: &'static str = "release_worker_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let binds = binds![self.worker.as_str(), self.kept.as_str()];
        let rows = tx.rows(SELECT_OF_WORKER, &binds).await?;
        for row in &rows {
            let command = Current::read(row)?;
            match command.state {
                CommandState::Sent => command.miss(tx, self.now).await?,
                _ => command.lose(tx, self.now).await?,
            }
        }
        Ok(rows.len())
    }
}

struct ReleaseExpired {
    now: Time,
    author: Arc<Author>,
}

impl Write for ReleaseExpired {
    type Output = usize;
    const NAME: &'static str = "release_expired_leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(SELECT_EXPIRED, &binds![self.now, LOST_BATCH]).await?;
        lose_all(tx, &rows, &self.author, self.now).await
    }
}

pub(super) async fn lose_all(
    tx: &mut Tx<'_>,
    rows: &[Row],
    author: &Author,
    now: Time,
) -> Result<usize, WriteError> {
    let mut whose = Vec::new();
    for row in rows {
        let command = Current::read(row)?;
        command.lose(tx, now).await?;
        whose.push(command.workspace_id);
    }
    audit::forced(tx, author, "command.release", "command", whose, now).await?;
    Ok(rows.len())
}

//! Commands that a worker cannot have any more, whatever their lease says.

use std::sync::Arc;

use super::super::sql::{Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::lost::lose_all;
use super::select_current;
use crate::model::audit::Author;
use crate::model::command::{RUNNING_MAX, SENT_MAX};
use crate::model::time::Time;

/// How many one transaction puts right.
const BATCH: u32 = 100;

/// A lease that a clock far ahead has written outlives its worker.
macro_rules! stuck {
    () => {
        " WHERE c.lease_expires_at IS NOT NULL
   AND (c.lease_expires_at <= $1
        OR (EXISTS (SELECT 1
                      FROM workers w
                     WHERE w.id = c.worker_id
                       AND w.health = 'offline')
            AND ((c.state IN ('sent', 'acknowledged') AND c.sent_at <= $2)
                 OR (c.state = 'running' AND c.started_at <= $3))))
 ORDER BY c.lease_expires_at
 LIMIT $4"
    };
}

const SELECT: Sql = Sql {
    sqlite: select_current!(stuck!()),
    postgres: concat!(
        select_current!(stuck!()),
        "
   FOR UPDATE OF c SKIP LOCKED"
    ),
};

/// Puts right some of the commands whose lease has run out, or whose worker is offline and has had
/// them for too long: back to the queue, or failed when they were lost too often. Counts them.
///
/// # Errors
/// When the store fails.
pub async fn release_stuck(store: &Store, now: Time) -> Result<usize, StoreError> {
    store.write(ReleaseStuck { now, author: store.author() }).await
}

struct ReleaseStuck {
    now: Time,
    author: Arc<Author>,
}

impl Write for ReleaseStuck {
    type Output = usize;
    const NAME: &'static str = "release_stuck_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let binds = binds![self.now, self.now - SENT_MAX, self.now - RUNNING_MAX, BATCH];
        let rows = tx.rows(SELECT, &binds).await?;
        lose_all(tx, &rows, &self.author, self.now).await
    }
}

//! Commands that waited too long for a worker.

use std::sync::Arc;

use super::super::audit;
use super::super::sql::{Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, inputs, notices, runs};
use super::{Current, select_current};
use crate::model::audit::Author;
use crate::model::command::CommandState;
use crate::model::definition::Point;
use crate::model::run::Ending;
use crate::model::time::Time;

/// How many one transaction ends.
const BATCH: u32 = 100;

/// Why a run whose command expired failed.
const EXPIRED: &str = "expired: no worker took it in time";

/// The condition that a command has waited for too long at `$1`. What waits for the run or the session
/// before it waits for no worker: its time begins when the last of them has ended. Nor does what is
/// paused, unless it says itself until when.
macro_rules! overdue {
    ($max:literal) => {
        concat!(
            " WHERE c.expires_at <= $1
   AND c.state IN ('pending', 'blocked')
   AND ((c.after_run_id IS NULL AND c.session_id IS NULL)
        OR ",
            patience!("c"),
            "
           + ",
            $max,
            "(coalesce((SELECT max(earlier.ended_at)
                            FROM runs own
                            JOIN runs earlier ON earlier.session_id = own.session_id
                                             AND earlier.seq < own.seq
                           WHERE own.id = c.run_id), 0),
                 coalesce((SELECT max(earlier.ended_at)
                             FROM runs previous
                             JOIN runs earlier ON earlier.owner_id = previous.owner_id
                                              AND earlier.seq <= previous.seq
                            WHERE previous.id = c.after_run_id), 0)) <= $1)
   AND (c.state = 'blocked'
        OR c.type <> 'run'
        OR c.queue_timeout_ms = 0
        OR NOT ",
            paused!("c.workspace_id"),
            ")",
            ready!("$1"),
            "
 ORDER BY c.expires_at
 LIMIT $2"
        )
    };
}

const SELECT: Sql = Sql {
    sqlite: select_current!(overdue!("max")),
    postgres: concat!(
        select_current!(overdue!("greatest")),
        "
   FOR UPDATE OF c SKIP LOCKED"
    ),
};

/// Ends some of the commands that have waited for too long, with their runs, and counts them.
///
/// # Errors
/// When the store fails.
pub async fn expire(store: &Store, now: Time) -> Result<usize, StoreError> {
    store.write(Expire { now, author: store.author() }).await
}

struct Expire {
    now: Time,
    author: Arc<Author>,
}

impl Write for Expire {
    type Output = usize;
    const NAME: &'static str = "expire_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(SELECT, &binds![self.now, BATCH]).await?;
        let mut whose = Vec::new();
        for row in &rows {
            let command = Current::read(row)?;
            command.expire(tx, self.now).await?;
            whose.push(command.workspace_id);
        }
        audit::forced(tx, &self.author, "command.expire", "command", whose, self.now).await?;
        Ok(rows.len())
    }
}

impl Current {
    async fn expire(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        if !self.close(tx, CommandState::Expired, Some(EXPIRED), now).await? {
            return Ok(());
        }
        match self.attempted() {
            Some(run_id) => {
                runs::note_undelivered(tx, run_id, EXPIRED, now).await?;
                runs::expire(tx, run_id, EXPIRED, now).await?;
                notices::of_run(tx, run_id, Point::CommandExpired, now).await
            }
            None => inputs::settle(tx, &self.id, self.kind, &Ending::failed(EXPIRED), now).await,
        }
    }
}

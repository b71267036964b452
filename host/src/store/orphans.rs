//! Runs that nothing carries on: neither a command nor a task of theirs has still to end.
//!
//! A run and its command are made, and end, in one transaction, so there should be none; a store
//! that was mended by hand or brought back from half a copy may have some. They would block their
//! job's overlap rule and their session for ever.

use super::sql::{Reader, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError, runs};
use crate::model::run::RunStatus;
use crate::model::time::Time;

/// How many open runs are looked at in one go.
const WINDOW: u32 = 10_000;
const ORPHANED: &str = "orphaned: no command and no task carried it on";

/// The condition that nothing carries `r` on.
macro_rules! orphaned {
    () => {
        "((r.status <> 'delegated'
        AND NOT EXISTS (SELECT 1
                          FROM commands c
                         WHERE c.run_id = r.id
                           AND c.type = 'run'
                           AND c.ended_at IS NULL))
       OR (r.status = 'delegated'
           AND NOT EXISTS (SELECT 1
                             FROM tasks t
                            WHERE t.id = r.task_id
                              AND t.ended_at IS NULL)))"
    };
}

const SELECT_WINDOW: &str = concat!(
    "\
SELECT r.id, r.seq, CAST(CASE WHEN ",
    orphaned!(),
    " THEN 1 ELSE 0 END AS BIGINT) AS orphaned
  FROM runs r
 WHERE r.status IN ('scheduled', 'running', 'delegated')
   AND r.seq > $1
 ORDER BY r.seq
 LIMIT $2"
);

/// What its last command, or its task, came to.
macro_rules! select_still {
    () => {
        concat!(
            "\
SELECT r.id, r.status,
       CASE r.status
       WHEN 'delegated' THEN (SELECT t.status FROM tasks t WHERE t.id = r.task_id)
       ELSE (SELECT c.state
               FROM commands c
              WHERE c.run_id = r.id
                AND c.type = 'run'
              ORDER BY c.seq DESC
              LIMIT 1)
       END AS outcome
  FROM runs r
 WHERE r.id = $1
   AND r.status IN ('scheduled', 'running', 'delegated')
   AND ",
            orphaned!()
        )
    };
}

const SELECT_STILL: Sql = Sql {
    sqlite: select_still!(),
    postgres: concat!(
        select_still!(),
        "
   FOR UPDATE OF r"
    ),
};

/// A look at some of the open runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// How many that nothing carried on were ended.
    pub ended: u64,
    /// Where the next look goes on: at the beginning when all were seen.
    pub after: i64,
}

/// Looks at the open runs after `after`, and ends those that nothing carries on: as their last
/// command or their task did, else as failed.
///
/// # Errors
/// When the store fails; what was ended before stays so.
pub async fn end(store: &Store, after: i64, now: Time) -> Result<Look, StoreError> {
    let rows = store.read("find_orphaned_runs", SELECT_WINDOW, &binds![after, WINDOW]).await?;
    let mut look = Look::default();
    for row in &rows {
        let r = Reader::new("runs", row);
        if rows.len() == WINDOW as usize {
            look.after = r.get("seq")?;
        }
        if r.flag("orphaned")? {
            let ended = store.write(End { run_id: r.get("id")?, now }).await?;
            look.ended += u64::from(ended);
        }
    }
    Ok(look)
}

struct End {
    run_id: String,
    now: Time,
}

impl Write for End {
    type Output = bool;
    const NAME: &'static str = "end_orphaned_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        let Some(row) = tx.row(SELECT_STILL, &binds![self.run_id.as_str()]).await? else {
            return Ok(false);
        };
        let r = Reader::new("runs", &row);
        let (status, outcome): (RunStatus, Option<String>) = (r.text("status")?, r.get("outcome")?);
        let outcome = outcome.and_then(|word| word.parse().ok());
        let ending = outcome
            .filter(|outcome: &RunStatus| outcome.is_terminal() && status.may_become(*outcome))
            .unwrap_or(RunStatus::Failed);
        let error = (ending != RunStatus::Completed).then_some(ORPHANED);
        runs::end(tx, &self.run_id, ending, error, self.now).await?;
        Ok(true)
    }
}

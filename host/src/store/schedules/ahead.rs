//! Cursors that were written by a clock far ahead: found by when that was, and set back.
//!
//! Where a cursor stood is kept with it. A clock that is put back for a moment looks like one that was
//! ahead before; when it comes right again, the cursor goes on from there and nothing counts as missed
//! that had its turn.

use serde_json::{Value, json};

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use crate::model::time::{SKEW, Time};

/// A cursor that was written in the future.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The job's identifier.
    pub job_id: String,
    /// Its definition, as JSON text.
    pub spec: String,
    /// Whether the job is enabled, its overlay considered.
    pub enabled: bool,
    /// The slot it stands at.
    pub next_run_at: Time,
    /// The definition's creation.
    pub anchored_at: Time,
}

const SELECT: &str = "\
SELECT s.job_id AS id, d.spec, COALESCE(d.overlay, d.enabled) AS enabled, s.next_run_at,
       s.anchored_at
  FROM schedules s
  JOIN definitions d ON d.id = s.job_id
 WHERE s.set_at > $1
   AND s.next_run_at IS NOT NULL
 LIMIT $2";

// A rival that has moved it meanwhile has done so by a clock of its own.
const SET_BACK: Sql = Sql {
    sqlite: "\
UPDATE schedules
   SET next_run_at = c.next_run_at, due_at = c.due_at, set_at = $2,
       set_back_from = CASE WHEN c.next_run_at < c.seen THEN c.seen
                            ELSE schedules.set_back_from END
  FROM (SELECT value ->> '$.job_id' AS job_id, value ->> '$.seen' AS seen,
               value ->> '$.next_run_at' AS next_run_at, value ->> '$.due_at' AS due_at
          FROM json_each($1)) AS c
 WHERE schedules.job_id = c.job_id
   AND schedules.next_run_at = c.seen",
    postgres: "\
UPDATE schedules s
   SET next_run_at = c.next_run_at, due_at = c.due_at, set_at = $2,
       set_back_from = CASE WHEN c.next_run_at < c.seen THEN c.seen ELSE s.set_back_from END
  FROM json_to_recordset($1::json)
    AS c (job_id text, seen bigint, next_run_at bigint, due_at bigint)
 WHERE s.job_id = c.job_id
   AND s.next_run_at = c.seen",
};

/// Cursors that were written later than any right clock says it is, at most `limit`.
///
/// # Errors
/// When the store fails.
pub async fn ahead(store: &Store, now: Time, limit: u32) -> Result<Vec<Ahead>, StoreError> {
    let rows = store.read("find_cursors_ahead", SELECT, &binds![now + SKEW, limit]).await?;
    rows.iter().map(read).collect()
}

/// Lets these cursors stand at another slot, each with when it is due, as far as they still stand where
/// they were seen. Counts them.
///
/// # Errors
/// When the store fails.
pub async fn set_back(
    store: &Store,
    cursors: &[(Ahead, Time, Time)],
    now: Time,
) -> Result<u64, StoreError> {
    let row = |(ahead, next, due): &(Ahead, Time, Time)| {
        json!({
            "job_id": ahead.job_id,
            "seen": ahead.next_run_at.as_millis(),
            "next_run_at": next.as_millis(),
            "due_at": due.as_millis(),
        })
    };
    let rows: Value = cursors.iter().map(row).collect();
    store.write(SetBack { rows: rows.to_string(), now }).await
}

struct SetBack {
    rows: String,
    now: Time,
}

impl Write for SetBack {
    type Output = u64;
    const NAME: &'static str = "reset_cursors";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<u64, WriteError> {
        Ok(tx.execute(SET_BACK, &binds![self.rows.as_str(), self.now]).await?)
    }
}

fn read(row: &Row) -> Result<Ahead, StoreError> {
    let r = Reader::new("schedules", row);
    Ok(Ahead {
        job_id: r.get("id")?,
        spec: r.get("spec")?,
        enabled: r.flag("enabled")?,
        next_run_at: r.time("next_run_at")?,
        anchored_at: r.time("anchored_at")?,
    })
}

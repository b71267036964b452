//! The jobs that are due, as the scheduler reads them: by index, so that a million others cost
//! nothing.

use serde_json::{Value, json};

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use crate::model::time::Time;

/// A job that is due, as its row has it.
#[derive(Clone, Debug)]
pub struct Due {
    /// The job's identifier.
    pub job_id: String,
    /// Its definition, as JSON text.
    pub spec: String,
    /// The definition's revision.
    pub revision: i64,
    /// Whether the job is enabled, its overlay considered.
    pub enabled: bool,
    /// The slot it stands at.
    pub next_run_at: Time,
    /// Where it stood before it was set back, because a clock was wrong: what lies before has been
    /// dealt with.
    pub set_back_from: Option<Time>,
    /// When it was to be looked at.
    pub due_at: Time,
    /// The definition's creation.
    pub anchored_at: Time,
    /// How often it could not be read.
    pub failures: u32,
}

const SELECT_DUE: &str = "\
SELECT s.job_id AS id, d.spec, d.revision, COALESCE(d.overlay, d.enabled) AS enabled, s.next_run_at,
       s.due_at, s.anchored_at, s.consecutive_resume_failures, s.set_back_from
  FROM schedules s
  JOIN definitions d ON d.id = s.job_id
 WHERE s.due_at <= $1
 ORDER BY s.due_at
 LIMIT $2";

const SELECT_NEXT: &str = "\
SELECT job_id AS id, due_at
  FROM schedules
 WHERE due_at IS NOT NULL
 ORDER BY due_at
 LIMIT 1";

// Whoever comes second finds another due time.
const DEFER: Sql = Sql {
    sqlite: "\
UPDATE schedules
   SET consecutive_resume_failures = consecutive_resume_failures + 1, due_at = d.until, set_at = $2
  FROM (SELECT value ->> '$.job_id' AS job_id, value ->> '$.due_at' AS due_at,
               value ->> '$.until' AS until
          FROM json_each($1)) AS d
 WHERE schedules.job_id = d.job_id
   AND schedules.due_at = d.due_at",
    postgres: "\
UPDATE schedules s
   SET consecutive_resume_failures = s.consecutive_resume_failures + 1, due_at = d.until,
       set_at = $2
  FROM json_to_recordset($1::json) AS d (job_id text, due_at bigint, until bigint)
 WHERE s.job_id = d.job_id
   AND s.due_at = d.due_at",
};

/// The jobs that are due at `now`, at most `limit`, those that have waited longest first.
///
/// # Errors
/// When the store fails.
pub async fn due(store: &Store, now: Time, limit: u32) -> Result<Vec<Due>, StoreError> {
    let rows = store.read("read_due_jobs", SELECT_DUE, &binds![now, limit]).await?;
    rows.iter().map(read).collect()
}

/// When the next job is due; none when none ever is.
///
/// # Errors
/// When the store fails.
pub async fn next_due(store: &Store) -> Result<Option<Time>, StoreError> {
    let rows = store.read("read_next_due_job", SELECT_NEXT, &[]).await?;
    rows.first().map(|row| Reader::new("schedules", row).time("due_at")).transpose()
}

/// Puts off jobs that cannot be read, each until its own instant, and counts the failure.
///
/// # Errors
/// When the store fails.
pub async fn defer(store: &Store, deferred: &[(Due, Time)], now: Time) -> Result<(), StoreError> {
    let row = |(due, until): &(Due, Time)| {
        json!({
            "job_id": due.job_id,
            "due_at": due.due_at.as_millis(),
            "until": until.as_millis(),
        })
    };
    let rows: Value = deferred.iter().map(row).collect();
    store.write(Defer { rows: rows.to_string(), now }).await
}

struct Defer {
    rows: String,
    now: Time,
}

impl Write for Defer {
    type Output = ();
    const NAME: &'static str = "postpone_unreadable_jobs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        tx.execute(DEFER, &binds![self.rows.as_str(), self.now]).await?;
        Ok(())
    }
}

fn read(row: &Row) -> Result<Due, StoreError> {
    let r = Reader::new("schedules", row);
    Ok(Due {
        job_id: r.get("id")?,
        spec: r.get("spec")?,
        revision: r.get("revision")?,
        enabled: r.get::<i64>("enabled")? != 0,
        next_run_at: r.time("next_run_at")?,
        due_at: r.time("due_at")?,
        set_back_from: r.time_if_any("set_back_from")?,
        anchored_at: r.time("anchored_at")?,
        failures: r.count("consecutive_resume_failures")?,
    })
}

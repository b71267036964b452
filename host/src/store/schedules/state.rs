//! A job as it is stored, and where its schedule stands.

use serde::Serialize;

use super::super::sql::{Reader, Row, binds};
use super::super::{Store, StoreError, events};
use crate::model::id::{FireId, JobId};
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::time::Time;

/// Where a job's schedule stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchedulerState {
    /// The next slot; none at the schedule's end.
    pub next_run_at: Option<Time>,
    /// The same, late by the job's own offset: when it fires.
    pub due_at: Option<Time>,
    /// When a slot last made a run that was not canceled from the start.
    pub last_run_at: Option<Time>,
    /// The last slot that made a run, canceled or not.
    pub last_scheduled_at: Option<Time>,
    /// That slot's fire.
    pub last_fire_id: Option<FireId>,
    /// What the schedule means.
    pub schedule_hash: String,
    /// What becomes of missed slots.
    pub catch_up_policy: String,
    /// How late a slot may fire before it counts as missed, in seconds.
    pub misfire_grace_seconds: u32,
    /// How often in a row the definition could not be read when it was due.
    pub consecutive_resume_failures: u32,
    /// When a slot was last found overdue by more than the grace.
    pub last_misfire_at: Option<Time>,
    /// How many slots will never fire because they were.
    pub misfire_count: i64,
}

/// A job as it is stored.
#[derive(Clone, Debug)]
pub struct StoredJob {
    /// Its identifier.
    pub id: JobId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
    /// Its definition, as JSON text.
    pub spec: String,
    /// Whether it is enabled, its overlay considered.
    pub enabled: bool,
    /// When it was defined.
    pub created_at: Time,
    /// Where its schedule stands; none while it is disabled.
    pub state: Option<SchedulerState>,
}

/// The columns of [`SchedulerState`].
macro_rules! select_states {
    ($columns:literal, $rest:literal) => {
        concat!(
            "\
SELECT s.job_id, s.next_run_at, s.due_at, s.last_run_at, s.last_scheduled_at, s.last_fire_id,
       s.schedule_hash, s.catch_up_policy, s.misfire_grace_seconds, s.consecutive_resume_failures,
       s.last_misfire_at, s.misfire_count, ",
            $columns,
            $rest
        )
    };
}

const SELECT_STATE: &str = select_states!(
    "s.job_id AS id",
    "
  FROM schedules s
 WHERE s.job_id = $1"
);

// A name may look like another job's identifier: identifiers go first.
const SELECT_JOB: &str = select_states!(
    "d.id, d.workspace_id, d.name, d.spec, COALESCE(d.overlay, d.enabled) AS enabled, d.created_at",
    "
  FROM definitions d
  LEFT JOIN schedules s ON s.job_id = d.id
 WHERE d.kind = 'job'
   AND d.workspace_id = $1
   AND (d.id = $2 OR d.name = $2)
 ORDER BY CASE WHEN d.id = $2 THEN 0 ELSE 1 END
 LIMIT 1"
);

/// Where a job's schedule stands; none while the job is disabled.
///
/// # Errors
/// When the store fails.
pub async fn state(store: &Store, job_id: &JobId) -> Result<Option<SchedulerState>, StoreError> {
    let rows = store.read("read_schedule", SELECT_STATE, &binds![job_id.as_str()]).await?;
    rows.first().map(read_state).transpose()
}

/// The job of this identifier or name.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    scope: &Scope,
    id_or_name: &str,
) -> Result<Option<StoredJob>, StoreError> {
    let binds = binds![scope.workspace_id(), id_or_name];
    let rows = store.read("read_job", SELECT_JOB, &binds).await?;
    rows.first().map(read_job).transpose()
}

fn read_job(row: &Row) -> Result<StoredJob, StoreError> {
    let r = Reader::new("definitions", row);
    let armed = r.get::<Option<String>>("job_id")?.is_some();
    Ok(StoredJob {
        id: r.text("id")?,
        scope: events::read_scope(&r)?,
        name: r.text("name")?,
        spec: r.get("spec")?,
        enabled: r.get::<i64>("enabled")? != 0,
        created_at: r.time("created_at")?,
        state: armed.then(|| read_state(row)).transpose()?,
    })
}

fn read_state(row: &Row) -> Result<SchedulerState, StoreError> {
    let r = Reader::new("schedules", row);
    Ok(SchedulerState {
        next_run_at: r.time_if_any("next_run_at")?,
        due_at: r.time_if_any("due_at")?,
        last_run_at: r.time_if_any("last_run_at")?,
        last_scheduled_at: r.time_if_any("last_scheduled_at")?,
        last_fire_id: r.text_if_any("last_fire_id")?,
        schedule_hash: r.get("schedule_hash")?,
        catch_up_policy: r.get("catch_up_policy")?,
        misfire_grace_seconds: r.count("misfire_grace_seconds")?,
        consecutive_resume_failures: r.count("consecutive_resume_failures")?,
        last_misfire_at: r.time_if_any("last_misfire_at")?,
        misfire_count: r.get("misfire_count")?,
    })
}

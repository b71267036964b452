//! Runs.

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use super::{Page, PageRequest, Store, StoreError, events};
use crate::model::id::{EventId, RunId};
use crate::model::name::Name;
use crate::model::run::{NewRun, Run, RunStatus};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// With this status only.
    pub status: Option<RunStatus>,
    /// Of this trigger only.
    pub trigger: Option<Name>,
    /// Of this event only.
    pub event_id: Option<EventId>,
}

const INSERT: &str = "\
INSERT INTO runs
       (id, workspace_id, event_id, trigger_id, trigger_name, agent, prompt, stages, status,
        attempt, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'scheduled', 0, $9)";

const START: &str = "\
UPDATE runs
   SET status = 'running', attempt = $2, started_at = $3
 WHERE id = $1
   AND status = 'scheduled'";

const RESCHEDULE: &str = "\
UPDATE runs
   SET status = 'scheduled', started_at = NULL
 WHERE id = $1
   AND status = 'running'";

// The guard is the table of transitions: only a running run completes.
const END: Sql = Sql {
    sqlite: "\
UPDATE runs
   SET status = $2, error = $3, ended_at = $4
 WHERE id = $1
   AND (status = 'running' OR (status = 'scheduled' AND $2 <> 'completed'))",
    postgres: "\
UPDATE runs
   SET status = $2, error = $3, ended_at = $4
 WHERE id = $1
   AND (status = 'running' OR (status = 'scheduled' AND $2::text <> 'completed'))",
};

const SELECT_ONE: &str = "\
SELECT seq, id, workspace_id, event_id, trigger_id, trigger_name, agent, prompt, stages, status,
       attempt, error, created_at, started_at, ended_at
  FROM runs
 WHERE id = $1
   AND workspace_id = $2";

// An unused filter is bound as NULL; PostgreSQL has to be told the type of such a bind.
const SELECT_PAGE: Sql = Sql {
    sqlite: "\
SELECT seq, id, workspace_id, event_id, trigger_id, trigger_name, agent, prompt, stages, status,
       attempt, error, created_at, started_at, ended_at
  FROM runs
 WHERE workspace_id = $1
   AND seq < $2
   AND ($3 IS NULL OR status = $3)
   AND ($4 IS NULL OR trigger_name = $4)
   AND ($5 IS NULL OR event_id = $5)
 ORDER BY seq DESC
 LIMIT $6",
    postgres: "\
SELECT seq, id, workspace_id, event_id, trigger_id, trigger_name, agent, prompt, stages, status,
       attempt, error, created_at, started_at, ended_at
  FROM runs
 WHERE workspace_id = $1
   AND seq < $2
   AND ($3::text IS NULL OR status = $3)
   AND ($4::text IS NULL OR trigger_name = $4)
   AND ($5::text IS NULL OR event_id = $5)
 ORDER BY seq DESC
 LIMIT $6",
};

/// One run.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, scope: &Scope, id: &RunId) -> Result<Option<Run>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read a run", SELECT_ONE, &binds).await?;
    rows.first().map(read).transpose()
}

/// Runs, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    scope: &Scope,
    filter: &RunFilter,
    page: PageRequest,
) -> Result<Page<Run>, StoreError> {
    let binds = binds![
        scope.workspace_id(),
        page.before(),
        filter.status.map(RunStatus::as_str),
        filter.trigger.as_ref().map(Name::as_str),
        filter.event_id.as_ref().map(EventId::as_str),
        page.fetch(),
    ];
    let rows = store.read("list runs", SELECT_PAGE, &binds).await?;
    Page::read("runs", &rows, page, read)
}

pub(super) async fn insert(tx: &mut Tx<'_>, run: &NewRun) -> Result<(), WriteError> {
    let binds = binds![
        run.id.as_str(),
        run.scope.workspace_id(),
        run.event_id.as_str(),
        run.trigger_id.as_str(),
        run.trigger.as_str(),
        run.agent.as_str(),
        run.prompt.as_str(),
        serde_json::to_string(&run.stages).unwrap_or_default(),
        run.created_at,
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

pub(super) async fn start(
    tx: &mut Tx<'_>,
    run_id: &str,
    attempt: u32,
    at: Time,
) -> Result<(), WriteError> {
    tx.execute(START, &binds![run_id, attempt, at]).await?;
    Ok(())
}

pub(super) async fn reschedule(tx: &mut Tx<'_>, run_id: &str) -> Result<(), WriteError> {
    tx.execute(RESCHEDULE, &binds![run_id]).await?;
    Ok(())
}

pub(super) async fn end(
    tx: &mut Tx<'_>,
    run_id: &str,
    status: RunStatus,
    error: Option<&str>,
    at: Time,
) -> Result<(), WriteError> {
    tx.execute(END, &binds![run_id, status.as_str(), error, at]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Run, StoreError> {
    let r = Reader::new("runs", row);
    Ok(Run {
        made: NewRun {
            id: r.text("id")?,
            scope: events::read_scope(&r)?,
            event_id: r.text("event_id")?,
            trigger_id: r.text("trigger_id")?,
            trigger: r.text("trigger_name")?,
            agent: r.text("agent")?,
            prompt: r.get("prompt")?,
            stages: r.json("stages")?,
            created_at: r.time("created_at")?,
        },
        status: r.text("status")?,
        attempt: r.count("attempt")?,
        started_at: r.time_if_any("started_at")?,
        ended_at: r.time_if_any("ended_at")?,
        error: r.get("error")?,
    })
}

//! Runs.

use std::collections::{HashMap, HashSet};

use super::sql::{Bind, Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use super::{Page, PageRequest, Store, StoreError, events, notices, tally, tasks};
use crate::metrics::Fact;
use crate::model::bounds;
use crate::model::definition::{Point, Retry};
use crate::model::id::{EventId, RunId, SessionId, TaskId};
use crate::model::name::Name;
use crate::model::run::{Delegation, Fire, Interaction, NewRun, Owner, OwnerKind, Run, RunStatus};
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// With this status only.
    pub status: Option<RunStatus>,
    /// Of a trigger, a job or a task only.
    pub owner_kind: Option<OwnerKind>,
    /// Of the trigger, job or task with this identifier only.
    pub owner_id: Option<String>,
    /// Of this event only.
    pub event_id: Option<EventId>,
    /// Of this agent only.
    pub agent: Option<Name>,
    /// In this session only.
    pub session: Option<SessionId>,
    /// Made at this instant or later.
    pub since: Option<Time>,
    /// Made before this instant.
    pub until: Option<Time>,
    /// But those with one of these words as their status, their owner's kind or its identifier.
    pub exclude: Vec<String>,
}

const INSERT: &str = "\
INSERT INTO runs
       (id, workspace_id, owner_kind, owner_id, owner_name, event_id, fire_id, scheduled_at, agent,
        prompt, untrusted_content, task, priority, retry, depth, causes, stages, terms, session_id,
        status, attempt, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        'scheduled', 0, $20)";

const START: &str = "\
UPDATE runs
   SET status = 'running', attempt = $2, started_at = $3, due_at = NULL, interaction = 'working'
 WHERE id = $1
   AND status = 'scheduled'
RETURNING owner_kind";

const RESCHEDULE: &str = "\
UPDATE runs
   SET status = 'scheduled', started_at = NULL, interaction = 'working'
 WHERE id = $1
   AND status = 'running'
RETURNING owner_kind";

const NOTE_UNDELIVERED: &str = "\
UPDATE runs
   SET delivery_error = $2, delivery_error_at = $3
 WHERE id = $1
   AND ended_at IS NULL";

const WAIT: &str = "\
UPDATE runs
   SET status = 'scheduled', started_at = NULL, due_at = $2, error = $3, interaction = 'working'
 WHERE id = $1
   AND status IN ('scheduled', 'running')
RETURNING owner_kind";

const SELECT_RETRY: &str = "\
SELECT id, retry
  FROM runs
 WHERE id = $1";

// The guard is the table of transitions: only what was begun completes. Another replica's clock may
// be behind the one that began it.
const END: Sql = Sql {
    sqlite: "\
UPDATE runs
   SET status = $2, error = $3, ended_at = max($4, coalesce(started_at, $4)), due_at = NULL,
       interaction = 'closed'
 WHERE id = $1
   AND (status IN ('running', 'delegated') OR (status = 'scheduled' AND $2 <> 'completed'))
RETURNING owner_kind",
    postgres: "\
UPDATE runs
   SET status = $2, error = $3, ended_at = greatest($4, started_at), due_at = NULL,
       interaction = 'closed'
 WHERE id = $1
   AND (status IN ('running', 'delegated')
        OR (status = 'scheduled' AND $2::text <> 'completed'))
RETURNING owner_kind",
};

/// Where a run stands, as people see it: what somebody has to approve first is `blocked`.
macro_rules! shown_status {
    () => {
        "CASE WHEN runs.status = 'scheduled'
             AND EXISTS (SELECT 1
                           FROM commands c
                          WHERE c.run_id = runs.id
                            AND c.state = 'blocked')
            THEN 'blocked'
            ELSE runs.status END"
    };
}

/// A query of runs.
macro_rules! select_runs {
    ($rest:expr) => {
        concat!(
            "\
SELECT seq, id, workspace_id, owner_kind, owner_id, owner_name, event_id, fire_id, scheduled_at,
       agent, prompt, untrusted_content, task, priority, retry, depth, causes, stages,
       ",
            shown_status!(),
            " AS status,
       attempt, due_at, error, delivery_error, delivery_error_at, task_id, task_run_id, terms,
       interaction, result, log_removed, created_at, started_at, ended_at
  FROM runs
",
            $rest
        )
    };
}

const SELECT_ONE: &str = select_runs!(
    " WHERE id = $1
   AND workspace_id = $2"
);

const SELECT_LOCKED: Sql = Sql {
    sqlite: select_runs!(" WHERE id = $1"),
    postgres: select_runs!(
        " WHERE id = $1
   FOR UPDATE"
    ),
};

const SELECT_OF_TASK: &str = select_runs!(
    " WHERE owner_id = $1
   AND workspace_id = $2
   AND seq < $3
 ORDER BY seq DESC
 LIMIT $4"
);

const SELECT_IN_SESSION: &str = select_runs!(
    " WHERE session_id = $1
   AND workspace_id = $2
   AND seq < $3
 ORDER BY seq DESC
 LIMIT $4"
);

const INTERACT: &str = "\
UPDATE runs
   SET interaction = $2
 WHERE id = $1
   AND status = 'running'
   AND interaction <> $2
RETURNING owner_kind";

const JOIN_SESSION: &str = "\
UPDATE runs
   SET session_id = $2, terms = $3
 WHERE id = $1
   AND session_id IS NULL";

const SELECT_OWNERS: Sql = Sql {
    sqlite: "\
SELECT DISTINCT owner_id
  FROM runs
 WHERE id IN (SELECT value FROM json_each($1))
   AND workspace_id = $2",
    postgres: "\
SELECT DISTINCT owner_id
  FROM runs
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND workspace_id = $2",
};

const SELECT_LAST_FIRED: Sql = Sql {
    sqlite: "\
SELECT value AS owner_id, (SELECT max(created_at) FROM runs WHERE owner_id = value) AS at
  FROM json_each($1)",
    postgres: "\
SELECT value AS owner_id, (SELECT max(created_at) FROM runs WHERE owner_id = value) AS at
  FROM json_array_elements_text($1::json)",
};

/// A page of them. An unused filter is bound as NULL; PostgreSQL has to be told the type of such a
/// bind. Runs are numbered as they are made: whatever the clocks of several hosts say, one that was
/// made an hour before another has the lower number, and so far the numbers are looked at.
macro_rules! select_page {
    ($text:literal, $number:literal, $list:literal, $narrow:literal) => {
        select_runs!(concat!(
            " WHERE ",
            $narrow,
            "
   AND seq < $2
   AND ($3",
            $text,
            " IS NULL OR ",
            shown_status!(),
            " = $3)
   AND ($4",
            $text,
            " IS NULL OR owner_kind = $4)
   AND ($5",
            $text,
            " IS NULL OR owner_id = $5)
   AND ($6",
            $text,
            " IS NULL OR event_id = $6)
   AND ($7",
            $text,
            " IS NULL OR agent = $7)
   AND ($8",
            $text,
            " IS NULL OR session_id = $8)
   AND ($9",
            $number,
            " IS NULL OR created_at >= $9)
   AND ($10",
            $number,
            " IS NULL OR created_at < $10)
   AND seq >= CASE WHEN $9",
            $number,
            " IS NULL THEN 0
                   ELSE coalesce((SELECT first.seq
                                    FROM runs first
                                   WHERE first.created_at >= $9 - 3600000
                                   ORDER BY first.created_at, first.seq
                                   LIMIT 1), 9223372036854775807) END
   AND seq <= CASE WHEN $10",
            $number,
            " IS NULL THEN 9223372036854775807
                   ELSE coalesce((SELECT last.seq
                                    FROM runs last
                                   WHERE last.created_at < $10 + 3600000
                                   ORDER BY last.created_at DESC, last.seq DESC
                                   LIMIT 1), -1) END
   AND ($11",
            $text,
            " IS NULL
        OR NOT (",
            shown_status!(),
            " IN ",
            $list,
            "
                OR owner_kind IN ",
            $list,
            "
                OR owner_id IN ",
            $list,
            "))
 ORDER BY seq DESC
 LIMIT $12"
        ))
    };
    // What is found by an index of its own need not be looked for in that of the workspace.
    ($narrow:literal) => {
        Sql {
            sqlite: select_page!("", "", "(SELECT value FROM json_each($11))", $narrow),
            postgres: select_page!(
                "::text",
                "::bigint",
                "(SELECT json_array_elements_text($11::json))",
                $narrow
            ),
        }
    };
}

const SELECT_PAGE: Sql = select_page!("workspace_id = $1");

const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($1 AS TEXT) IS NULL");

const SELECT_PAGE_OF_OWNER: Sql = select_page!(
    "seq IN (SELECT own.seq FROM runs own WHERE own.owner_id = $5)
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
);

const SELECT_PAGE_OF_EVENT: Sql = select_page!(
    "seq IN (SELECT own.seq FROM runs own WHERE own.event_id = $6)
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
);

const SELECT_PAGE_OF_AGENT: Sql = select_page!(
    "agent = $7
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
);

const SELECT_PAGE_IN_SESSION: Sql = select_page!(
    "seq IN (SELECT own.seq FROM runs own WHERE own.session_id = $8)
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
);

const SELECT_PAGE_OF_BLOCKED: Sql = select_page!(
    "id IN (SELECT waits.run_id FROM commands waits WHERE waits.state = 'blocked')
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
);

/// One run.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, scope: &Scope, id: &RunId) -> Result<Option<Run>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read_run", SELECT_ONE, &binds).await?;
    rows.first().map(read).transpose()
}

/// The runs of a task, newest first.
///
/// # Errors
/// When the store fails.
pub async fn of_task(
    store: &Store,
    scope: &Scope,
    id: &TaskId,
    page: PageRequest,
) -> Result<Page<Run>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id(), page.before(), page.fetch()];
    let rows = store.read("list_task_runs", SELECT_OF_TASK, &binds).await?;
    Page::read("runs", &rows, page, read)
}

/// The runs of a session, newest first.
///
/// # Errors
/// When the store fails.
pub async fn in_session(
    store: &Store,
    scope: &Scope,
    id: &SessionId,
    page: PageRequest,
) -> Result<Page<Run>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id(), page.before(), page.fetch()];
    let rows = store.read("list_session_runs", SELECT_IN_SESSION, &binds).await?;
    Page::read("runs", &rows, page, read)
}

/// The same within a transaction.
pub(super) async fn find_in(
    tx: &mut Tx<'_>,
    scope: &Scope,
    id: &RunId,
) -> Result<Option<Run>, WriteError> {
    let row = tx.row(SELECT_ONE, &binds![id.as_str(), scope.workspace_id()]).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The triggers and jobs whose runs these are, by their identifiers; what is no run's is passed
/// over.
///
/// # Errors
/// When the store fails.
pub async fn owners(
    store: &Store,
    scope: &Scope,
    ids: &[String],
) -> Result<HashSet<String>, StoreError> {
    let binds = binds![serde_json::Value::from(ids).to_string(), scope.workspace_id()];
    let rows = store.read("read_event_causes", SELECT_OWNERS, &binds).await?;
    rows.iter().map(|row| Reader::new("runs", row).get("owner_id")).collect()
}

/// When each of these triggers and jobs has last fired, by the runs that are kept.
///
/// # Errors
/// When the store fails.
pub async fn last_fired(
    store: &Store,
    owner_ids: &[&str],
) -> Result<HashMap<String, Time>, StoreError> {
    let owners = serde_json::Value::from(owner_ids).to_string();
    let rows = store.read("read_last_fires", SELECT_LAST_FIRED, &binds![owners]).await?;
    let mut fired = HashMap::new();
    for row in &rows {
        let r = Reader::new("runs", row);
        if let Some(at) = r.time_if_any("at")? {
            fired.insert(r.get("owner_id")?, at);
        }
    }
    Ok(fired)
}

/// Runs, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &RunFilter,
    page: PageRequest,
) -> Result<Page<Run>, StoreError> {
    let reach = reach.into();
    let exclude = (!filter.exclude.is_empty())
        .then(|| serde_json::Value::from(filter.exclude.as_slice()).to_string());
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.status.map(RunStatus::as_str),
        filter.owner_kind.map(OwnerKind::as_str),
        filter.owner_id.as_deref(),
        filter.event_id.as_ref().map(EventId::as_str),
        filter.agent.as_ref().map(Name::as_str),
        filter.session.as_ref().map(SessionId::as_str),
        filter.since,
        filter.until,
        exclude,
        page.fetch(),
    ];
    let rows = store.read("list_runs", narrowest(&reach, filter), &binds).await?;
    Page::read("runs", &rows, page, read)
}

fn narrowest(reach: &Reach, filter: &RunFilter) -> Sql {
    match filter {
        RunFilter { event_id: Some(_), .. } => SELECT_PAGE_OF_EVENT,
        RunFilter { owner_id: Some(_), .. } => SELECT_PAGE_OF_OWNER,
        RunFilter { session: Some(_), .. } => SELECT_PAGE_IN_SESSION,
        RunFilter { status: Some(RunStatus::Blocked), .. } => SELECT_PAGE_OF_BLOCKED,
        RunFilter { agent: Some(_), .. } => SELECT_PAGE_OF_AGENT,
        _ => reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL),
    }
}

pub(super) async fn insert(tx: &mut Tx<'_>, run: &NewRun) -> Result<(), WriteError> {
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let binds = binds![
        run.id.as_str(),
        run.scope.workspace_id(),
        run.owner.kind().as_str(),
        run.owner.id(),
        run.owner.name().as_str(),
        run.event_id.as_ref().map(EventId::as_str),
        run.fire.as_ref().map(|fire| fire.id.as_str()),
        run.fire.as_ref().map(|fire| fire.scheduled_at),
        run.agent.as_str(),
        run.prompt.as_str(),
        run.content.as_str(),
        run.task.as_ref().map(|task| json(serde_json::to_string(task))),
        run.priority.as_str(),
        json(serde_json::to_string(&run.retry)),
        run.depth,
        json(serde_json::to_string(&run.causes)),
        json(serde_json::to_string(&run.stages)),
        json(serde_json::to_string(&run.terms)),
        run.terms.session.as_ref().map(|session| session.id.as_str()),
        run.created_at,
    ];
    tx.execute(INSERT, &binds).await?;
    tally::note(Fact::RunsMade { owner: run.owner.kind(), count: 1 });
    notices::of_run(tx, run.id.as_str(), Point::RunScheduled, run.created_at).await
}

pub(super) async fn start(
    tx: &mut Tx<'_>,
    run_id: &str,
    attempt: u32,
    at: Time,
) -> Result<(), WriteError> {
    if changed(tx, START, &binds![run_id, attempt, at], run_id, at).await? {
        notices::of_run(tx, run_id, Point::RunStarted, at).await?;
    }
    Ok(())
}

/// Back into the queue.
pub(super) async fn reschedule(tx: &mut Tx<'_>, run_id: &str, at: Time) -> Result<(), WriteError> {
    changed(tx, RESCHEDULE, &binds![run_id], run_id, at).await?;
    Ok(())
}

/// Notes why handing the run over failed. It stays the last such reason, whatever comes after.
pub(super) async fn note_undelivered(
    tx: &mut Tx<'_>,
    run_id: &str,
    why: &str,
    at: Time,
) -> Result<(), WriteError> {
    tx.execute(NOTE_UNDELIVERED, &binds![run_id, why, at]).await?;
    Ok(())
}

/// Lets the run wait for its next attempt. The error is the last attempt's.
pub(super) async fn wait(
    tx: &mut Tx<'_>,
    run_id: &str,
    error: Option<&str>,
    due_at: Time,
    at: Time,
) -> Result<(), WriteError> {
    if changed(tx, WAIT, &binds![run_id, due_at, error], run_id, at).await? {
        tally::note(Fact::RunRetried);
    }
    Ok(())
}

/// Changes a run, and its task with it; whether the run was in a state that allows it.
async fn changed(
    tx: &mut Tx<'_>,
    sql: impl Into<Sql>,
    binds: &[Bind],
    run_id: &str,
    at: Time,
) -> Result<bool, WriteError> {
    let Some(row) = tx.row(sql, binds).await? else { return Ok(false) };
    if Reader::new("runs", &row).text::<OwnerKind>("owner_kind")? == OwnerKind::Task {
        tasks::follow(tx, run_id, at).await?;
    }
    Ok(true)
}

/// One run, which nobody else changes until the transaction ends.
pub(super) async fn locked(tx: &mut Tx<'_>, run_id: &str) -> Result<Option<Run>, WriteError> {
    let row = tx.row(SELECT_LOCKED, &binds![run_id]).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// Notes whether a run that works waits for input.
pub(super) async fn interact(
    tx: &mut Tx<'_>,
    run_id: &str,
    interaction: Interaction,
    at: Time,
) -> Result<(), WriteError> {
    changed(tx, INTERACT, &binds![run_id, interaction.as_str()], run_id, at).await?;
    Ok(())
}

/// Puts a run that belongs to no session into the one that its terms name now.
pub(super) async fn join_session(tx: &mut Tx<'_>, run: &NewRun) -> Result<(), WriteError> {
    let Some(session) = &run.terms.session else { return Ok(()) };
    let terms = serde_json::to_string(&run.terms).unwrap_or_default();
    tx.execute(JOIN_SESSION, &binds![run.id.as_str(), session.id.as_str(), terms]).await?;
    Ok(())
}

/// What becomes of a failed attempt of the run.
pub(super) async fn retry(tx: &mut Tx<'_>, run_id: &str) -> Result<Retry, WriteError> {
    match tx.row(SELECT_RETRY, &binds![run_id]).await? {
        Some(row) => Ok(Reader::new("runs", &row).json("retry")?),
        None => Ok(Retry::None),
    }
}

pub(super) async fn end(
    tx: &mut Tx<'_>,
    run_id: &str,
    status: RunStatus,
    error: Option<&str>,
    at: Time,
) -> Result<(), WriteError> {
    if changed(tx, END, &binds![run_id, status.as_str(), error, at], run_id, at).await? {
        tally::note(Fact::RunsEnded { status, count: 1 });
        let point = match status {
            RunStatus::Completed => Point::RunCompleted,
            RunStatus::Failed => Point::RunFailed,
            _ => Point::RunCanceled,
        };
        notices::of_run(tx, run_id, point, at).await?;
    }
    Ok(())
}

/// Ends a run that nobody began in time.
pub(super) async fn expire(
    tx: &mut Tx<'_>,
    run_id: &str,
    error: &str,
    at: Time,
) -> Result<(), WriteError> {
    end(tx, run_id, RunStatus::Failed, Some(error), at).await
}

fn read(row: &Row) -> Result<Run, StoreError> {
    let r = Reader::new("runs", row);
    let delivery_error: Option<String> = r.get("delivery_error")?;
    let delivery_error_at = r.time_if_any("delivery_error_at")?;
    Ok(Run {
        made: NewRun {
            id: r.text("id")?,
            scope: events::read_scope(&r)?,
            owner: read_owner(&r)?,
            event_id: r.text_if_any("event_id")?,
            fire: read_fire(&r)?,
            agent: r.text("agent")?,
            prompt: r.get("prompt")?,
            content: r.text("untrusted_content")?,
            task: r.json_if_any("task")?,
            priority: r.text("priority")?,
            retry: r.json("retry")?,
            depth: r.count("depth")?,
            causes: r.json("causes")?,
            stages: r.json("stages")?,
            terms: r.json("terms")?,
            created_at: r.time("created_at")?,
        },
        status: r.text("status")?,
        attempt: r.count("attempt")?,
        started_at: r.time_if_any("started_at")?,
        ended_at: r.time_if_any("ended_at")?,
        due_at: r.time_if_any("due_at")?,
        error: r.get::<Option<String>>("error")?.map(bounds::error),
        delivery_error: delivery_error.zip(delivery_error_at),
        delegation: r
            .text_if_any("task_id")?
            .zip(r.text_if_any("task_run_id")?)
            .map(|(task_id, task_run_id)| Delegation { task_id, task_run_id }),
        log_removed: r.flag("log_removed")?,
        interaction: r.text("interaction")?,
        result: r.json_if_any("result")?,
    })
}

/// Whose fire a run is, of the three columns that say so.
pub(super) fn read_owner(r: &Reader<'_>) -> Result<Owner, StoreError> {
    let name = r.text("owner_name")?;
    Ok(match r.text("owner_kind")? {
        OwnerKind::Trigger => Owner::Trigger { id: r.text("owner_id")?, name },
        OwnerKind::Job => Owner::Job { id: r.text("owner_id")?, name },
        OwnerKind::Task => Owner::Task { id: r.text("owner_id")?, agent: name },
    })
}

fn read_fire(r: &Reader<'_>) -> Result<Option<Fire>, StoreError> {
    let Some(id) = r.text_if_any("fire_id")? else { return Ok(None) };
    Ok(Some(Fire { id, scheduled_at: r.time("scheduled_at")? }))
}

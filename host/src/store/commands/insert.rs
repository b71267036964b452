//! Commands as they are made: first attempts, the attempts that follow, and words to workers.

use serde_json::{Value, json};

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;
use super::super::{notices, queues, sessions};
use crate::model::command::Control;
use crate::model::definition::Point;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::policy::Ask;
use crate::model::queue::{QUEUE_TIMEOUT, Queue};
use crate::model::run::NewRun;
use crate::model::text::storable;
use crate::model::time::Time;

// Who asks once asks for each execution class, until somebody approves.
const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO commands
       (id, type, workspace_id, run_id, queue, class_id, lane, session_id, state, attempt,
        dispatch_attempts, priority, on_lost, due_at, expires_at, queue_timeout_ms, after_run_id,
        log_lines, events, created_at)
SELECT c.value ->> '$.id', 'run', c.value ->> '$.workspace_id', c.value ->> '$.run_id',
       c.value ->> '$.queue', c.value ->> '$.class_id', c.value ->> '$.lane',
       c.value ->> '$.session_id',
       CASE c.value ->> '$.ask'
            WHEN 'always' THEN 'blocked'
            WHEN 'on-miss' THEN iif(k.approved_at IS NULL, 'blocked', 'pending')
            ELSE 'pending' END,
       1, 0, c.value ->> '$.priority', c.value ->> '$.on_lost', c.value ->> '$.due_at',
       c.value ->> '$.expires_at', c.value ->> '$.queue_timeout_ms', c.value ->> '$.after_run_id',
       0, 0, c.value ->> '$.created_at'
  FROM json_each($1) c
  JOIN classes k ON k.id = c.value ->> '$.class_id'
 ORDER BY c.key",
    postgres: "\
INSERT INTO commands
       (id, type, workspace_id, run_id, queue, class_id, lane, session_id, state, attempt,
        dispatch_attempts, priority, on_lost, due_at, expires_at, queue_timeout_ms, after_run_id,
        log_lines, events, created_at)
SELECT c.value ->> 'id', 'run', c.value ->> 'workspace_id', c.value ->> 'run_id',
       c.value ->> 'queue', c.value ->> 'class_id', c.value ->> 'lane', c.value ->> 'session_id',
       CASE c.value ->> 'ask'
            WHEN 'always' THEN 'blocked'
            WHEN 'on-miss' THEN CASE WHEN k.approved_at IS NULL THEN 'blocked' ELSE 'pending' END
            ELSE 'pending' END,
       1, 0, (c.value ->> 'priority')::bigint, c.value ->> 'on_lost',
       (c.value ->> 'due_at')::bigint, (c.value ->> 'expires_at')::bigint,
       (c.value ->> 'queue_timeout_ms')::bigint,
       c.value ->> 'after_run_id', 0, 0,
       (c.value ->> 'created_at')::bigint
  FROM json_array_elements($1::json) WITH ORDINALITY AS c (value, nth)
  JOIN classes k ON k.id = c.value ->> 'class_id'
 ORDER BY c.nth",
};

const SELECT_BLOCKED: Sql = Sql {
    sqlite: "\
SELECT id, run_id, created_at
  FROM commands
 WHERE id IN (SELECT value FROM json_each($1))
   AND state = 'blocked'",
    postgres: "\
SELECT id, run_id, created_at
  FROM commands
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND state = 'blocked'",
};

/// The attempt that follows: in its predecessor's queue, not before it is due, and with as much time
/// to wait for a worker.
const INSERT_NEXT: &str = concat!(
    "\
INSERT INTO commands
       (id, type, workspace_id, run_id, queue, class_id, lane, session_id, state, attempt,
        dispatch_attempts, priority, on_lost, prompt, due_at, expires_at, queue_timeout_ms,
        log_lines, events, created_at)
SELECT $2, type, workspace_id, run_id, queue, class_id, lane, session_id, 'pending', attempt + 1,
       0, priority, on_lost, coalesce(next_prompt, prompt), $3,
       ",
    renewed!("commands", "$3"),
    ", queue_timeout_ms, 0, 0, $4
  FROM commands
 WHERE id = $1"
);

const INSERT_CONTROL: &str = "\
INSERT INTO commands
       (id, type, workspace_id, run_id, queue, state, attempt, dispatch_attempts, priority, on_lost,
        control, expires_at, log_lines, events, created_at)
VALUES ($1, $2, $3, $4, $5, 'pending', 1, 0, 1000, 'requeue', $6, $7, 0, 0, $8)";

/// A run's first attempt.
pub(in crate::store) struct First<'r> {
    /// The command.
    pub(in crate::store) id: &'r CommandId,
    /// Its run.
    pub(in crate::store) run: &'r NewRun,
    /// It goes out when this run has ended.
    pub(in crate::store) after: Option<&'r RunId>,
}

/// Queues the first attempts of these runs, in one statement for each table.
pub(in crate::store) async fn insert_all(
    tx: &mut Tx<'_>,
    firsts: &[First<'_>],
) -> Result<(), WriteError> {
    if firsts.is_empty() {
        return Ok(());
    }
    let queues: Vec<Queue> = firsts.iter().map(|first| queue_of(first.run)).collect();
    queues::know(tx, &queues).await?;
    sessions::know(tx, firsts.iter().map(|first| first.run)).await?;
    let rows: Value = firsts.iter().zip(&queues).map(|(first, queue)| row(first, queue)).collect();
    tx.execute(INSERT, &binds![rows.to_string()]).await?;
    if queues.iter().any(|queue| asks(queue) != Ask::Off) {
        tell_of_blocked(tx, firsts).await?;
    }
    queues::hint(tx).await
}

/// Tells of those that somebody has to approve first.
async fn tell_of_blocked(tx: &mut Tx<'_>, firsts: &[First<'_>]) -> Result<(), WriteError> {
    let ids: Value = firsts.iter().map(|first| first.id.as_str()).collect();
    let rows = tx.rows(SELECT_BLOCKED, &binds![ids.to_string()]).await?;
    for row in &rows {
        let r = Reader::new("commands", row);
        let (run_id, at): (String, Time) = (r.get("run_id")?, r.time("created_at")?);
        notices::of_run(tx, &run_id, Point::CommandBlocked, at).await?;
    }
    Ok(())
}

/// Queues the attempt after `command`.
pub(super) async fn insert_next(
    tx: &mut Tx<'_>,
    command: &CommandId,
    next: &CommandId,
    due_at: Time,
    now: Time,
) -> Result<(), WriteError> {
    tx.execute(INSERT_NEXT, &binds![command.as_str(), next.as_str(), due_at, now]).await?;
    queues::hint(tx).await
}

/// A word to a worker.
pub(in crate::store) struct Word<'w> {
    /// Its command.
    pub(in crate::store) id: &'w CommandId,
    /// The workspace it concerns.
    pub(in crate::store) workspace_id: &'w str,
    /// The run it concerns.
    pub(in crate::store) run_id: Option<&'w str>,
    /// Whom it is for.
    pub(in crate::store) worker_id: &'w WorkerId,
    /// What it says.
    pub(in crate::store) control: &'w Control,
    /// It is of no use from then on.
    pub(in crate::store) expires_at: Time,
}

/// Queues a word to a worker.
pub(in crate::store) async fn insert_control(
    tx: &mut Tx<'_>,
    word: &Word<'_>,
    now: Time,
) -> Result<(), WriteError> {
    let control = serde_json::to_string(word.control).map(storable).unwrap_or_default();
    let binds = binds![
        word.id.as_str(),
        word.control.command_type().as_str(),
        word.workspace_id,
        word.run_id,
        control_queue(word.worker_id),
        control,
        word.expires_at,
        now,
    ];
    tx.execute(INSERT_CONTROL, &binds).await?;
    queues::hint(tx).await
}

/// Where words to a worker wait: `/` stands in no queue's identifier.
pub(super) fn control_queue(worker: &WorkerId) -> String {
    format!("worker/{worker}")
}

/// The queue of a run's commands.
pub(in crate::store) fn queue_of(run: &NewRun) -> Queue {
    Queue::new(
        run.scope.clone(),
        run.agent.clone(),
        run.terms.lane.clone(),
        run.terms.policy.clone(),
        run.terms.routing.clone(),
    )
}

fn asks(queue: &Queue) -> Ask {
    queue.policy.as_ref().map_or(Ask::Off, |policy| policy.ask)
}

fn row(first: &First<'_>, queue: &Queue) -> Value {
    let First { id, run, after } = first;
    let workspace = run.scope.workspace_id();
    let lane = run.terms.lane.as_ref().map(|lane| format!("{workspace}/{}/{lane}", run.agent));
    let timeout =
        run.terms.queue_timeout_ms.map_or(QUEUE_TIMEOUT, std::time::Duration::from_millis);
    let due_at = run.terms.scheduled_at.filter(|at| *at > run.created_at);
    let expires_at = run.terms.expires_at.unwrap_or(due_at.unwrap_or(run.created_at) + timeout);
    // One that says until when has no time of its own.
    let patience = if run.terms.expires_at.is_some() { 0 } else { timeout.as_millis() };
    json!({
        "id": id,
        "workspace_id": workspace,
        "run_id": run.id,
        "queue": queue.id,
        "class_id": queue.class_id,
        "lane": lane,
        "session_id": run.terms.session.as_ref().map(|session| &session.id),
        "ask": asks(queue),
        "priority": run.priority.base(),
        "on_lost": run.terms.on_lost,
        "due_at": due_at.map(Time::as_millis),
        "expires_at": expires_at.as_millis(),
        "queue_timeout_ms": i64::try_from(patience).unwrap_or(i64::MAX),
        "after_run_id": after,
        "created_at": run.created_at.as_millis(),
    })
}

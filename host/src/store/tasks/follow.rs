//! A task follows its present run: the oldest of its runs that has not ended, else its latest.

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, notices, tally};
use crate::metrics::Fact;
use crate::model::definition::Point;
use crate::model::id::TaskId;
use crate::model::run::RunStatus;
use crate::model::task::TaskStatus;
use crate::model::time::Time;

// Locked by a statement of its own: what the next one sees of the runs is all that was committed
// before.
const LOCK_OF_RUN: Sql = Sql {
    sqlite: "\
SELECT t.id, t.status
  FROM runs r
  JOIN tasks t ON t.id = r.owner_id
 WHERE r.id = $1",
    postgres: "\
SELECT t.id, t.status
  FROM runs r
  JOIN tasks t ON t.id = r.owner_id
 WHERE r.id = $1
   FOR UPDATE OF t",
};

const LOCK: Sql = Sql {
    sqlite: "\
SELECT id, status
  FROM tasks
 WHERE id = $1",
    postgres: "\
SELECT id, status
  FROM tasks
 WHERE id = $1
   FOR UPDATE",
};

// What is asked of a task that has ended begins it anew: it has no result and no error until its
// new run has.
const TAKE_UP: &str = "\
UPDATE tasks
   SET run_id = $2,
       status = CASE WHEN ended_at IS NULL THEN status ELSE 'queued' END,
       error = CASE WHEN ended_at IS NULL THEN error END,
       result = CASE WHEN ended_at IS NULL THEN result END,
       ended_at = NULL, archived_at = NULL
 WHERE id = $1";

// The guard is the table of transitions; a task that was begun is never dropped.
const FOLLOW: &str = "\
UPDATE tasks
   SET status = present.task_status, error = present.error,
       result = coalesce(present.result, tasks.result),
       started_at = coalesce(tasks.started_at, present.started_at),
       ended_at = CASE WHEN present.task_status IN ('done', 'error', 'dropped', 'canceled')
                       THEN CAST($2 AS BIGINT) END
  FROM (SELECT r.error, r.result, r.started_at,
               CASE WHEN r.status = 'scheduled' AND r.due_at IS NULL THEN 'queued'
                    WHEN r.status = 'scheduled' THEN 'sleeping'
                    WHEN r.status = 'running' AND r.interaction = 'waiting_for_input' THEN 'waiting'
                    WHEN r.status = 'running' THEN 'running'
                    WHEN r.status = 'completed' THEN 'done'
                    WHEN r.status = 'canceled' THEN 'canceled'
                    WHEN r.attempt = 0 AND t.status = 'queued' THEN 'dropped'
                    ELSE 'error' END AS task_status
          FROM tasks t
          JOIN runs latest ON latest.id = t.run_id
          JOIN runs r
            ON r.id = coalesce((SELECT u.id
                                  FROM runs u
                                 WHERE u.owner_id = t.id
                                   AND u.status IN ('scheduled', 'running')
                                 ORDER BY u.seq
                                 LIMIT 1), latest.id)
         WHERE t.id = $1) AS present
 WHERE tasks.id = $1
   AND tasks.status IN ('queued', 'running', 'waiting', 'sleeping')
   AND tasks.status <> present.task_status
   AND (tasks.status <> 'queued' OR present.task_status NOT IN ('done', 'waiting'))
   AND (tasks.status = 'queued' OR present.task_status <> 'dropped')
RETURNING id, status";

// The run of the job that handed the task over.
const END_DELEGATED: &str = "\
UPDATE runs
   SET status = CASE t.status WHEN 'done' THEN 'completed'
                              WHEN 'canceled' THEN 'canceled'
                              ELSE 'failed' END,
       error = t.error, result = t.result, ended_at = $2, interaction = 'closed'
  FROM (SELECT id AS task_id, status, error, result
          FROM tasks
         WHERE id = $1) AS t
 WHERE runs.task_id = t.task_id
   AND runs.status = 'delegated'
RETURNING runs.id AS id, runs.status AS status";

/// Brings a task up to where its runs stand; whether that changed it. It follows them by itself:
/// this is for what should not happen.
///
/// # Errors
/// When the store fails.
pub async fn catch_up(store: &Store, id: &TaskId, now: Time) -> Result<bool, StoreError> {
    store.write(CatchUp { id: id.clone(), now }).await
}

struct CatchUp {
    id: TaskId,
    now: Time,
}

impl Write for CatchUp {
    type Output = bool;
    const NAME: &'static str = "update_task_from_runs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        follow_locked(tx, LOCK, self.id.as_str(), self.now).await
    }
}

/// Has a task go on with this run, which was asked for behind all others. One that has ended is
/// open again, and comes back from wherever it was put away.
pub(in crate::store) async fn take_up(
    tx: &mut Tx<'_>,
    task_id: &str,
    run_id: &str,
) -> Result<(), WriteError> {
    tx.execute(TAKE_UP, &binds![task_id, run_id]).await?;
    Ok(())
}

/// Brings the task whose run has just changed up to where its runs stand.
pub(in crate::store) async fn follow(
    tx: &mut Tx<'_>,
    run_id: &str,
    now: Time,
) -> Result<(), WriteError> {
    follow_locked(tx, LOCK_OF_RUN, run_id, now).await?;
    Ok(())
}

/// The same for a task.
pub(super) async fn follow_task(
    tx: &mut Tx<'_>,
    task_id: &str,
    now: Time,
) -> Result<(), WriteError> {
    follow_locked(tx, LOCK, task_id, now).await?;
    Ok(())
}

async fn follow_locked(
    tx: &mut Tx<'_>,
    lock: Sql,
    id: &str,
    now: Time,
) -> Result<bool, WriteError> {
    let Some(row) = tx.row(lock, &binds![id]).await? else { return Ok(false) };
    let r = Reader::new("tasks", &row);
    let (task_id, before): (String, TaskStatus) = (r.get("id")?, r.text("status")?);
    if before.is_terminal() {
        return Ok(false);
    }
    let Some(row) = tx.row(FOLLOW, &binds![task_id.as_str(), now]).await? else {
        return Ok(false);
    };
    let after: TaskStatus = Reader::new("tasks", &row).text("status")?;
    // Who has its answer goes on with what it had begun.
    let resumed = (before, after) == (TaskStatus::Waiting, TaskStatus::Running);
    if let Some(point) = after.point().filter(|_| !resumed) {
        notices::of_tasks(tx, &[&task_id], point, now).await?;
    }
    if after.is_terminal() {
        end_delegated(tx, &task_id, now).await?;
    }
    Ok(true)
}

async fn end_delegated(tx: &mut Tx<'_>, task_id: &str, now: Time) -> Result<(), WriteError> {
    for row in tx.rows(END_DELEGATED, &binds![task_id, now]).await? {
        let r = Reader::new("runs", &row);
        let status = r.text("status")?;
        tally::note(Fact::RunsEnded { status, count: 1 });
        let point = match status {
            RunStatus::Completed => Point::RunCompleted,
            RunStatus::Canceled => Point::RunCanceled,
            _ => Point::RunFailed,
        };
        notices::of_run(tx, &r.get::<String>("id")?, point, now).await?;
    }
    Ok(())
}

//! Calling tasks off, and putting them away.

use std::sync::Arc;

use serde_json::Value;

use super::super::audit::AuditEntry;
use super::super::commands;
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::follow::follow_task;
use crate::model::audit::Author;
use crate::model::id::{RunId, TaskId};
use crate::model::scope::Scope;
use crate::model::task::TaskStatus;
use crate::model::time::Time;

/// Why the runs of a task that was called off are canceled.
const CANCELED: &str = "its task was called off";

const SELECT_STATUS: &str = "\
SELECT id, status
  FROM tasks
 WHERE id = $1
   AND workspace_id = $2";

const SELECT_UNDER_WAY: &str = "\
SELECT id
  FROM runs
 WHERE owner_id = $1
   AND status IN ('scheduled', 'running')
 ORDER BY seq";

const SELECT_DELEGATED: Sql = Sql {
    sqlite: "\
SELECT id, task_id
  FROM runs
 WHERE id IN (SELECT value FROM json_each($1))
   AND status = 'delegated'",
    postgres: "\
SELECT id, task_id
  FROM runs
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND status = 'delegated'
 ORDER BY id",
};

const ARCHIVE: &str = "\
UPDATE tasks
   SET archived_at = $3
 WHERE id = $1
   AND workspace_id = $2
   AND archived_at IS NULL
   AND status IN ('done', 'error', 'dropped', 'canceled')";

const UNARCHIVE: &str = "\
UPDATE tasks
   SET archived_at = NULL
 WHERE id = $1
   AND workspace_id = $2
   AND archived_at IS NOT NULL";

/// What became of a wish to cancel a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskCanceling {
    /// It is canceled.
    Ended,
    /// A worker is at it, and is asked to stop.
    Asked,
    /// It had ended already.
    Over,
}

/// What became of a wish to put a task away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archiving {
    /// It is put away, now or before.
    Archived,
    /// It has not ended.
    UnderWay,
}

/// Calls a task off, with all that waits behind its present run. None when there is no such task.
///
/// # Errors
/// When the store fails.
pub async fn cancel(
    store: &Store,
    scope: &Scope,
    id: &TaskId,
    now: Time,
) -> Result<Option<TaskCanceling>, StoreError> {
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(Cancel { scope, id, now, author }).await
}

/// Puts a task that has ended out of sight. None when there is no such task.
///
/// # Errors
/// When the store fails.
pub async fn archive(
    store: &Store,
    scope: &Scope,
    id: &TaskId,
    now: Time,
) -> Result<Option<Archiving>, StoreError> {
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(Archive { scope, id, now, author }).await
}

/// Brings a task back that was put away; one that was not stays as it is. Whether there is such a
/// task.
///
/// # Errors
/// When the store fails.
pub async fn unarchive(
    store: &Store,
    scope: &Scope,
    id: &TaskId,
    now: Time,
) -> Result<bool, StoreError> {
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(Unarchive { scope, id, now, author }).await
}

/// Calls off the tasks that those of these runs that are delegated were handed over to, each for
/// its run's reason. Gives the commands to stop, of runs that a worker has; none at all when no run
/// among these is delegated.
pub(in crate::store) async fn cancel_delegated(
    tx: &mut Tx<'_>,
    runs: &[(RunId, String)],
    now: Time,
) -> Result<Option<Vec<commands::Stop>>, WriteError> {
    if runs.is_empty() {
        return Ok(None);
    }
    let ids: Value = runs.iter().map(|(run, _)| run.as_str()).collect();
    let rows = tx.rows(SELECT_DELEGATED, &binds![ids.to_string()]).await?;
    let mut stops = Vec::new();
    for row in &rows {
        let r = Reader::new("runs", row);
        let (run, task): (RunId, String) = (r.text("id")?, r.get("task_id")?);
        let reason = runs.iter().find(|(id, _)| *id == run).map_or(CANCELED, |(_, why)| why);
        stops.extend(call_off(tx, &task, reason, now).await?);
    }
    Ok((!rows.is_empty()).then_some(stops))
}

/// Calls off all of a task's runs that have not ended.
async fn call_off(
    tx: &mut Tx<'_>,
    task_id: &str,
    reason: &str,
    now: Time,
) -> Result<Vec<commands::Stop>, WriteError> {
    let mut stops = Vec::new();
    // On PostgreSQL a follow-up may have been added while we waited for the present run's command.
    // The second look sees it; no more can come as long as we hold that.
    for _ in 0..2 {
        let rows = tx.rows(SELECT_UNDER_WAY, &binds![task_id]).await?;
        let run = |row| Ok((Reader::new("runs", row).text("id")?, reason.to_owned()));
        let runs = rows.iter().map(run).collect::<Result<Vec<_>, StoreError>>()?;
        let asked = commands::stop_all(tx, &runs, now).await?;
        stops = asked.into_iter().map(|stop| as_first_seen(stop, &stops)).collect();
    }
    follow_task(tx, task_id, now).await?;
    Ok(stops)
}

/// What the first look has asked to stop was not asked before, though the second look finds it so.
fn as_first_seen(stop: commands::Stop, before: &[commands::Stop]) -> commands::Stop {
    let first = before.iter().find(|known| known.command_id == stop.command_id);
    commands::Stop { told: first.map_or(stop.told, |first| first.told), ..stop }
}

struct Cancel {
    scope: Scope,
    id: TaskId,
    now: Time,
    author: Arc<Author>,
}

impl Cancel {
    async fn status(&self, tx: &mut Tx<'_>) -> Result<Option<TaskStatus>, WriteError> {
        let binds = binds![self.id.as_str(), self.scope.workspace_id()];
        let row = tx.row(SELECT_STATUS, &binds).await?;
        Ok(row.map(|row| Reader::new("tasks", &row).text("status")).transpose()?)
    }
}

impl Write for Cancel {
    type Output = Option<TaskCanceling>;
    const NAME: &'static str = "cancel_task";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<TaskCanceling>, WriteError> {
        match self.status(tx).await? {
            None => return Ok(None),
            Some(status) if status.is_terminal() => return Ok(Some(TaskCanceling::Over)),
            Some(_) => {}
        }
        let reason = format!("{CANCELED}{}", self.author.actor.by());
        let stops = call_off(tx, self.id.as_str(), &reason, self.now).await?;
        let canceling = match self.status(tx).await? {
            Some(TaskStatus::Canceled) => TaskCanceling::Ended,
            Some(status) if status.is_terminal() && stops.is_empty() => TaskCanceling::Over,
            _ => TaskCanceling::Asked,
        };
        let asked_before = stops.iter().any(|stop| stop.told);
        if canceling != TaskCanceling::Over && !asked_before {
            let entry = AuditEntry::new("task.cancel", "task", self.scope.workspace_id(), self.now);
            entry.on(self.id.as_str()).record(tx, &self.author).await?;
        }
        Ok(Some(canceling))
    }
}

struct Archive {
    scope: Scope,
    id: TaskId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Archive {
    type Output = Option<Archiving>;
    const NAME: &'static str = "archive_task";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Archiving>, WriteError> {
        let (id, workspace) = (self.id.as_str(), self.scope.workspace_id());
        if tx.execute(ARCHIVE, &binds![id, workspace, self.now]).await? > 0 {
            let entry = AuditEntry::new("task.archive", "task", workspace, self.now);
            entry.on(id).record(tx, &self.author).await?;
            return Ok(Some(Archiving::Archived));
        }
        let Some(row) = tx.row(SELECT_STATUS, &binds![id, workspace]).await? else {
            return Ok(None);
        };
        let status: TaskStatus = Reader::new("tasks", &row).text("status")?;
        // One that has ended was put away before.
        let ended = status.is_terminal();
        Ok(Some(if ended { Archiving::Archived } else { Archiving::UnderWay }))
    }
}

struct Unarchive {
    scope: Scope,
    id: TaskId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Unarchive {
    type Output = bool;
    const NAME: &'static str = "unarchive_task";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        let (id, workspace) = (self.id.as_str(), self.scope.workspace_id());
        if tx.execute(UNARCHIVE, &binds![id, workspace]).await? > 0 {
            let entry = AuditEntry::new("task.unarchive", "task", workspace, self.now);
            entry.on(id).record(tx, &self.author).await?;
            return Ok(true);
        }
        Ok(tx.row(SELECT_STATUS, &binds![id, workspace]).await?.is_some())
    }
}

//! Calling runs off.

use serde_json::{Value, json};

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, notices, runs};
use super::{Canceling, Current};
use crate::model::command::CommandState;
use crate::model::definition::Point;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::run::Ending;
use crate::model::scope::Scope;
use crate::model::time::Time;

const SELECT_OF_RUN: Sql = Sql {
    sqlite: "\
SELECT c.id, c.run_id, c.state, c.attempt, c.dispatch_attempts, c.cancel_requested_at, c.worker_id
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.run_id = $1
   AND r.workspace_id = $2
   AND c.state IN ('pending', 'sent', 'running')",
    postgres: "\
SELECT c.id, c.run_id, c.state, c.attempt, c.dispatch_attempts, c.cancel_requested_at, c.worker_id
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.run_id = $1
   AND r.workspace_id = $2
   AND c.state IN ('pending', 'sent', 'running')
   FOR UPDATE OF c",
};

const ASK_CANCEL: &str = "\
UPDATE commands
   SET cancel_requested_at = $2
 WHERE id = $1
   AND cancel_requested_at IS NULL
   AND state IN ('sent', 'running')";

// In an order that is the same for everybody who locks several.
const SELECT_OF_RUNS: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, worker_id
  FROM commands
 WHERE run_id IN (SELECT value ->> '$.run_id' FROM json_each($1))
   AND state IN ('pending', 'sent', 'running')",
    postgres: "\
SELECT id, run_id, state, worker_id
  FROM commands
 WHERE run_id IN (SELECT value ->> 'run_id' FROM json_array_elements($1::json) AS value)
   AND state IN ('pending', 'sent', 'running')
 ORDER BY id
   FOR UPDATE",
};

const END_ALL: Sql = Sql {
    sqlite: "\
UPDATE commands
   SET state = 'canceled', ended_at = $2
 WHERE id IN (SELECT value FROM json_each($1))
   AND state = 'pending'",
    postgres: "\
UPDATE commands
   SET state = 'canceled', ended_at = $2
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND state = 'pending'",
};

const END_RUNS: Sql = Sql {
    sqlite: "\
UPDATE runs
   SET status = 'canceled', error = c.reason, ended_at = $2, due_at = NULL
  FROM (SELECT value ->> '$.run_id' AS run_id, value ->> '$.reason' AS reason
          FROM json_each($1)) AS c
 WHERE runs.id = c.run_id
   AND runs.status = 'scheduled'",
    postgres: "\
UPDATE runs r
   SET status = 'canceled', error = c.reason, ended_at = $2, due_at = NULL
  FROM json_to_recordset($1::json) AS c (run_id text, reason text)
 WHERE r.id = c.run_id
   AND r.status = 'scheduled'",
};

const ASK_CANCEL_ALL: Sql = Sql {
    sqlite: "\
UPDATE commands
   SET cancel_requested_at = $2
 WHERE id IN (SELECT value FROM json_each($1))
   AND cancel_requested_at IS NULL",
    postgres: "\
UPDATE commands
   SET cancel_requested_at = $2
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND cancel_requested_at IS NULL",
};

/// A command that was asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The command.
    pub command_id: CommandId,
    /// Who holds it, and is to be told.
    pub worker_id: WorkerId,
}

/// Calls a run off. None when there is no such run.
///
/// # Errors
/// When the store fails.
pub async fn cancel(
    store: &Store,
    scope: &Scope,
    run_id: &RunId,
    now: Time,
) -> Result<Option<Canceling>, StoreError> {
    if runs::find(store, scope, run_id).await?.is_none() {
        return Ok(None);
    }
    store.write(Cancel { scope: scope.clone(), run_id: run_id.clone(), now }).await.map(Some)
}

struct Cancel {
    scope: Scope,
    run_id: RunId,
    now: Time,
}

impl Write for Cancel {
    type Output = Canceling;
    const DOING: &'static str = "cancel a run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Canceling, WriteError> {
        let binds = binds![self.run_id.as_str(), self.scope.workspace_id()];
        let found = match tx.row(SELECT_OF_RUN, &binds).await? {
            // On PostgreSQL the attempt may have failed while we waited for its row. The one that
            // follows it can be seen by another statement only.
            None => tx.row(SELECT_OF_RUN, &binds).await?,
            found => found,
        };
        let Some(row) = found else { return Ok(Canceling::Over) };
        let command = Current::read(&row)?;
        if command.state == CommandState::Pending {
            command.end(tx, &Ending::Canceled, self.now).await?;
            return Ok(Canceling::Ended);
        }
        tx.execute(ASK_CANCEL, &binds![command.id.as_str(), self.now]).await?;
        let worker_id = Reader::new("commands", &row).text("worker_id")?;
        Ok(Canceling::Asked { command_id: command.id, worker_id })
    }
}

/// Calls several runs off, each for a reason: those that wait end at once, those that a worker has
/// are asked to stop.
pub(in crate::store) async fn cancel_all(
    tx: &mut Tx<'_>,
    runs: &[(RunId, String)],
    now: Time,
) -> Result<Vec<Stop>, WriteError> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Value =
        runs.iter().map(|(run, reason)| json!({ "run_id": run, "reason": reason })).collect();
    let binds = binds![wanted.to_string()];
    let mut rows = tx.rows(SELECT_OF_RUNS, &binds).await?;
    if rows.len() < runs.len() {
        // As in `Cancel`: what has just followed a failed attempt is seen now.
        rows = tx.rows(SELECT_OF_RUNS, &binds).await?;
    }
    let active = rows.iter().map(Active::read).collect::<Result<Vec<_>, _>>()?;
    let (held, waiting): (Vec<Active>, Vec<Active>) =
        active.into_iter().partition(|command| command.worker_id.is_some());
    end_all(tx, &waiting, runs, now).await?;
    let ids: Value = held.iter().map(|command| command.id.as_str()).collect();
    if !held.is_empty() {
        tx.execute(ASK_CANCEL_ALL, &binds![ids.to_string(), now]).await?;
    }
    Ok(held.into_iter().filter_map(Active::stop).collect())
}

async fn end_all(
    tx: &mut Tx<'_>,
    waiting: &[Active],
    runs: &[(RunId, String)],
    now: Time,
) -> Result<(), WriteError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let ids: Value = waiting.iter().map(|command| command.id.as_str()).collect();
    tx.execute(END_ALL, &binds![ids.to_string(), now]).await?;
    let waits = |run: &&(RunId, String)| waiting.iter().any(|command| command.run_id == run.0);
    let ended = runs.iter().filter(waits);
    let rows: Value =
        ended.clone().map(|(run, why)| json!({ "run_id": run, "reason": why })).collect();
    tx.execute(END_RUNS, &binds![rows.to_string(), now]).await?;
    let ids: Vec<&str> = ended.map(|(run, _)| run.as_str()).collect();
    notices::of_runs(tx, &ids, Point::RunCanceled, now).await
}

/// A command that has not ended.
struct Active {
    id: CommandId,
    run_id: RunId,
    /// None while it is pending.
    worker_id: Option<WorkerId>,
}

impl Active {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("commands", row);
        let state: CommandState = r.text("state")?;
        let worker_id = r.text_if_any("worker_id")?.filter(|_| state != CommandState::Pending);
        Ok(Self { id: r.text("id")?, run_id: r.text("run_id")?, worker_id })
    }

    fn stop(self) -> Option<Stop> {
        Some(Stop { command_id: self.id, worker_id: self.worker_id? })
    }
}

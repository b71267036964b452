//! Calling runs off.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::audit::AuditEntry;
use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, notices, runs, sessions, tally, tasks};
use super::{Canceling, Current, Word, insert_control, select_current};
use crate::metrics::Fact;
use crate::model::audit::Author;
use crate::model::command::{CommandState, Control, LEASE};
use crate::model::definition::Point;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::run::RunStatus;
use crate::model::scope::Scope;
use crate::model::session::SessionState;
use crate::model::time::Time;

/// Why a run that somebody called off was canceled.
pub(super) const CALLED_OFF: &str = "called off";

/// How long a word to stop a program is of use: from then on the worker's heartbeats bring it.
const WORD_LIFE: Duration = LEASE;

const SELECT_OF_RUN: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.run_id = $1
   AND c.workspace_id = $2
   AND c.type = 'run'
   AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running')"
    ),
    postgres: select_current!(
        " WHERE c.run_id = $1
   AND c.workspace_id = $2
   AND c.type = 'run'
   AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running')
   FOR UPDATE OF c"
    ),
};

// What an interruption was to begin next is called off, too. Why it is to stop is what was said
// first, unless that was an interruption.
const ASK_CANCEL: &str = "\
UPDATE commands
   SET cancel_requested_at = coalesce(cancel_requested_at, $2), next_prompt = NULL,
       cancel_reason = CASE WHEN next_prompt IS NULL THEN coalesce(cancel_reason, $3)
                            ELSE $3 END
 WHERE id = $1
   AND state IN ('sent', 'acknowledged', 'running')";

// In an order that is the same for everybody who locks several.
const SELECT_OF_RUNS: Sql = Sql {
    sqlite: "\
SELECT id, run_id, workspace_id, state, worker_id, session_id, cancel_requested_at
  FROM commands
 WHERE run_id IN (SELECT value ->> '$.run_id' FROM json_each($1))
   AND type = 'run'
   AND state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running')",
    postgres: "\
SELECT id, run_id, workspace_id, state, worker_id, session_id, cancel_requested_at
  FROM commands
 WHERE run_id IN (SELECT value ->> 'run_id' FROM json_array_elements($1::json) AS value)
   AND type = 'run'
   AND state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running')
 ORDER BY id
   FOR UPDATE",
};

const END_ALL: Sql = Sql {
    sqlite: "\
UPDATE commands
   SET state = 'canceled', ended_at = $2
 WHERE id IN (SELECT value FROM json_each($1))
   AND state IN ('blocked', 'pending')",
    postgres: "\
UPDATE commands
   SET state = 'canceled', ended_at = $2
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND state IN ('blocked', 'pending')",
};

const END_RUNS: Sql = Sql {
    sqlite: "\
UPDATE runs
   SET status = 'canceled', error = c.reason, ended_at = $2, due_at = NULL,
       interaction = 'closed'
  FROM (SELECT value ->> '$.run_id' AS run_id, value ->> '$.reason' AS reason
          FROM json_each($1)) AS c
 WHERE runs.id = c.run_id
   AND runs.status = 'scheduled'",
    postgres: "\
UPDATE runs r
   SET status = 'canceled', error = c.reason, ended_at = $2, due_at = NULL,
       interaction = 'closed'
  FROM json_to_recordset($1::json) AS c (run_id text, reason text)
 WHERE r.id = c.run_id
   AND r.status = 'scheduled'",
};

/// A command that was asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The command.
    pub command_id: CommandId,
    /// Who holds it, and is to be told.
    pub worker_id: WorkerId,
    /// Whether it had been asked before.
    pub told: bool,
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
    let (scope, run_id, author) = (scope.clone(), run_id.clone(), store.author());
    store.write(Cancel { scope, run_id, now, author }).await.map(Some)
}

struct Cancel {
    scope: Scope,
    run_id: RunId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Cancel {
    type Output = Canceling;
    const NAME: &'static str = "cancel_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Canceling, WriteError> {
        let binds = binds![self.run_id.as_str(), self.scope.workspace_id()];
        let found = match tx.row(SELECT_OF_RUN, &binds).await? {
            // On PostgreSQL the attempt may have failed while we waited for its row. The one that
            // follows it can be seen by another statement only.
            None => tx.row(SELECT_OF_RUN, &binds).await?,
            found => found,
        };
        let Some(row) = found else { return self.cancel_task(tx).await };
        let command = Current::read(&row)?;
        let reason = self.reason();
        let canceling = command.call_off(tx, self.scope.workspace_id(), &reason, self.now).await?;
        if !command.cancel_requested {
            self.record(tx).await?;
        }
        Ok(canceling)
    }
}

impl Cancel {
    /// A run without a command has ended, or was handed over to a task.
    async fn cancel_task(&self, tx: &mut Tx<'_>) -> Result<Canceling, WriteError> {
        let run = (self.run_id.clone(), self.reason());
        let Some(stops) = tasks::cancel_delegated(tx, &[run], self.now).await? else {
            return Ok(Canceling::Over);
        };
        if stops.iter().all(|stop| !stop.told) {
            self.record(tx).await?;
        }
        Ok(match stops.into_iter().next() {
            Some(Stop { command_id, worker_id, .. }) => Canceling::Asked { command_id, worker_id },
            None => Canceling::Ended,
        })
    }

    fn reason(&self) -> String {
        format!("{CALLED_OFF}{}", self.author.actor.by())
    }

    async fn record(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let entry = AuditEntry::new("run.cancel", "run", self.scope.workspace_id(), self.now);
        entry.on(self.run_id.as_str()).record(tx, &self.author).await
    }
}

/// A command that a worker has, and that is to stop.
pub(in crate::store) struct Held<'c> {
    pub(in crate::store) command_id: &'c CommandId,
    pub(in crate::store) run_id: &'c str,
    pub(in crate::store) workspace_id: &'c str,
    pub(in crate::store) worker_id: &'c WorkerId,
    pub(in crate::store) in_session: bool,
    /// Whether it has been asked to stop before.
    pub(in crate::store) told: bool,
}

impl Held<'_> {
    /// Notes that it is to stop, and why, and tells its worker.
    pub(in crate::store) async fn stop(
        &self,
        tx: &mut Tx<'_>,
        reason: &str,
        now: Time,
    ) -> Result<(), WriteError> {
        tx.execute(ASK_CANCEL, &binds![self.command_id.as_str(), now, reason]).await?;
        if self.told {
            return Ok(());
        }
        if self.in_session {
            sessions::enter(tx, self.command_id, SessionState::Stopping, now).await?;
        }
        let name = format!("cancel {} {}", self.command_id, now.as_millis());
        let word = Word {
            id: &CommandId::derive(&Scope::Global, &name),
            workspace_id: self.workspace_id,
            run_id: Some(self.run_id),
            worker_id: self.worker_id,
            control: &Control::Cancel { command_id: self.command_id.clone() },
            expires_at: now + WORD_LIFE,
        };
        insert_control(tx, &word, now).await
    }
}

/// Calls several runs off, each for a reason: those that wait end at once, those that a worker has
/// are asked to stop, and those that were handed over to a task end with it.
pub(in crate::store) async fn cancel_all(
    tx: &mut Tx<'_>,
    runs: &[(RunId, String)],
    now: Time,
) -> Result<Vec<Stop>, WriteError> {
    let mut stops = stop_all(tx, runs, now).await?;
    stops.extend(tasks::cancel_delegated(tx, runs, now).await?.unwrap_or_default());
    Ok(stops)
}

/// The same, of runs that have commands of their own.
pub(in crate::store) async fn stop_all(
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
    for command in &held {
        if let Some(held) = command.held() {
            let reason = runs.iter().find(|(run, _)| *run == command.run_id);
            held.stop(tx, reason.map_or(CALLED_OFF, |(_, reason)| reason), now).await?;
        }
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
    let count = tx.execute(END_ALL, &binds![ids.to_string(), now]).await?;
    tally::note(Fact::CommandsEnded { state: CommandState::Canceled, count });
    let waits = |run: &&(RunId, String)| waiting.iter().any(|command| command.run_id == run.0);
    let ended = runs.iter().filter(waits);
    let rows: Value =
        ended.clone().map(|(run, why)| json!({ "run_id": run, "reason": why })).collect();
    let count = tx.execute(END_RUNS, &binds![rows.to_string(), now]).await?;
    tally::note(Fact::RunsEnded { status: RunStatus::Canceled, count });
    let ids: Vec<&str> = ended.map(|(run, _)| run.as_str()).collect();
    notices::of_runs(tx, &ids, Point::RunCanceled, now).await
}

/// A command that has not ended.
struct Active {
    id: CommandId,
    run_id: RunId,
    workspace_id: String,
    in_session: bool,
    told: bool,
    /// None while no worker has it.
    worker_id: Option<WorkerId>,
}

impl Active {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("commands", row);
        let state: CommandState = r.text("state")?;
        Ok(Self {
            id: r.text("id")?,
            run_id: r.text("run_id")?,
            workspace_id: r.get("workspace_id")?,
            in_session: r.get::<Option<String>>("session_id")?.is_some(),
            told: r.time_if_any("cancel_requested_at")?.is_some(),
            worker_id: r.text_if_any("worker_id")?.filter(|_| state.is_active()),
        })
    }

    fn held(&self) -> Option<Held<'_>> {
        Some(Held {
            command_id: &self.id,
            run_id: self.run_id.as_str(),
            workspace_id: &self.workspace_id,
            worker_id: self.worker_id.as_ref()?,
            in_session: self.in_session,
            told: self.told,
        })
    }

    fn stop(self) -> Option<Stop> {
        Some(Stop { command_id: self.id, worker_id: self.worker_id?, told: self.told })
    }
}

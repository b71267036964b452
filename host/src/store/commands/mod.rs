//! The queue: commands, their leases and their fences.
//!
//! A change by a worker is fenced twice: the row is found by id *and* token, and the update names
//! the states it may leave. Commands are locked before their runs, everywhere.

mod backlog;
mod cancel;
mod claim;
mod held;
mod lost;

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use super::{StoreError, runs};
use crate::model::command::{CommandState, DISPATCH_ATTEMPTS_MAX, LEASE, Token};
use crate::model::definition::Agent;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::run::{Ending, NewRun};
use crate::model::scope::Scope;
use crate::model::time::Time;
pub use backlog::{Backlog, backlogs};
pub(super) use cancel::cancel_all;
pub use cancel::{Stop, cancel};
pub use claim::claim;
pub use held::{finish, hand_back, renew, start};
pub use lost::{release_expired, release_others};

/// Why a command that was lost too often failed.
const LOST_TOO_OFTEN: &str = "max dispatch attempts exceeded: its workers were lost";

/// The longest wait for another attempt that an agent's word brings about.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the token was the command's current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It was, and what was said is stored, now or by an earlier try.
    Held,
    /// It was not; nothing changed.
    Lost,
}

/// What renewing leases showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Commands that are not the worker's any more.
    pub lost: Vec<(CommandId, Token)>,
    /// Commands that somebody has asked to cancel.
    pub canceling: Vec<CommandId>,
}

/// What became of a wish to cancel a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canceling {
    /// The run had not begun; it is canceled.
    Ended,
    /// This worker has it, and is to be told.
    Asked {
        /// The command to stop.
        command_id: CommandId,
        /// Who holds it.
        worker_id: WorkerId,
    },
    /// The run had ended already.
    Over,
}

const INSERT: &str = "\
INSERT INTO commands
       (id, run_id, queue, state, attempt, dispatch_attempts, log_lines, priority, after_run_id,
        created_at)
VALUES ($1, $2, $3, 'pending', 1, 0, 0, $4, $5, $6)";

/// The attempt that follows: in its predecessor's queue, not before it is due.
const INSERT_NEXT: &str = "\
INSERT INTO commands
       (id, run_id, queue, state, attempt, dispatch_attempts, log_lines, priority, due_at,
        created_at)
SELECT $2, run_id, queue, 'pending', attempt + 1, 0, 0, priority, $3, $4
  FROM commands
 WHERE id = $1";

const SELECT_FENCED: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE id = $1
   AND token_hash = $2",
    postgres: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE id = $1
   AND token_hash = $2
   FOR UPDATE",
};

const START: &str = "\
UPDATE commands
   SET state = 'running', lease_expires_at = $2
 WHERE id = $1
   AND state = 'sent'";

// The token's hash stays, so that a worker that says it again hears that it is stored.
const END: &str = "\
UPDATE commands
   SET state = $2, lease_expires_at = NULL, ended_at = $3
 WHERE id = $1
   AND state IN ('pending', 'sent', 'running')";

const REQUEUE: &str = "\
UPDATE commands
   SET state = 'pending', worker_id = NULL, token_hash = NULL, lease_expires_at = NULL,
       dispatch_attempts = $2
 WHERE id = $1
   AND state IN ('sent', 'running')";

/// Queues the first attempt of a run: not before the run `after` has ended.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    id: &CommandId,
    run: &NewRun,
    after: Option<&RunId>,
) -> Result<(), WriteError> {
    let queue = queue_of(&Agent { scope: run.scope.clone(), name: run.agent.clone() });
    let binds = binds![
        id.as_str(),
        run.id.as_str(),
        queue,
        run.priority.base(),
        after.map(RunId::as_str),
        run.created_at,
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// Who may claim a command, as one word: `/` stands in no name.
pub(super) fn queue_of(agent: &Agent) -> String {
    format!("{}/{}", agent.scope.workspace_id(), agent.name)
}

/// A command's row, as far as its transitions need it.
struct Current {
    id: CommandId,
    run_id: String,
    state: CommandState,
    attempt: u32,
    dispatch_attempts: u32,
    cancel_requested: bool,
}

impl Current {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("commands", row);
        Ok(Self {
            id: r.text("id")?,
            run_id: r.get("run_id")?,
            state: r.text("state")?,
            attempt: r.count("attempt")?,
            dispatch_attempts: r.count("dispatch_attempts")?,
            cancel_requested: r.time_if_any("cancel_requested_at")?.is_some(),
        })
    }

    /// The command, if the token is its current one.
    async fn fenced(
        tx: &mut Tx<'_>,
        id: &CommandId,
        token: &Token,
    ) -> Result<Option<Self>, WriteError> {
        let row = tx.row(SELECT_FENCED, &binds![id.as_str(), token.hash()]).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }

    async fn start(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        if tx.execute(START, &binds![self.id.as_str(), now + LEASE]).await? > 0 {
            runs::start(tx, &self.run_id, self.attempt, now).await?;
        }
        Ok(())
    }

    async fn end(&self, tx: &mut Tx<'_>, ending: &Ending, now: Time) -> Result<(), WriteError> {
        let status = ending.status();
        if tx.execute(END, &binds![self.id.as_str(), status.as_str(), now]).await? == 0 {
            return Ok(());
        }
        match self.next_due(tx, ending, now).await? {
            Some(due_at) => self.try_again(tx, ending.error(), due_at, now).await,
            None => runs::end(tx, &self.run_id, status, ending.error(), now).await,
        }
    }

    /// When the attempt that follows this one is due, if one does.
    async fn next_due(
        &self,
        tx: &mut Tx<'_>,
        ending: &Ending,
        now: Time,
    ) -> Result<Option<Time>, WriteError> {
        let Ending::Failed { retry_after_ms, .. } = ending else { return Ok(None) };
        if self.cancel_requested {
            return Ok(None);
        }
        let retry = runs::retry(tx, &self.run_id).await?;
        // The same dice whenever the write is applied again.
        let Some(wait) = retry.delay(self.attempt, self.spread()) else { return Ok(None) };
        let wished = retry_after_ms.map(Duration::from_millis);
        Ok(Some(now + wished.map_or(wait, |wish| wish.min(RETRY_AFTER_MAX))))
    }

    async fn try_again(
        &self,
        tx: &mut Tx<'_>,
        error: Option<&str>,
        due_at: Time,
        now: Time,
    ) -> Result<(), WriteError> {
        let next = format!("{} {}", self.run_id, self.attempt + 1);
        let next = CommandId::derive(&Scope::Global, &next);
        tx.execute(INSERT_NEXT, &binds![self.id.as_str(), next.as_str(), due_at, now]).await?;
        runs::wait(tx, &self.run_id, error, due_at).await
    }

    /// A number from 0 to 1 that is this attempt's own.
    fn spread(&self) -> f64 {
        let hash = Sha256::digest(format!("{} {}", self.run_id, self.attempt));
        f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX)
    }

    async fn requeue(
        &self,
        tx: &mut Tx<'_>,
        dispatch_attempts: u32,
        now: Time,
    ) -> Result<(), WriteError> {
        if self.cancel_requested {
            return self.end(tx, &Ending::Canceled, now).await;
        }
        if tx.execute(REQUEUE, &binds![self.id.as_str(), dispatch_attempts]).await? > 0 {
            runs::reschedule(tx, &self.run_id).await?;
        }
        Ok(())
    }

    /// Takes the command from a worker that is gone.
    async fn lose(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        if self.dispatch_attempts >= DISPATCH_ATTEMPTS_MAX && !self.cancel_requested {
            return self.end(tx, &Ending::failed(LOST_TOO_OFTEN), now).await;
        }
        self.requeue(tx, self.dispatch_attempts, now).await
    }
}

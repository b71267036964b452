//! What people decide of single commands: that one may go out, that it may not, that it is called
//! off.

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, queues, runs};
use super::cancel::Held;
use super::{Canceling, Current, select_current};
use crate::model::command::CommandState;
use crate::model::id::CommandId;
use crate::model::policy::{Ask, Policy};
use crate::model::run::{Ending, RunStatus};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// Why a run whose command was denied was canceled.
const DENIED: &str = "denied: somebody had to approve it, and did not";

const SELECT: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.id = $1
   AND c.workspace_id = $2"
    ),
    postgres: select_current!(
        " WHERE c.id = $1
   AND c.workspace_id = $2
   FOR UPDATE OF c"
    ),
};

const SELECT_POLICY: &str = "\
SELECT id, policy
  FROM classes
 WHERE id = $1";

// From now on it waits for a worker, as long as it would have.
const APPROVE: &str = "\
UPDATE commands
   SET state = 'pending', expires_at = $2 + expires_at - coalesce(due_at, created_at)
 WHERE id = $1
   AND state = 'blocked'";

const REMEMBER: &str = "\
UPDATE classes
   SET approved_at = coalesce(approved_at, $2)
 WHERE id = $1";

// What has asked the same has its answer, too.
const APPROVE_CLASS: &str = "\
UPDATE commands
   SET state = 'pending', expires_at = $2 + expires_at - coalesce(due_at, created_at)
 WHERE class_id = $1
   AND state = 'blocked'";

/// What somebody says of a command that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may go out. Where its policy asks once, so may all of its execution class, from now on.
    Approve,
    /// It may not: its run is canceled.
    Deny,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It was taken.
    Done,
    /// The command waits for none: it is in this state.
    NotBlocked(CommandState),
}

/// Decides on a blocked command. None when there is no such command.
///
/// # Errors
/// When the store fails.
pub async fn decide(
    store: &Store,
    scope: &Scope,
    id: &CommandId,
    decision: Decision,
    now: Time,
) -> Result<Option<Decided>, StoreError> {
    store.write(Decide { scope: scope.clone(), id: id.clone(), decision, now }).await
}

/// Calls a command off, and its run with it: one that waits ends at once, one that a worker has is
/// asked to stop. None when there is no such command.
///
/// # Errors
/// When the store fails.
pub async fn call_off(
    store: &Store,
    scope: &Scope,
    id: &CommandId,
    now: Time,
) -> Result<Option<Canceling>, StoreError> {
    store.write(CallOff { scope: scope.clone(), id: id.clone(), now }).await
}

struct Decide {
    scope: Scope,
    id: CommandId,
    decision: Decision,
    now: Time,
}

impl Write for Decide {
    type Output = Option<Decided>;
    const DOING: &'static str = "decide on a command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Decided>, WriteError> {
        let Some(command) = found(tx, &self.scope, &self.id).await? else { return Ok(None) };
        if command.state != CommandState::Blocked {
            return Ok(Some(Decided::NotBlocked(command.state)));
        }
        match self.decision {
            Decision::Approve => command.approve(tx, self.now).await?,
            Decision::Deny => command.deny(tx, self.now).await?,
        }
        Ok(Some(Decided::Done))
    }
}

struct CallOff {
    scope: Scope,
    id: CommandId,
    now: Time,
}

impl Write for CallOff {
    type Output = Option<Canceling>;
    const DOING: &'static str = "call a command off";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Canceling>, WriteError> {
        let Some(command) = found(tx, &self.scope, &self.id).await? else { return Ok(None) };
        if command.state.is_terminal() {
            return Ok(Some(Canceling::Over));
        }
        let workspace = self.scope.workspace_id();
        command.call_off(tx, workspace, self.now).await.map(Some)
    }
}

async fn found(
    tx: &mut Tx<'_>,
    scope: &Scope,
    id: &CommandId,
) -> Result<Option<Current>, WriteError> {
    let row = tx.row(SELECT, &binds![id.as_str(), scope.workspace_id()]).await?;
    Ok(row.as_ref().map(Current::read).transpose()?)
}

impl Current {
    async fn approve(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        match self.class_id.as_deref() {
            Some(class) if asks_once(tx, class).await? => {
                tx.execute(REMEMBER, &binds![class, now]).await?;
                tx.execute(APPROVE_CLASS, &binds![class, now]).await?;
            }
            _ => drop(tx.execute(APPROVE, &binds![self.id.as_str(), now]).await?),
        }
        queues::hint(tx).await
    }

    async fn deny(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        self.close(tx, CommandState::Canceled, Some(DENIED), now).await?;
        match self.attempted() {
            Some(run_id) => runs::end(tx, run_id, RunStatus::Canceled, Some(DENIED), now).await,
            None => Ok(()),
        }
    }

    /// Ends what waits, and asks what a worker has to stop.
    pub(super) async fn call_off(
        &self,
        tx: &mut Tx<'_>,
        workspace_id: &str,
        now: Time,
    ) -> Result<Canceling, WriteError> {
        let holder = self.worker_id.as_ref().filter(|_| self.state.is_active());
        let Some((worker_id, run_id)) = holder.zip(self.attempted()) else {
            self.end(tx, &Ending::Canceled, now).await?;
            return Ok(Canceling::Ended);
        };
        let held = Held {
            command_id: &self.id,
            run_id,
            workspace_id,
            worker_id,
            in_session: self.session_id.is_some(),
            told: self.cancel_requested,
        };
        held.stop(tx, now).await?;
        Ok(Canceling::Asked { command_id: self.id.clone(), worker_id: worker_id.clone() })
    }
}

async fn asks_once(tx: &mut Tx<'_>, class: &str) -> Result<bool, WriteError> {
    let Some(row) = tx.row(SELECT_POLICY, &binds![class]).await? else { return Ok(false) };
    let policy: Option<Policy> = Reader::new("classes", &row).json_if_any("policy")?;
    Ok(policy.is_some_and(|policy| policy.ask == Ask::OnMiss))
}

//! What people decide of single commands: that one may go out, that it may not, that it is called
//! off.

use std::sync::Arc;

use serde_json::json;

use super::super::audit::AuditEntry;
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, queues, runs};
use super::cancel::{CALLED_OFF, Held};
use super::{Canceling, Current, select_current};
use crate::model::audit::{Author, Digest};
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

const SELECT_CLASS: Sql = Sql {
    sqlite: "\
SELECT id, workspace_id, agent, lane, policy, approved_at
  FROM classes
 WHERE id = $1",
    postgres: "\
SELECT id, workspace_id, agent, lane, policy, approved_at
  FROM classes
 WHERE id = $1
   FOR UPDATE",
};

// From now on it waits for a worker, as long as it would have.
const APPROVE: &str = concat!(
    "\
UPDATE commands
   SET state = 'pending', expires_at = ",
    renewed!("commands", "$2"),
    "
 WHERE id = $1
   AND state = 'blocked'"
);

const REMEMBER: &str = "\
UPDATE classes
   SET approved_at = coalesce(approved_at, $2)
 WHERE id = $1";

// What has asked the same has its answer, too.
const APPROVE_CLASS: &str = concat!(
    "\
UPDATE commands
   SET state = 'pending', expires_at = ",
    renewed!("commands", "$2"),
    "
 WHERE class_id = $1
   AND state = 'blocked'"
);

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
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(Decide { scope, id, decision, now, author }).await
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
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(CallOff { scope, id, now, author }).await
}

struct Decide {
    scope: Scope,
    id: CommandId,
    decision: Decision,
    now: Time,
    author: Arc<Author>,
}

impl Write for Decide {
    type Output = Option<Decided>;
    const NAME: &'static str = "decide_command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Decided>, WriteError> {
        let Some(command) = found(tx, &self.scope, &self.id).await? else { return Ok(None) };
        if command.state != CommandState::Blocked {
            return Ok(Some(Decided::NotBlocked(command.state)));
        }
        let action = match self.decision {
            Decision::Approve => {
                command.approve(tx, &self.author, self.now).await?;
                "command.approve"
            }
            Decision::Deny => {
                command.deny(tx, self.now).await?;
                "command.deny"
            }
        };
        command.audit_entry(action, self.now).record(tx, &self.author).await?;
        Ok(Some(Decided::Done))
    }
}

struct CallOff {
    scope: Scope,
    id: CommandId,
    now: Time,
    author: Arc<Author>,
}

impl Write for CallOff {
    type Output = Option<Canceling>;
    const NAME: &'static str = "cancel_command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Canceling>, WriteError> {
        let Some(command) = found(tx, &self.scope, &self.id).await? else { return Ok(None) };
        if command.state.is_terminal() {
            return Ok(Some(Canceling::Over));
        }
        let workspace = self.scope.workspace_id();
        let reason = format!("{CALLED_OFF}{}", self.author.actor.by());
        let canceling = command.call_off(tx, workspace, &reason, self.now).await?;
        if !command.cancel_requested {
            command.audit_entry("command.cancel", self.now).record(tx, &self.author).await?;
        }
        Ok(Some(canceling))
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
    /// What is done to it, as the audit has it.
    fn audit_entry(&self, action: &'static str, now: Time) -> AuditEntry<'_> {
        AuditEntry::new(action, "command", &self.workspace_id, now)
            .on(self.id.as_str())
            .with(json!({ "run_id": self.run_id }))
    }

    async fn approve(&self, tx: &mut Tx<'_>, author: &Author, now: Time) -> Result<(), WriteError> {
        match Class::of(tx, self.class_id.as_deref()).await? {
            Some(class) if class.asks_once => {
                tx.execute(REMEMBER, &binds![class.id.as_str(), now]).await?;
                tx.execute(APPROVE_CLASS, &binds![class.id.as_str(), now]).await?;
                class.record_approval(tx, author, now).await?;
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
        reason: &str,
        now: Time,
    ) -> Result<Canceling, WriteError> {
        let holder = self.worker_id.as_ref().filter(|_| self.state.is_active());
        let Some((worker_id, run_id)) = holder.zip(self.attempted()) else {
            self.end_as(tx, &Ending::Canceled, Some(reason), now).await?;
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
        held.stop(tx, reason, now).await?;
        Ok(Canceling::Asked { command_id: self.id.clone(), worker_id: worker_id.clone() })
    }
}

/// The execution class of a command that is decided on.
struct Class {
    id: String,
    workspace_id: String,
    agent: String,
    lane: Option<String>,
    policy: Option<Policy>,
    asks_once: bool,
    approved: bool,
}

impl Class {
    async fn of(tx: &mut Tx<'_>, id: Option<&str>) -> Result<Option<Self>, WriteError> {
        let Some(id) = id else { return Ok(None) };
        let Some(row) = tx.row(SELECT_CLASS, &binds![id]).await? else { return Ok(None) };
        let r = Reader::new("classes", &row);
        let policy: Option<Policy> = r.json_if_any("policy")?;
        Ok(Some(Self {
            id: r.get("id")?,
            workspace_id: r.get("workspace_id")?,
            agent: r.get("agent")?,
            lane: r.get("lane")?,
            asks_once: policy.as_ref().is_some_and(|policy| policy.ask == Ask::OnMiss),
            policy,
            approved: r.time_if_any("approved_at")?.is_some(),
        }))
    }

    fn digest(&self, approved: bool) -> Digest {
        let Self { id, workspace_id, agent, lane, policy, .. } = self;
        Digest::of(&json!([id, workspace_id, agent, lane, policy, approved]))
    }

    /// Tells the audit that all of it may go out from now on, unless it might before.
    async fn record_approval(
        &self,
        tx: &mut Tx<'_>,
        author: &Author,
        now: Time,
    ) -> Result<(), WriteError> {
        let entry = AuditEntry::new("class.approve", "class", &self.workspace_id, now);
        let turned = (Some(self.digest(self.approved)), Some(self.digest(true)));
        entry.on(&self.id).named(&self.agent).turned(turned.0, turned.1).record(tx, author).await
    }
}

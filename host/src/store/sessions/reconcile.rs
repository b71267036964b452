//! Sessions that are stuck, put right.
//!
//! ```text
//! starting  5 min   the worker is asked how it is          10 min  its command is taken from it
//! stopping  5 min   the worker is told again to stop       10 min  its command is taken from it
//! a lease that has run out, of an execution that is gone or has ended: freed
//! ```
//! What is taken from a worker goes back to the queue, fails, or ends as canceled, by the rules of a
//! lost lease. Said twice at the same instant, it changes nothing the second time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::audit::{self, AuditEntry};
use super::super::commands::{self, Word};
use super::super::sql::{Reader, Row, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use crate::model::audit::Author;
use crate::model::command::{Control, LEASE};
use crate::model::id::{CommandId, WorkerId};
use crate::model::scope::Scope;
use crate::model::session::{Session, SessionState};
use crate::model::time::Time;

/// How long a session may be starting or stopping before its worker is reminded.
pub(in crate::store) const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long before its command is taken from the worker.
const PATIENCE_MAX: Duration = Duration::from_secs(10 * 60);
/// How many sessions one call looks at.
const BATCH: u32 = 200;

/// Whether a session has been starting or stopping for so long that its worker is reminded.
pub fn is_stuck(session: &Session, now: Time) -> bool {
    let passing = matches!(session.state, SessionState::Starting | SessionState::Stopping);
    session.lease.is_some() && passing && now.since(session.state_at) >= PATIENCE
}

/// What was put right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Workers that were reminded.
    pub retried: usize,
    /// Commands that were taken from their workers.
    pub forced: usize,
    /// Leases that were freed.
    pub freed: usize,
}

const SELECT_STUCK: &str = "\
SELECT id, workspace_id, state, state_at, lease_worker_id, lease_command_id
  FROM sessions
 WHERE lease_command_id IS NOT NULL
   AND state IN ('starting', 'stopping')
   AND state_at <= $1
 ORDER BY state_at
 LIMIT $2";

const SELECT_STILL: &str = "\
SELECT id
  FROM sessions
 WHERE id = $1
   AND lease_command_id = $2
   AND state = $3
   AND state_at = $4";

const SELECT_SAID: &str = "\
SELECT id
  FROM commands
 WHERE id = $1";

const FREE: &str = "\
UPDATE sessions
   SET lease_worker_id = NULL, lease_command_id = NULL, lease_expires_at = NULL, state = 'idle',
       state_at = $1
 WHERE lease_command_id IS NOT NULL
   AND lease_expires_at <= $1
   AND NOT EXISTS (SELECT 1
                     FROM commands c
                    WHERE c.id = sessions.lease_command_id
                      AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running'))
RETURNING id, workspace_id";

/// Puts right what is stuck.
///
/// # Errors
/// When the store fails; what was put right before stays so.
pub async fn reconcile(store: &Store, now: Time) -> Result<Reconciled, StoreError> {
    let author = store.author();
    let freed = store.write(Free { now, author: Arc::clone(&author) }).await?;
    let mut done = Reconciled { freed, ..Reconciled::default() };
    let binds = binds![now - PATIENCE, BATCH];
    for row in store.read("find_stuck_sessions", SELECT_STUCK, &binds).await? {
        let author = Arc::clone(&author);
        match store.write(Unstick { stuck: read(&row)?, now, author }).await? {
            Remedy::None => {}
            Remedy::Retried => done.retried += 1,
            Remedy::Forced => done.forced += 1,
        }
    }
    Ok(done)
}

#[derive(Clone)]
struct Stuck {
    session_id: String,
    workspace_id: String,
    state: SessionState,
    since: Time,
    worker_id: WorkerId,
    command_id: CommandId,
}

fn read(row: &Row) -> Result<Stuck, StoreError> {
    let r = Reader::new("sessions", row);
    Ok(Stuck {
        session_id: r.get("id")?,
        workspace_id: r.get("workspace_id")?,
        state: r.text("state")?,
        since: r.time("state_at")?,
        worker_id: r.text("lease_worker_id")?,
        command_id: r.text("lease_command_id")?,
    })
}

struct Free {
    now: Time,
    author: Arc<Author>,
}

impl Write for Free {
    type Output = usize;
    const NAME: &'static str = "free_stale_sessions";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(FREE, &binds![self.now]).await?;
        let whose = |row| Reader::new("sessions", row).get::<String>("workspace_id");
        let whose = rows.iter().map(whose).collect::<Result<Vec<_>, _>>()?;
        audit::forced(tx, &self.author, "session.free", "session", whose, self.now).await?;
        Ok(rows.len())
    }
}

enum Remedy {
    None,
    Retried,
    Forced,
}

struct Unstick {
    stuck: Stuck,
    now: Time,
    author: Arc<Author>,
}

impl Write for Unstick {
    type Output = Remedy;
    const NAME: &'static str = "repair_session";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Remedy, WriteError> {
        // Its command is locked first. Only then is it seen whether the session still waits for it.
        let Some(command) = commands::in_hand(tx, &self.stuck.command_id).await? else {
            return Ok(Remedy::None);
        };
        if !self.still(tx).await? {
            return Ok(Remedy::None);
        }
        if self.now.since(self.stuck.since) >= PATIENCE_MAX {
            command.take_back(tx, self.now).await?;
            let Stuck { session_id, workspace_id, command_id, .. } = &self.stuck;
            AuditEntry::new("session.force", "session", workspace_id, self.now)
                .on(session_id)
                .with(json!({ "command_id": command_id }))
                .record(tx, &self.author)
                .await?;
            return Ok(Remedy::Forced);
        }
        Ok(if self.remind(tx, command.run_id()).await? { Remedy::Retried } else { Remedy::None })
    }
}

impl Unstick {
    async fn still(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        let Stuck { session_id, state, since, command_id, .. } = &self.stuck;
        let binds = binds![session_id.as_str(), command_id.as_str(), state.as_str(), *since];
        Ok(tx.row(SELECT_STILL, &binds).await?.is_some())
    }

    /// Sends the worker a word; whether it was not said yet.
    async fn remind(&self, tx: &mut Tx<'_>, run_id: Option<&str>) -> Result<bool, WriteError> {
        let Stuck { workspace_id, state, since, worker_id, command_id, .. } = &self.stuck;
        let control = match state {
            SessionState::Stopping => Control::Cancel { command_id: command_id.clone() },
            _ => Control::HealthCheck,
        };
        let name = format!("remind {command_id} {state} {}", since.as_millis());
        let id = CommandId::derive(&Scope::Global, &name);
        if tx.row(SELECT_SAID, &binds![id.as_str()]).await?.is_some() {
            return Ok(false);
        }
        let word = Word {
            id: &id,
            workspace_id,
            run_id,
            worker_id,
            control: &control,
            expires_at: self.now + LEASE,
        };
        commands::insert_control(tx, &word, self.now).await?;
        Ok(true)
    }
}

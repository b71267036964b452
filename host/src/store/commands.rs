//! The queue: commands, their leases and their fences.
//!
//! A change by a worker is fenced twice: the row is found by id *and* token, and the update names
//! the states it may leave. Commands are locked before their runs, everywhere.

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError, events, runs};
use crate::model::command::{Claim, CommandState, DISPATCH_ATTEMPTS_MAX, LEASE, Token};
use crate::model::definition::Agent;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::run::{Ending, NewRun};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// Why a command that was lost too often failed.
const LOST_TOO_OFTEN: &str = "max dispatch attempts exceeded: its workers were lost";
/// How many lost commands one transaction puts right.
const LOST_BATCH: u32 = 100;

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
       (id, run_id, queue, state, attempt, dispatch_attempts, log_lines, created_at)
VALUES ($1, $2, $3, 'pending', 1, 0, 0, $4)";

// SKIP LOCKED keeps claimants on PostgreSQL apart; SQLite has one writer.
const SELECT_CLAIMABLE: Sql = Sql {
    sqlite: "\
SELECT c.id, c.run_id, c.attempt, r.workspace_id, r.agent, r.prompt
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.state = 'pending'
   AND c.queue IN (SELECT value FROM json_each($1))
 ORDER BY c.seq
 LIMIT $2",
    postgres: "\
SELECT c.id, c.run_id, c.attempt, r.workspace_id, r.agent, r.prompt
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.state = 'pending'
   AND c.queue IN (SELECT json_array_elements_text($1::json))
 ORDER BY c.seq
 LIMIT $2
   FOR UPDATE OF c SKIP LOCKED",
};

const LEASE_OUT: &str = "\
UPDATE commands
   SET state = 'sent', worker_id = $2, token_hash = $3, lease_expires_at = $4,
       dispatch_attempts = dispatch_attempts + 1, log_lines = 0
 WHERE id = $1
   AND state = 'pending'";

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

const RENEW: &str = "\
UPDATE commands
   SET lease_expires_at = $2
 WHERE id = $1
   AND state IN ('sent', 'running')";

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

const SELECT_EXPIRED: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at <= $1
 ORDER BY lease_expires_at
 LIMIT $2",
    postgres: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at <= $1
 ORDER BY lease_expires_at
 LIMIT $2
   FOR UPDATE SKIP LOCKED",
};

const SELECT_OF_WORKER: Sql = Sql {
    sqlite: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at IS NOT NULL
   AND worker_id = $1
   AND id NOT IN (SELECT value FROM json_each($2))",
    postgres: "\
SELECT id, run_id, state, attempt, dispatch_attempts, cancel_requested_at
  FROM commands
 WHERE lease_expires_at IS NOT NULL
   AND worker_id = $1
   AND id NOT IN (SELECT json_array_elements_text($2::json))
   FOR UPDATE",
};

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

/// Gives `worker` the oldest pending commands of these agents, as many as there are tokens, each
/// with a lease from `now`. No two claims get the same one.
///
/// # Errors
/// When the store fails.
pub async fn claim(
    store: &Store,
    worker: &WorkerId,
    agents: &[Agent],
    tokens: Vec<Token>,
    now: Time,
) -> Result<Vec<Claim>, StoreError> {
    let queues: Vec<String> = agents.iter().map(queue_of).collect();
    let queues = serde_json::Value::from(queues).to_string();
    store.write(ClaimNext { worker: worker.clone(), queues, tokens, now }).await
}

/// Notes that the worker has begun.
///
/// # Errors
/// When the store fails.
pub async fn start(
    store: &Store,
    id: &CommandId,
    token: &Token,
    now: Time,
) -> Result<Fence, StoreError> {
    store.write(Start { id: id.clone(), token: token.clone(), now }).await
}

/// Ends the command and its run.
///
/// # Errors
/// When the store fails.
pub async fn finish(
    store: &Store,
    id: &CommandId,
    token: &Token,
    ending: Ending,
    now: Time,
) -> Result<Fence, StoreError> {
    store.write(Finish { id: id.clone(), token: token.clone(), ending, now }).await
}

/// Puts the command back into the queue, as if this worker had never had it.
///
/// # Errors
/// When the store fails.
pub async fn hand_back(
    store: &Store,
    id: &CommandId,
    token: &Token,
    now: Time,
) -> Result<Fence, StoreError> {
    store.write(HandBack { id: id.clone(), token: token.clone(), now }).await
}

/// Renews the leases of what a worker holds.
///
/// # Errors
/// When the store fails.
pub async fn renew(
    store: &Store,
    held: Vec<(CommandId, Token)>,
    now: Time,
) -> Result<Renewed, StoreError> {
    store.write(Renew { held, now }).await
}

/// Takes from `worker` all but the commands in `kept`; what it lost goes back to the queue, or
/// fails when it was lost too often. Counts them.
///
/// # Errors
/// When the store fails.
pub async fn release_others(
    store: &Store,
    worker: &WorkerId,
    kept: &[CommandId],
    now: Time,
) -> Result<usize, StoreError> {
    let kept: Vec<&str> = kept.iter().map(CommandId::as_str).collect();
    let kept = serde_json::Value::from(kept).to_string();
    store.write(ReleaseOthers { worker: worker.clone(), kept, now }).await
}

/// Puts right some of the commands whose lease has run out, and counts them.
///
/// # Errors
/// When the store fails.
pub async fn release_expired(store: &Store, now: Time) -> Result<usize, StoreError> {
    store.write(ReleaseExpired { now }).await
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

pub(super) async fn insert(
    tx: &mut Tx<'_>,
    id: &CommandId,
    run: &NewRun,
) -> Result<(), WriteError> {
    let queue = queue_of(&Agent { scope: run.scope.clone(), name: run.agent.clone() });
    let binds = binds![id.as_str(), run.id.as_str(), queue, run.created_at];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// Who may claim a command, as one word: `/` stands in no name.
fn queue_of(agent: &Agent) -> String {
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
        if tx.execute(END, &binds![self.id.as_str(), status.as_str(), now]).await? > 0 {
            runs::end(tx, &self.run_id, status, ending.error(), now).await?;
        }
        Ok(())
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
            let error = LOST_TOO_OFTEN.to_owned();
            return self.end(tx, &Ending::Failed { error }, now).await;
        }
        self.requeue(tx, self.dispatch_attempts, now).await
    }
}

struct ClaimNext {
    worker: WorkerId,
    queues: String,
    tokens: Vec<Token>,
    now: Time,
}

impl Write for ClaimNext {
    type Output = Vec<Claim>;
    const DOING: &'static str = "claim commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Claim>, WriteError> {
        let room = i64::try_from(self.tokens.len()).unwrap_or(i64::MAX);
        let rows = tx.rows(SELECT_CLAIMABLE, &binds![self.queues.as_str(), room]).await?;
        let mut claims = Vec::with_capacity(rows.len());
        for (row, token) in rows.iter().zip(&self.tokens) {
            let claim = read_claim(row, token.clone())?;
            let binds =
                binds![claim.id.as_str(), self.worker.as_str(), token.hash(), self.now + LEASE];
            tx.execute(LEASE_OUT, &binds).await?;
            claims.push(claim);
        }
        Ok(claims)
    }
}

fn read_claim(row: &Row, token: Token) -> Result<Claim, StoreError> {
    let r = Reader::new("commands", row);
    Ok(Claim {
        id: r.text("id")?,
        run_id: r.text("run_id")?,
        scope: events::read_scope(&r)?,
        agent: r.text("agent")?,
        prompt: r.get("prompt")?,
        attempt: r.count("attempt")?,
        token,
    })
}

struct Start {
    id: CommandId,
    token: Token,
    now: Time,
}

impl Write for Start {
    type Output = Fence;
    const DOING: &'static str = "start a command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Fence, WriteError> {
        let Some(command) = Current::fenced(tx, &self.id, &self.token).await? else {
            return Ok(Fence::Lost);
        };
        // Said again after the end, it changes nothing; the guard in the statement sees to that.
        command.start(tx, self.now).await?;
        Ok(Fence::Held)
    }
}

struct Finish {
    id: CommandId,
    token: Token,
    ending: Ending,
    now: Time,
}

impl Write for Finish {
    type Output = Fence;
    const DOING: &'static str = "finish a command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Fence, WriteError> {
        let Some(command) = Current::fenced(tx, &self.id, &self.token).await? else {
            return Ok(Fence::Lost);
        };
        if command.state.is_terminal() {
            let same = command.state.as_str() == self.ending.status().as_str();
            return Ok(if same { Fence::Held } else { Fence::Lost });
        }
        command.start(tx, self.now).await?;
        command.end(tx, &self.ending, self.now).await?;
        Ok(Fence::Held)
    }
}

struct HandBack {
    id: CommandId,
    token: Token,
    now: Time,
}

impl Write for HandBack {
    type Output = Fence;
    const DOING: &'static str = "hand a command back";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Fence, WriteError> {
        match Current::fenced(tx, &self.id, &self.token).await? {
            Some(command) if !command.state.is_terminal() => {
                let attempts = command.dispatch_attempts.saturating_sub(1);
                command.requeue(tx, attempts, self.now).await?;
                Ok(Fence::Held)
            }
            _ => Ok(Fence::Lost),
        }
    }
}

struct Renew {
    held: Vec<(CommandId, Token)>,
    now: Time,
}

impl Write for Renew {
    type Output = Renewed;
    const DOING: &'static str = "renew leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Renewed, WriteError> {
        let mut renewed = Renewed::default();
        for (id, token) in &self.held {
            match Current::fenced(tx, id, token).await? {
                Some(command) if !command.state.is_terminal() => {
                    tx.execute(RENEW, &binds![id.as_str(), self.now + LEASE]).await?;
                    if command.cancel_requested {
                        renewed.canceling.push(id.clone());
                    }
                }
                // Ended with this token: the worker's word is on its way, or will be said again.
                Some(_) => {}
                None => renewed.lost.push((id.clone(), token.clone())),
            }
        }
        Ok(renewed)
    }
}

struct ReleaseOthers {
    worker: WorkerId,
    kept: String,
    now: Time,
}

impl Write for ReleaseOthers {
    type Output = usize;
    const DOING: &'static str = "release a worker's commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let binds = binds![self.worker.as_str(), self.kept.as_str()];
        let rows = tx.rows(SELECT_OF_WORKER, &binds).await?;
        lose_all(tx, &rows, self.now).await
    }
}

struct ReleaseExpired {
    now: Time,
}

impl Write for ReleaseExpired {
    type Output = usize;
    const DOING: &'static str = "release expired leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(SELECT_EXPIRED, &binds![self.now, LOST_BATCH]).await?;
        lose_all(tx, &rows, self.now).await
    }
}

async fn lose_all(tx: &mut Tx<'_>, rows: &[Row], now: Time) -> Result<usize, WriteError> {
    for row in rows {
        Current::read(row)?.lose(tx, now).await?;
    }
    Ok(rows.len())
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
        let Some(row) = tx.row(SELECT_OF_RUN, &binds).await? else {
            return Ok(Canceling::Over);
        };
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

//! The queue: commands, their leases and their fences.
//!
//! A change by a worker is fenced twice: the row is found by id, token *and* worker, and the update
//! names the states it may leave. Commands are locked before their runs, everywhere.

/// The condition that no run stands before a command `c`. What waits for a run waits for all that are
/// older, too: when one in the middle of a chain is called off, the one behind it must not overtake
/// the head.
macro_rules! unchained {
    () => {
        "(c.after_run_id IS NULL
        OR NOT EXISTS (SELECT 1
                         FROM runs previous
                         JOIN runs earlier ON earlier.owner_id = previous.owner_id
                        WHERE previous.id = c.after_run_id
                          AND earlier.seq <= previous.seq
                          AND earlier.status IN ('scheduled', 'running', 'delegated')))"
    };
}

/// The condition that the session of a command `c` is free for it, if it has one. A session's runs go
/// one after the other, whatever attempt they are at.
macro_rules! session_free {
    () => {
        "(c.session_id IS NULL
        OR (NOT EXISTS (SELECT 1
                          FROM runs own
                          JOIN runs earlier ON earlier.session_id = own.session_id
                                           AND earlier.seq < own.seq
                         WHERE own.id = c.run_id
                           AND earlier.status IN ('scheduled', 'running'))
            AND NOT EXISTS (SELECT 1
                              FROM sessions busy
                             WHERE busy.id = c.session_id
                               AND busy.lease_command_id IS NOT NULL)))"
    };
}

/// The condition that a pending command `c` could go out at the time bound to `$now`, if a worker had
/// room.
macro_rules! ready {
    ($now:literal) => {
        concat!(
            "
   AND (c.due_at IS NULL OR c.due_at <= ",
            $now,
            ")
   AND ",
            unchained!(),
            "
   AND ",
            session_free!()
        )
    };
}

/// How long a command waits for a worker before it expires, each time that it is in the queue. What
/// was queued by an earlier version says it by its first wait.
macro_rules! patience {
    ($of:literal) => {
        concat!(
            "coalesce(",
            $of,
            ".queue_timeout_ms, ",
            $of,
            ".expires_at - coalesce(",
            $of,
            ".due_at, ",
            $of,
            ".created_at))"
        )
    };
}

/// When a command that comes into the queue now expires: after its patience, unless it says itself until
/// when, which stays.
macro_rules! renewed {
    ($of:literal, $now:literal) => {
        concat!(
            "CASE WHEN ",
            $of,
            ".queue_timeout_ms = 0 THEN ",
            $of,
            ".expires_at ELSE ",
            $now,
            " + coalesce(",
            $of,
            ".queue_timeout_ms, ",
            $of,
            ".expires_at - coalesce(",
            $of,
            ".due_at, ",
            $of,
            ".created_at)) END"
        )
    };
}

/// The condition that nothing of a workspace is handed out: it is paused, or the whole host is.
macro_rules! paused {
    ($workspace:literal) => {
        concat!(
            "EXISTS (SELECT 1
                 FROM pauses p
                WHERE p.workspace_id IN ('*', ",
            $workspace,
            "))"
        )
    };
}

/// The condition that a command `c` has nothing more to gain by waiting: [`crate::model::queue`].
macro_rules! aged {
    ($now:literal) => {
        concat!($now, " - coalesce(c.due_at, c.created_at) >= 2400000")
    };
}

/// The score of a command `c` that has: [`crate::model::queue::score`]. Of those that are aged, only
/// the place in line counts.
macro_rules! score {
    ($greatest:literal, $now:literal, $bonus:literal, $active:literal) => {
        concat!(
            "CASE WHEN ",
            aged!($now),
            " THEN 0
                    ELSE ",
            $greatest,
            "(1, c.priority + ",
            $bonus,
            " - 10 * ",
            $active,
            "
                         + 20 * (",
            $greatest,
            "(0, ",
            $now,
            " - coalesce(c.due_at, c.created_at)) / 60000))
                    END"
        )
    };
}

mod agentless;
mod backlog;
mod cancel;
mod claim;
mod decide;
mod expire;
mod held;
mod insert;
mod list;
mod lost;
mod pauses;
mod standing;
mod stuck;
mod waiting;

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use super::{StoreError, inputs, logs, queues, runs, sessions, tally};
use crate::metrics::Fact;
use crate::model::command::{
    CommandState, CommandType, DISPATCH_ATTEMPTS_MAX, Hold, LEASE, OnLost, Token,
};
use crate::model::id::{CommandId, WorkerId};
use crate::model::run::Ending;
use crate::model::scope::Scope;
use crate::model::session::SessionState;
use crate::model::time::Time;
pub use agentless::fail_agentless;
pub use backlog::{Backlog, backlogs};
pub(super) use cancel::{Held, cancel_all, stop_all};
pub use cancel::{Stop, cancel};
pub use claim::{ClaimableQueue, Claimant, addressees, claim, claim_control};
pub use decide::{Decided, Decision, call_off, decide};
pub use expire::expire;
pub use held::{acknowledge, finish, hand_back, renew, start};
pub(super) use insert::{First, Word, insert_all, insert_control};
pub use list::{CommandFilter, Stats, find, list, stats};
pub(super) use lost::in_hand;
pub use lost::{release_expired, release_others};
pub use pauses::{pause, pauses, resume};
pub use standing::{Standing, standing};
pub use stuck::release_stuck;
pub use waiting::waiting;

/// Why a command that was lost too often failed.
const LOST_TOO_OFTEN: &str = "max dispatch attempts exceeded: its workers were lost";

/// Why a command that is carried out at most once failed.
const LOST_ONCE: &str = "its worker was lost, and it is not to be carried out twice";

/// Why a command was canceled that nobody had asked to stop.
const STOPPED: &str = "its worker stopped it";

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

/// A query of commands, as far as their transitions need them.
macro_rules! select_current {
    ($rest:expr) => {
        concat!(
            "\
SELECT c.id, c.type, c.run_id, c.state, c.attempt, c.dispatch_attempts, c.cancel_requested_at,
       c.session_id, c.class_id, c.on_lost, c.next_prompt, c.cancel_reason, c.worker_id,
       c.workspace_id
  FROM commands c
",
            $rest
        )
    };
}
use select_current;
pub(in crate::store) use {paused, renewed};

const SELECT_FENCED: Sql = Sql {
    sqlite: select_current!(
        " WHERE c.id = $1
   AND c.token_hash = $2
   AND c.token_expires_at > $3
   AND c.worker_id = $4"
    ),
    postgres: select_current!(
        " WHERE c.id = $1
   AND c.token_hash = $2
   AND c.token_expires_at > $3
   AND c.worker_id = $4
   FOR UPDATE OF c"
    ),
};

const ACKNOWLEDGE: &str = "\
UPDATE commands
   SET state = 'acknowledged', acknowledged_at = $2, lease_expires_at = $3
 WHERE id = $1
   AND state = 'sent'";

const START: &str = "\
UPDATE commands
   SET state = 'running', started_at = $2, lease_expires_at = $3
 WHERE id = $1
   AND state = 'acknowledged'";

// The guards are the table of transitions. The token's hash stays, so that a worker that says it
// again hears that it is stored.
const END: Sql = Sql {
    sqlite: "\
UPDATE commands
   SET state = $2, lease_expires_at = NULL, error = $3, ended_at = $4
 WHERE id = $1
   AND (state = 'running'
        OR (state IN ('sent', 'acknowledged') AND $2 IN ('failed', 'canceled'))
        OR (state IN ('pending', 'blocked') AND $2 IN ('canceled', 'expired')))",
    postgres: "\
UPDATE commands
   SET state = $2, lease_expires_at = NULL, error = $3, ended_at = $4
 WHERE id = $1
   AND (state = 'running'
        OR (state IN ('sent', 'acknowledged') AND $2::text IN ('failed', 'canceled'))
        OR (state IN ('pending', 'blocked') AND $2::text IN ('canceled', 'expired')))",
};

// Whatever comes back waits for a worker anew. A word is of no use after its time all the same.
const REQUEUE: &str = concat!(
    "\
UPDATE commands
   SET state = 'pending', worker_id = NULL, token_hash = NULL, token_prefix = NULL,
       token_expires_at = NULL, lease_expires_at = NULL, dispatch_attempts = $2, sent_at = NULL,
       acknowledged_at = NULL, started_at = NULL,
       expires_at = CASE WHEN type = 'run' THEN ",
    renewed!("commands", "$3"),
    " ELSE expires_at END
 WHERE id = $1
   AND state IN ('sent', 'acknowledged', 'running')"
);

// What a claim goes by when it leaves a class alone that fails again and again. What is called off
// says nothing of it.
const COUNT_FAILURE: &str = "\
UPDATE classes
   SET failures = failures + 1, failed_at = $2
 WHERE id = $1";

const COUNT_SUCCESS: &str = "\
UPDATE classes
   SET failures = 0, failed_at = NULL
 WHERE id = $1
   AND failures > 0";

/// A command's row, as far as its transitions need it.
struct Current {
    id: CommandId,
    kind: CommandType,
    /// None for a word to the worker itself.
    run_id: Option<String>,
    state: CommandState,
    attempt: u32,
    dispatch_attempts: u32,
    cancel_requested: bool,
    session_id: Option<String>,
    class_id: Option<String>,
    on_lost: OnLost,
    /// Whether the next attempt is asked for already.
    goes_on: bool,
    /// Why it is to stop, once somebody has asked for that.
    cancel_reason: Option<String>,
    worker_id: Option<WorkerId>,
    workspace_id: String,
}

impl Current {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("commands", row);
        Ok(Self {
            id: r.text("id")?,
            kind: r.text("type")?,
            run_id: r.get("run_id")?,
            state: r.text("state")?,
            attempt: r.count("attempt")?,
            dispatch_attempts: r.count("dispatch_attempts")?,
            cancel_requested: r.time_if_any("cancel_requested_at")?.is_some(),
            session_id: r.get("session_id")?,
            class_id: r.get("class_id")?,
            on_lost: r.text("on_lost")?,
            goes_on: r.get::<Option<String>>("next_prompt")?.is_some(),
            cancel_reason: r.get("cancel_reason")?,
            worker_id: r.text_if_any("worker_id")?,
            workspace_id: r.get("workspace_id")?,
        })
    }

    /// The command, if the token is its current one and was given to this worker.
    async fn fenced(tx: &mut Tx<'_>, hold: &Hold, now: Time) -> Result<Option<Self>, WriteError> {
        let Hold { worker_id, command_id, token } = hold;
        let binds = binds![command_id.as_str(), token.hash(), now, worker_id.as_str()];
        let row = tx.row(SELECT_FENCED, &binds).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }

    /// The run whose attempt it is.
    fn attempted(&self) -> Option<&str> {
        self.run_id.as_deref().filter(|_| self.kind == CommandType::Run)
    }

    async fn acknowledge(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        tx.execute(ACKNOWLEDGE, &binds![self.id.as_str(), now, now + LEASE]).await?;
        Ok(())
    }

    async fn start(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        if tx.execute(START, &binds![self.id.as_str(), now, now + LEASE]).await? == 0 {
            return Ok(());
        }
        if self.session_id.is_some() {
            sessions::enter(tx, &self.id, SessionState::Active, now).await?;
        }
        let Some(run_id) = self.attempted() else { return Ok(()) };
        if let Some(again) = self.carried_out_again() {
            logs::host_line(tx, run_id, &again, now).await?;
        }
        runs::start(tx, run_id, self.attempt, now).await
    }

    /// What the run's log says when its program begins another time.
    fn carried_out_again(&self) -> Option<String> {
        let Self { attempt, dispatch_attempts, .. } = self;
        match (attempt, dispatch_attempts) {
            (_, 2..) => Some(format!(
                "… [attempt {attempt} begins again: the worker that had it was lost; it has gone \
                 out {dispatch_attempts} times]"
            )),
            (2.., _) => Some(format!("… [attempt {attempt} begins]")),
            _ => None,
        }
    }

    /// Ends the command, and with it its run unless another attempt follows. One that stops says
    /// why it was to.
    async fn end(&self, tx: &mut Tx<'_>, ending: &Ending, now: Time) -> Result<(), WriteError> {
        let why = match ending {
            Ending::Canceled => Some(self.cancel_reason.as_deref().unwrap_or(STOPPED)),
            Ending::Completed | Ending::Failed { .. } => ending.error(),
        };
        self.end_as(tx, ending, why, now).await
    }

    /// The same, for this reason.
    async fn end_as(
        &self,
        tx: &mut Tx<'_>,
        ending: &Ending,
        why: Option<&str>,
        now: Time,
    ) -> Result<(), WriteError> {
        let state = match ending {
            Ending::Completed => CommandState::Completed,
            Ending::Failed { .. } => CommandState::Failed,
            Ending::Canceled => CommandState::Canceled,
        };
        if !self.close(tx, state, why, now).await? {
            return Ok(());
        }
        let Some(run_id) = self.attempted() else {
            return inputs::settle(tx, &self.id, self.kind, ending, now).await;
        };
        self.count(tx, ending, now).await?;
        match self.next_due(tx, run_id, ending, now).await? {
            Some(due_at) => self.try_again(tx, run_id, ending.error(), due_at, now).await,
            None => runs::end(tx, run_id, ending.status(), why, now).await,
        }
    }

    /// Closes the row; whether it was open.
    async fn close(
        &self,
        tx: &mut Tx<'_>,
        state: CommandState,
        error: Option<&str>,
        now: Time,
    ) -> Result<bool, WriteError> {
        let binds = binds![self.id.as_str(), state.as_str(), error, now];
        if tx.execute(END, &binds).await? == 0 {
            return Ok(false);
        }
        tally::note(Fact::CommandsEnded { state, count: 1 });
        if self.session_id.is_some() {
            sessions::release(tx, &self.id, now).await?;
            // The session's next command may be for a worker elsewhere.
            queues::hint(tx).await?;
        }
        Ok(true)
    }

    /// Counts for or against the command's class.
    async fn count(&self, tx: &mut Tx<'_>, ending: &Ending, now: Time) -> Result<(), WriteError> {
        let Some(class) = self.class_id.as_deref() else { return Ok(()) };
        match ending {
            Ending::Completed => tx.execute(COUNT_SUCCESS, &binds![class]).await?,
            Ending::Failed { .. } => tx.execute(COUNT_FAILURE, &binds![class, now]).await?,
            Ending::Canceled => 0,
        };
        Ok(())
    }

    /// When the attempt that follows this one is due, if one does.
    async fn next_due(
        &self,
        tx: &mut Tx<'_>,
        run_id: &str,
        ending: &Ending,
        now: Time,
    ) -> Result<Option<Time>, WriteError> {
        if self.goes_on {
            return Ok(Some(now));
        }
        let Ending::Failed { retry_after_ms, .. } = ending else { return Ok(None) };
        if self.cancel_requested {
            return Ok(None);
        }
        let retry = runs::retry(tx, run_id).await?;
        // The same dice whenever the write is applied again.
        let Some(wait) = retry.delay(self.attempt, self.spread(run_id)) else { return Ok(None) };
        let wished = retry_after_ms.map(Duration::from_millis);
        Ok(Some(now + wished.map_or(wait, |wish| wish.min(RETRY_AFTER_MAX))))
    }

    async fn try_again(
        &self,
        tx: &mut Tx<'_>,
        run_id: &str,
        error: Option<&str>,
        due_at: Time,
        now: Time,
    ) -> Result<(), WriteError> {
        let next = format!("{run_id} {}", self.attempt + 1);
        let next = CommandId::derive(&Scope::Global, &next);
        insert::insert_next(tx, &self.id, &next, due_at, now).await?;
        runs::wait(tx, run_id, error, due_at, now).await
    }

    /// A number from 0 to 1 that is this attempt's own.
    fn spread(&self, run_id: &str) -> f64 {
        let hash = Sha256::digest(format!("{run_id} {}", self.attempt));
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
        if tx.execute(REQUEUE, &binds![self.id.as_str(), dispatch_attempts, now]).await? == 0 {
            return Ok(());
        }
        self.note_undelivered(tx, now).await?;
        queues::hint(tx).await?;
        if self.session_id.is_some() {
            sessions::release(tx, &self.id, now).await?;
        }
        match self.attempted() {
            Some(run_id) => runs::reschedule(tx, run_id, now).await,
            None => Ok(()),
        }
    }

    /// Takes the command from a worker that has not seen it.
    async fn miss(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        match self.on_lost {
            OnLost::Requeue => {
                self.requeue(tx, self.dispatch_attempts.saturating_sub(1), now).await
            }
            // The worker may have begun, and forgotten it by a restart.
            OnLost::Fail => self.lose(tx, now).await,
        }
    }

    /// Takes the command from a worker that is gone.
    async fn lose(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        let why = match self.on_lost {
            OnLost::Fail => Some(LOST_ONCE),
            OnLost::Requeue if self.dispatch_attempts >= DISPATCH_ATTEMPTS_MAX => {
                Some(LOST_TOO_OFTEN)
            }
            OnLost::Requeue => None,
        };
        let why = why.filter(|_| !self.cancel_requested);
        tally::note(Fact::CommandLost { again: why.is_none() });
        match why {
            Some(why) => {
                self.note_undelivered(tx, now).await?;
                self.end(tx, &Ending::failed(why), now).await
            }
            None => self.requeue(tx, self.dispatch_attempts, now).await,
        }
    }

    /// Notes with its run that handing it over failed, if its worker never had it.
    async fn note_undelivered(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        let Some(run_id) = self.attempted().filter(|_| self.state == CommandState::Sent) else {
            return Ok(());
        };
        let why = match &self.worker_id {
            Some(worker) => format!("it was sent to {worker}, which never acknowledged it"),
            None => "it was sent, and never acknowledged".to_owned(),
        };
        runs::note_undelivered(tx, run_id, &why, now).await
    }
}

//! The run that an input is for, held fast while it is decided what becomes of the input; and the
//! run that an input gets of its own.

use super::super::commands::{self, First};
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;
use super::super::{StoreError, runs, sessions, tasks};
use crate::model::command::CommandState;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::input::{InputOutcome, Standing, follow_up, own_session};
use crate::model::run::{Interaction, NewRun, Run, RunStatus, Terms};
use crate::model::session::SessionState;
use crate::model::time::Time;

const LOCK_COMMAND: Sql = Sql {
    sqlite: "\
SELECT id
  FROM commands
 WHERE run_id = $1
   AND type = 'run'
 ORDER BY attempt DESC
 LIMIT 1",
    postgres: "\
SELECT id
  FROM commands
 WHERE run_id = $1
   AND type = 'run'
 ORDER BY attempt DESC
 LIMIT 1
   FOR UPDATE",
};

const SELECT_COMMAND: &str = "\
SELECT id, state, attempt, worker_id, session_id, lease_expires_at, cancel_requested_at, prompt,
       next_prompt
  FROM commands
 WHERE id = $1";

const JOIN_SESSION: &str = "\
UPDATE commands
   SET session_id = $2
 WHERE run_id = $1
   AND type = 'run'
   AND state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running')";

/// The latest attempt of a run.
pub(super) struct Latest {
    pub(super) id: CommandId,
    pub(super) state: CommandState,
    pub(super) attempt: u32,
    pub(super) worker_id: Option<WorkerId>,
    pub(super) in_session: bool,
    pub(super) cancel_requested: bool,
    /// What it is asked in place of the run's prompt.
    pub(super) prompt: Option<String>,
    pub(super) next_prompt: Option<String>,
    lease_expires_at: Option<Time>,
}

/// A run that nobody else changes until the transaction ends.
pub(super) struct Present {
    pub(super) run: Run,
    /// None for one that was canceled before it had a command.
    pub(super) command: Option<Latest>,
}

impl Present {
    /// Holds a run fast, its command first.
    pub(super) async fn hold(tx: &mut Tx<'_>, run_id: &RunId) -> Result<Option<Self>, WriteError> {
        let command = latest(tx, run_id.as_str()).await?;
        let run = runs::locked(tx, run_id.as_str()).await?;
        Ok(run.map(|run| Self { run, command }))
    }

    pub(super) fn standing(&self) -> Standing {
        let Some(command) = &self.command else { return Standing::Ended };
        if self.run.status.is_terminal() || command.state.is_terminal() {
            return Standing::Ended;
        }
        match (command.cancel_requested, &command.next_prompt) {
            (true, Some(_)) => return Standing::Interrupted,
            (true, None) => return Standing::Stopping,
            (false, _) => {}
        }
        match command.state {
            CommandState::Running if self.run.status == RunStatus::Running => self.working(),
            CommandState::Pending if command.attempt > 1 => Standing::Resting,
            _ => Standing::Waiting,
        }
    }

    fn working(&self) -> Standing {
        let policy = self.run.made.terms.policy.as_ref();
        Standing::Working {
            asks: self.run.interaction == Interaction::WaitingForInput,
            interactive: policy.is_some_and(|policy| policy.interactive),
        }
    }

    /// Makes the run that an input gets of its own, behind this one. Gives what became of the
    /// input.
    pub(super) async fn append(
        &self,
        tx: &mut Tx<'_>,
        own: (&RunId, &CommandId),
        text: &str,
        now: Time,
    ) -> Result<InputOutcome, WriteError> {
        let standing = self.standing();
        let ended = matches!(standing, Standing::Ended | Standing::Stopping);
        let joined = self.run.status.is_terminal() || self.join_session(tx, now).await?;
        let run = follow_up(&self.run.made, own.0.clone(), text, now);
        runs::insert(tx, &run).await?;
        // Outside of a session, what runs after what is said by the command.
        let after = (!joined).then_some(&self.run.made.id);
        commands::insert_all(tx, &[First { id: own.1, run: &run, after }]).await?;
        if let Some(task) = run.owner.task_id() {
            tasks::take_up(tx, task.as_str(), run.id.as_str()).await?;
        }
        Ok(if ended { InputOutcome::Restarted } else { InputOutcome::Queued })
    }

    /// Has a run that belongs to no session begin one, so that what is behind it follows it there;
    /// whether it belongs to one now. It does not when somebody else uses its name.
    async fn join_session(&self, tx: &mut Tx<'_>, now: Time) -> Result<bool, WriteError> {
        let made = &self.run.made;
        if made.terms.session.is_some() {
            return Ok(true);
        }
        let Some(session) = own_session(made) else { return Ok(false) };
        if sessions::is_known(tx, &session.id).await? {
            return Ok(false);
        }
        let terms = Terms { session: Some(session.clone()), ..made.terms.clone() };
        let run = NewRun { terms, ..made.clone() };
        sessions::know(tx, std::iter::once(&run)).await?;
        runs::join_session(tx, &run).await?;
        let (id, session) = (run.id.as_str(), session.id.as_str());
        tx.execute(JOIN_SESSION, &binds![id, session]).await?;
        self.take_session(tx, session, now).await?;
        Ok(true)
    }

    async fn take_session(
        &self,
        tx: &mut Tx<'_>,
        session: &str,
        now: Time,
    ) -> Result<(), WriteError> {
        let Some(Latest { id, state, worker_id, lease_expires_at, .. }) = &self.command else {
            return Ok(());
        };
        let (Some(worker), Some(until)) = (worker_id, lease_expires_at) else { return Ok(()) };
        if !state.is_active() {
            return Ok(());
        }
        sessions::take(tx, session, worker, id, *until, now).await?;
        match self.standing() {
            Standing::Working { .. } => sessions::enter(tx, id, SessionState::Active, now).await,
            Standing::Interrupted | Standing::Stopping => {
                sessions::enter(tx, id, SessionState::Stopping, now).await
            }
            _ => Ok(()),
        }
    }
}

/// The run's latest command, locked. Who waits for it on PostgreSQL may find that another attempt
/// has followed it.
async fn latest(tx: &mut Tx<'_>, run_id: &str) -> Result<Option<Latest>, WriteError> {
    let mut held = None;
    loop {
        let Some(row) = tx.row(LOCK_COMMAND, &binds![run_id]).await? else { return Ok(None) };
        let id: String = Reader::new("commands", &row).get("id")?;
        if held.as_ref() == Some(&id) {
            break;
        }
        held = Some(id);
    }
    let row = tx.row(SELECT_COMMAND, &binds![held]).await?;
    Ok(row.as_ref().map(|row| read(&Reader::new("commands", row))).transpose()?)
}

fn read(r: &Reader<'_>) -> Result<Latest, StoreError> {
    Ok(Latest {
        id: r.text("id")?,
        state: r.text("state")?,
        attempt: r.count("attempt")?,
        worker_id: r.text_if_any("worker_id")?,
        in_session: r.get::<Option<String>>("session_id")?.is_some(),
        cancel_requested: r.time_if_any("cancel_requested_at")?.is_some(),
        prompt: r.get("prompt")?,
        next_prompt: r.get("next_prompt")?,
        lease_expires_at: r.time_if_any("lease_expires_at")?,
    })
}

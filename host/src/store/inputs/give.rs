//! Giving an input to a run.

use std::sync::Arc;

use serde_json::json;

use super::super::audit::AuditEntry;
use super::super::commands::{self, Word};
use super::super::sql::{Reader, Tx, binds};
use super::super::view::View;
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, queues, runs, tasks};
use super::present::{Latest, Present};
use super::{read, select_inputs};
use crate::model::audit::Author;
use crate::model::command::{Control, LEASE};
use crate::model::definition::PROMPT_BYTES_MAX;
use crate::model::id::{CommandId, RunId};
use crate::model::input::{Addressee, InputOutcome, NewInput, RunInput, Standing};
use crate::model::run::OwnerKind;
use crate::model::scope::Scope;

/// Why an attempt stops that an input takes the place of.
const INTERRUPTED: &str = "interrupted by an input";

/// How long a worker has to pass an input on.
const WORD_LIFE: std::time::Duration = LEASE;

const SELECT_RUN: &str = "\
SELECT id, owner_kind, owner_id, task_id
  FROM runs
 WHERE id = $1
   AND workspace_id = $2";

// The oldest that has not ended, else the latest.
const SELECT_RUN_OF_TASK: &str = "\
SELECT id
  FROM runs
 WHERE owner_id = $1
   AND workspace_id = $2
 ORDER BY CASE WHEN status IN ('scheduled', 'running') THEN 0 ELSE 1 END,
          CASE WHEN status IN ('scheduled', 'running') THEN seq ELSE -seq END
 LIMIT 1";

const SELECT_KNOWN_OF_RUN: &str = select_inputs!(
    " WHERE i.run_id = $1
   AND i.idempotency_key = $2"
);

const SELECT_KNOWN_OF_TASK: &str = select_inputs!(
    " WHERE i.run_id IN (SELECT id FROM runs WHERE owner_id = $1)
   AND i.idempotency_key = $2"
);

const SELECT_LAST_QUESTION: &str = "\
SELECT run_id AS id, max(seq) AS seq
  FROM pending_inputs
 WHERE run_id = $1
 GROUP BY run_id";

const SELECT_UNDELIVERED: &str = "\
SELECT id
  FROM run_inputs
 WHERE command_id = $1
   AND outcome = 'interrupted'
 LIMIT 1";

const SET_NEXT_PROMPT: &str = "\
UPDATE commands
   SET next_prompt = $2
 WHERE id = $1
   AND state IN ('sent', 'acknowledged', 'running')";

// It has as much time to wait for a worker as before.
const REPLACE_PROMPT: &str = concat!(
    "\
UPDATE commands
   SET prompt = $2, due_at = $3, expires_at = ",
    commands::renewed!("commands", "$3"),
    "
 WHERE id = $1
   AND state = 'pending'"
);

const INSERT: &str = "\
INSERT INTO run_inputs
       (id, workspace_id, run_id, idempotency_key, body_hash, mode, text, outcome, into_run_id,
        command_id, asked_seq, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is given.
    New(RunInput),
    /// It was given before, under the same key.
    Known(RunInput),
    /// Something else was given under the same key; nothing changes.
    Mismatch,
}

/// Gives an input to a run, unless its key is known. None when there is no such run.
///
/// # Errors
/// When the store fails.
pub async fn give(store: &Store, input: NewInput) -> Result<Option<Given>, StoreError> {
    store.write(Give { input, author: store.author() }).await
}

/// What was given under the key of this input, if anything was.
///
/// # Errors
/// When the store fails.
pub async fn known(store: &Store, input: &NewInput) -> Result<Option<Given>, StoreError> {
    match &input.idempotency {
        Some(_) => store.view(Known(input.clone())).await,
        None => Ok(None),
    }
}

struct Known(NewInput);

impl View for Known {
    type Output = Option<Given>;
    const NAME: &'static str = "find_idempotency_key";

    async fn look(&self, tx: &mut Tx<'_>) -> Result<Option<Given>, WriteError> {
        match target(tx, &self.0).await? {
            Some(target) => known_of(tx, &self.0, &target).await,
            None => Ok(None),
        }
    }
}

struct Give {
    input: NewInput,
    author: Arc<Author>,
}

/// How an input reaches its run: what became of it, in which run, and by which command.
struct Way {
    outcome: InputOutcome,
    into_run_id: RunId,
    command_id: CommandId,
    asked_seq: Option<i64>,
}

/// The run that is meant, and whose inputs have their keys in common.
#[derive(PartialEq, Eq)]
struct Target {
    run_id: RunId,
    task_id: Option<String>,
}

impl Write for Give {
    type Output = Option<Given>;
    const NAME: &'static str = "give_input";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Given>, WriteError> {
        let Some(mut meant) = target(tx, &self.input).await? else { return Ok(None) };
        let present = loop {
            let present = Present::hold(tx, &meant.run_id).await?;
            // While we waited for it, it may have ended, and another may have taken its place.
            match target(tx, &self.input).await? {
                Some(now) if now == meant => break present,
                Some(now) => meant = now,
                None => return Ok(None),
            }
        };
        let Some(present) = present else { return Ok(None) };
        if let Some(known) = known_of(tx, &self.input, &meant).await? {
            return Ok(Some(known));
        }
        let way = self.deliver(tx, &present).await?;
        let kept = self.keep(tx, &present, way).await?;
        self.record(tx, &kept).await?;
        Ok(Some(Given::New(kept)))
    }
}

impl Give {
    async fn record(&self, tx: &mut Tx<'_>, kept: &RunInput) -> Result<(), WriteError> {
        let NewInput { to, scope, now, .. } = &self.input;
        let (kind, id) = match to {
            Addressee::Run(id) => ("run", id.as_str()),
            Addressee::Task(id) => ("task", id.as_str()),
        };
        let RunInput { id: input, mode, outcome, into_run_id, .. } = kept;
        let detail = json!({
            "input_id": input,
            "mode": mode.as_str(),
            "outcome": outcome.as_str(),
            "run_id": into_run_id,
        });
        let entry = AuditEntry::new("input.give", kind, scope.workspace_id(), *now);
        entry.on(id).with(detail).record(tx, &self.author).await
    }

    async fn deliver(&self, tx: &mut Tx<'_>, present: &Present) -> Result<Way, WriteError> {
        let standing = present.standing();
        let way = match (self.input.mode.outcome(standing), &present.command) {
            (InputOutcome::Direct, Some(command)) => self.tell(tx, present, command).await?,
            (InputOutcome::Interrupted, Some(command)) if standing == Standing::Resting => {
                self.replace(tx, present, command).await?
            }
            (InputOutcome::Interrupted, Some(command)) => {
                self.interrupt(tx, present, command).await?
            }
            _ => None,
        };
        if let Some(way) = way {
            return Ok(way);
        }
        let NewInput { run_id, command_id, text, now, .. } = &self.input;
        let outcome = present.append(tx, (run_id, command_id), text, *now).await?;
        let (into_run_id, command_id) = (run_id.clone(), command_id.clone());
        Ok(Way { outcome, into_run_id, command_id, asked_seq: None })
    }

    /// Sends the input to the worker whose program waits for it.
    async fn tell(
        &self,
        tx: &mut Tx<'_>,
        present: &Present,
        command: &Latest,
    ) -> Result<Option<Way>, WriteError> {
        let NewInput { id, command_id, text, now, scope, .. } = &self.input;
        let Some(worker_id) = &command.worker_id else { return Ok(None) };
        let run_id = &present.run.made.id;
        let row = tx.row(SELECT_LAST_QUESTION, &binds![run_id.as_str()]).await?;
        let asked_seq = row.map(|row| row.get("seq")).transpose()?;
        let control = Control::Input {
            input_id: id.clone(),
            command_id: command.id.clone(),
            text: text.clone(),
        };
        let word = Word {
            id: command_id,
            workspace_id: scope.workspace_id(),
            run_id: Some(run_id.as_str()),
            worker_id,
            control: &control,
            expires_at: *now + WORD_LIFE,
        };
        commands::insert_control(tx, &word, *now).await?;
        let (into_run_id, command_id) = (run_id.clone(), command_id.clone());
        Ok(Some(Way { outcome: InputOutcome::Direct, into_run_id, command_id, asked_seq }))
    }

    /// Stops the present attempt in favour of one that begins with the input.
    async fn interrupt(
        &self,
        tx: &mut Tx<'_>,
        present: &Present,
        command: &Latest,
    ) -> Result<Option<Way>, WriteError> {
        let NewInput { text, now, scope, .. } = &self.input;
        let Some(worker_id) = &command.worker_id else { return Ok(None) };
        let Some(prompt) = joined(command.next_prompt.as_deref(), text) else { return Ok(None) };
        let run_id = &present.run.made.id;
        let held = commands::Held {
            command_id: &command.id,
            run_id: run_id.as_str(),
            workspace_id: scope.workspace_id(),
            worker_id,
            in_session: command.in_session,
            told: command.cancel_requested,
        };
        held.stop(tx, INTERRUPTED, *now).await?;
        tx.execute(SET_NEXT_PROMPT, &binds![command.id.as_str(), prompt]).await?;
        let next = CommandId::derive(&Scope::Global, &format!("{run_id} {}", command.attempt + 1));
        Ok(Some(Way::interrupting(run_id, &next)))
    }

    /// Has the attempt that waits begin at once, with the input.
    async fn replace(
        &self,
        tx: &mut Tx<'_>,
        present: &Present,
        command: &Latest,
    ) -> Result<Option<Way>, WriteError> {
        let NewInput { text, now, .. } = &self.input;
        let undelivered = tx.row(SELECT_UNDELIVERED, &binds![command.id.as_str()]).await?;
        let before = undelivered.and(command.prompt.as_deref());
        let Some(prompt) = joined(before, text) else { return Ok(None) };
        tx.execute(REPLACE_PROMPT, &binds![command.id.as_str(), prompt, *now]).await?;
        let run = &present.run;
        let run_id = &run.made.id;
        runs::wait(tx, run_id.as_str(), run.error.as_deref(), *now, *now).await?;
        queues::hint(tx).await?;
        Ok(Some(Way::interrupting(run_id, &command.id)))
    }

    async fn keep(
        &self,
        tx: &mut Tx<'_>,
        present: &Present,
        way: Way,
    ) -> Result<RunInput, WriteError> {
        let NewInput { id, scope, mode, text, idempotency, now, .. } = &self.input;
        let run_id = &present.run.made.id;
        let binds = binds![
            id.as_str(),
            scope.workspace_id(),
            run_id.as_str(),
            idempotency.as_ref().map(|once| once.key.as_str()),
            idempotency.as_ref().map(|once| &once.body_hash[..]),
            mode.as_str(),
            text.as_str(),
            way.outcome.as_str(),
            way.into_run_id.as_str(),
            way.command_id.as_str(),
            way.asked_seq,
            *now,
        ];
        tx.execute(INSERT, &binds).await?;
        Ok(RunInput {
            id: id.clone(),
            run_id: run_id.clone(),
            mode: *mode,
            text: text.clone(),
            outcome: way.outcome,
            into_run_id: way.into_run_id,
            command_id: way.command_id,
            asked_seq: way.asked_seq,
            created_at: *now,
            delivered_at: None,
        })
    }
}

async fn target(tx: &mut Tx<'_>, input: &NewInput) -> Result<Option<Target>, WriteError> {
    let workspace = input.scope.workspace_id();
    let (run_id, task_id) = match &input.to {
        Addressee::Task(id) => (None, Some(id.to_string())),
        Addressee::Run(id) => {
            let row = tx.row(SELECT_RUN, &binds![id.as_str(), workspace]).await?;
            let Some(row) = row else { return Ok(None) };
            let r = Reader::new("runs", &row);
            match r.text("owner_kind")? {
                OwnerKind::Task => (Some(id.clone()), Some(r.get("owner_id")?)),
                // What was handed over to a task is the task's.
                OwnerKind::Job | OwnerKind::Trigger => match r.get("task_id")? {
                    Some(task) => (None, Some(task)),
                    None => (Some(id.clone()), None),
                },
            }
        }
    };
    if let Some(run_id) = run_id {
        return Ok(Some(Target { run_id, task_id }));
    }
    let row = tx.row(SELECT_RUN_OF_TASK, &binds![task_id.clone(), workspace]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Target { run_id: Reader::new("runs", &row).text("id")?, task_id }))
}

/// What was given to it under the input's key.
async fn known_of(
    tx: &mut Tx<'_>,
    input: &NewInput,
    target: &Target,
) -> Result<Option<Given>, WriteError> {
    let Some(wanted) = &input.idempotency else { return Ok(None) };
    let key = wanted.key.as_str();
    let row = match &target.task_id {
        Some(task) => tx.row(SELECT_KNOWN_OF_TASK, &binds![task.as_str(), key]).await?,
        None => tx.row(SELECT_KNOWN_OF_RUN, &binds![target.run_id.as_str(), key]).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let same = tasks::read_hash(&Reader::new("run_inputs", &row))? == wanted.body_hash;
    Ok(Some(if same { Given::Known(read(&row)?) } else { Given::Mismatch }))
}

impl Way {
    fn interrupting(run_id: &RunId, command_id: &CommandId) -> Self {
        Self {
            outcome: InputOutcome::Interrupted,
            into_run_id: run_id.clone(),
            command_id: command_id.clone(),
            asked_seq: None,
        }
    }
}

/// An input behind one that no program has got yet; none when that is too much for a prompt.
fn joined(before: Option<&str>, text: &str) -> Option<String> {
    let Some(before) = before else { return Some(text.to_owned()) };
    let both = format!("{before}\n\n{text}");
    (both.len() <= PROMPT_BYTES_MAX).then_some(both)
}

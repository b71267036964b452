//! Run input: what runs are told, and what became of it.
//!
//! ```text
//! asked    a program's question: the run waits for input
//! give     an input, by its mode and by how the run stands: a word to the worker, another attempt,
//!          or a run of its own
//! settle   how the word ended: the question is answered, or the input gets a run of its own after all
//! ```
//! Who gives an input holds the run's present command: the run neither ends nor goes on meanwhile.

mod give;
mod present;
mod settle;

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError, runs};
use crate::model::id::RunId;
use crate::model::input::{PendingInput, RunInput};
use crate::model::run::Interaction;
use crate::model::time::Time;
pub use give::{Given, give, known};
pub(super) use settle::settle;

/// How many inputs of a run are listed.
const LISTED_MAX: u32 = 500;

/// A query of inputs. One that is a prompt was delivered when its command began.
macro_rules! select_inputs {
    ($rest:literal) => {
        concat!(
            "\
SELECT i.id, i.run_id, i.mode, i.text, i.outcome, i.into_run_id, i.command_id, i.asked_seq,
       i.body_hash, i.created_at,
       CASE WHEN i.outcome = 'direct' THEN i.delivered_at ELSE c.started_at END AS delivered_at
  FROM run_inputs i
  LEFT JOIN commands c ON c.id = i.command_id
",
            $rest
        )
    };
}
use select_inputs;

const SELECT_OF_RUN: &str = select_inputs!(
    " WHERE i.run_id = $1
 ORDER BY i.created_at, i.id
 LIMIT $2"
);

// What an earlier attempt's program asked, nobody waits to hear.
const SELECT_PENDING: &str = "\
SELECT p.run_id AS id, p.seq, p.prompt, p.asked_at
  FROM pending_inputs p
  JOIN runs r ON r.id = p.run_id
 WHERE p.run_id = $1
   AND r.interaction = 'waiting_for_input'
 ORDER BY p.seq";

const FORGET_EARLIER: &str = "\
DELETE FROM pending_inputs
 WHERE run_id = $1
   AND NOT EXISTS (SELECT 1
                     FROM runs
                    WHERE id = $1
                      AND interaction = 'waiting_for_input')";

// A run that does not work asks nothing.
const ASK: Sql = Sql {
    sqlite: "\
INSERT INTO pending_inputs (run_id, seq, prompt, asked_at)
SELECT id, $2, $3, $4
  FROM runs
 WHERE id = $1
   AND status = 'running'
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO pending_inputs (run_id, seq, prompt, asked_at)
SELECT id, $2, $3::text, $4
  FROM runs
 WHERE id = $1
   AND status = 'running'
    ON CONFLICT DO NOTHING",
};

const FORGET_ANSWERED: &str = "\
DELETE FROM pending_inputs
 WHERE run_id = $1
   AND seq <= $2";

const COUNT_PENDING: &str = "\
SELECT count(*) AS pending
  FROM pending_inputs
 WHERE run_id = $1";

/// The inputs that a run was given, oldest first.
///
/// # Errors
/// When the store fails.
pub async fn of_run(store: &Store, run_id: &RunId) -> Result<Vec<RunInput>, StoreError> {
    let binds = binds![run_id.as_str(), LISTED_MAX];
    let rows = store.read("list_run_inputs", SELECT_OF_RUN, &binds).await?;
    rows.iter().map(read).collect()
}

/// The questions of a run's program that wait for an answer, oldest first.
///
/// # Errors
/// When the store fails.
pub async fn pending(store: &Store, run_id: &RunId) -> Result<Vec<PendingInput>, StoreError> {
    let rows = store.read("list_questions", SELECT_PENDING, &binds![run_id.as_str()]).await?;
    rows.iter().map(read_pending).collect()
}

/// The same within a transaction.
pub(super) async fn pending_in(
    tx: &mut Tx<'_>,
    run_id: &RunId,
) -> Result<Vec<PendingInput>, WriteError> {
    let rows = tx.rows(SELECT_PENDING, &binds![run_id.as_str()]).await?;
    Ok(rows.iter().map(read_pending).collect::<Result<_, _>>()?)
}

/// Notes a question of a run's program, as [`asked`] does within a transaction.
///
/// # Errors
/// When the store fails.
pub async fn ask(store: &Store, question: PendingInput) -> Result<(), StoreError> {
    store.write(Ask(question)).await
}

struct Ask(PendingInput);

impl Write for Ask {
    type Output = ();
    const NAME: &'static str = "record_question";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let PendingInput { run_id, seq, prompt, asked_at } = &self.0;
        asked(tx, run_id.as_str(), *seq, prompt.as_deref(), *asked_at).await
    }
}

/// Notes a question of a run's program; `seq` is its number among the run's events.
pub(super) async fn asked(
    tx: &mut Tx<'_>,
    run_id: &str,
    seq: i64,
    prompt: Option<&str>,
    at: Time,
) -> Result<(), WriteError> {
    tx.execute(FORGET_EARLIER, &binds![run_id]).await?;
    tx.execute(ASK, &binds![run_id, seq, prompt, at]).await?;
    runs::interact(tx, run_id, Interaction::WaitingForInput, at).await
}

/// Notes that a run's program got an answer to all that it had asked up to `seq`.
async fn answered(tx: &mut Tx<'_>, run_id: &str, seq: i64, at: Time) -> Result<(), WriteError> {
    tx.execute(FORGET_ANSWERED, &binds![run_id, seq]).await?;
    let row = tx.row(COUNT_PENDING, &binds![run_id]).await?;
    let left = row.map_or(Ok(0), |row| row.get::<i64>("pending"))?;
    if left > 0 {
        return Ok(());
    }
    runs::interact(tx, run_id, Interaction::Working, at).await
}

fn read(row: &Row) -> Result<RunInput, StoreError> {
    let r = Reader::new("run_inputs", row);
    Ok(RunInput {
        id: r.text("id")?,
        run_id: r.text("run_id")?,
        mode: r.text("mode")?,
        text: r.get("text")?,
        outcome: r.text("outcome")?,
        into_run_id: r.text("into_run_id")?,
        command_id: r.text("command_id")?,
        asked_seq: r.get("asked_seq")?,
        created_at: r.time("created_at")?,
        delivered_at: r.time_if_any("delivered_at")?,
    })
}

fn read_pending(row: &Row) -> Result<PendingInput, StoreError> {
    let r = Reader::new("pending_inputs", row);
    Ok(PendingInput {
        run_id: r.text("id")?,
        seq: r.get("seq")?,
        prompt: r.get("prompt")?,
        asked_at: r.time("asked_at")?,
    })
}

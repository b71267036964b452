//! What becomes of an input when the word that brings it to the worker has ended.

use super::super::sql::{Tx, binds};
use super::super::write::WriteError;
use super::present::Present;
use super::{answered, read, select_inputs};
use crate::model::command::CommandType;
use crate::model::id::{CommandId, RunId};
use crate::model::input::{RunInput, Standing};
use crate::model::run::{Ending, RunStatus};
use crate::model::scope::Scope;
use crate::model::time::Time;

const SELECT_ON_ITS_WAY: &str = select_inputs!(
    " WHERE i.command_id = $1
   AND i.outcome = 'direct'
   AND i.delivered_at IS NULL"
);

const DELIVERED: &str = "\
UPDATE run_inputs
   SET delivered_at = $2
 WHERE id = $1";

const REDIRECT: &str = "\
UPDATE run_inputs
   SET outcome = $2, into_run_id = $3, command_id = $4
 WHERE id = $1";

/// Notes how a word to a worker ended. An input that no program got becomes the prompt of a run of
/// its own, unless its run was called off meanwhile.
pub(in crate::store) async fn settle(
    tx: &mut Tx<'_>,
    command: &CommandId,
    kind: CommandType,
    ending: &Ending,
    now: Time,
) -> Result<(), WriteError> {
    if kind != CommandType::Input {
        return Ok(());
    }
    let Some(row) = tx.row(SELECT_ON_ITS_WAY, &binds![command.as_str()]).await? else {
        return Ok(());
    };
    let input = read(&row)?;
    match ending {
        Ending::Completed => {
            tx.execute(DELIVERED, &binds![input.id.as_str(), now]).await?;
            match input.asked_seq {
                Some(seq) => answered(tx, input.run_id.as_str(), seq, now).await,
                None => Ok(()),
            }
        }
        Ending::Failed { .. } | Ending::Canceled => rescue(tx, &input, now).await,
    }
}

async fn rescue(tx: &mut Tx<'_>, input: &RunInput, now: Time) -> Result<(), WriteError> {
    let Some(present) = Present::hold(tx, &input.run_id).await? else { return Ok(()) };
    let called_off = present.run.status == RunStatus::Canceled;
    if called_off || present.standing() == Standing::Stopping {
        return Ok(());
    }
    // The same identifiers whenever the write is applied again.
    let name = format!("input {}", input.id);
    let run_id = RunId::derive(&Scope::Global, &name);
    let command_id = CommandId::derive(&Scope::Global, &name);
    let outcome = present.append(tx, (&run_id, &command_id), &input.text, now).await?;
    let binds = binds![input.id.as_str(), outcome.as_str(), run_id.as_str(), command_id.as_str()];
    tx.execute(REDIRECT, &binds).await?;
    Ok(())
}

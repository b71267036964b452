//! What a worker says of a command that it holds: each word carries the token, and comes from the
//! worker that was given it. Nothing of a command is taken before the worker has acknowledged it, but
//! that it gives the command up, or cannot begin.

use super::super::sql::{Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, sessions};
use super::{Current, Fence, Renewed};
use crate::model::command::{CommandState, Hold, LEASE, Token};
use crate::model::id::{CommandId, WorkerId};
use crate::model::run::Ending;
use crate::model::time::Time;

const RENEW: &str = "\
UPDATE commands
   SET lease_expires_at = $2
 WHERE id = $1
   AND state IN ('sent', 'acknowledged', 'running')";

/// Notes that the worker has it.
///
/// # Errors
/// When the store fails.
pub async fn acknowledge(store: &Store, hold: &Hold, now: Time) -> Result<Fence, StoreError> {
    say(store, hold, Said::Acknowledged, now).await
}

/// Notes that the worker has begun.
///
/// # Errors
/// When the store fails.
pub async fn start(store: &Store, hold: &Hold, now: Time) -> Result<Fence, StoreError> {
    say(store, hold, Said::Started, now).await
}

/// Ends the command, and with it its run, unless another attempt follows.
///
/// # Errors
/// When the store fails.
pub async fn finish(
    store: &Store,
    hold: &Hold,
    ending: Ending,
    now: Time,
) -> Result<Fence, StoreError> {
    say(store, hold, Said::Finished(ending), now).await
}

/// Puts the command back into the queue, as if this worker had never had it.
///
/// # Errors
/// When the store fails.
pub async fn hand_back(store: &Store, hold: &Hold, now: Time) -> Result<Fence, StoreError> {
    say(store, hold, Said::HandedBack, now).await
}

async fn say(store: &Store, hold: &Hold, said: Said, now: Time) -> Result<Fence, StoreError> {
    let said = match said {
        Said::Finished(ending) => Said::Finished(kept(ending, store)),
        other => other,
    };
    let say = Say { hold: hold.clone(), said, now };
    let ends = matches!(say.said, Said::Finished(_) | Said::HandedBack);
    let (fence, run_id) = store.write(say).await?;
    if ends {
        store.record.forget(&hold.command_id);
    }
    store.tell(run_id);
    Ok(fence)
}

/// The ending as it is kept.
fn kept(ending: Ending, store: &Store) -> Ending {
    match ending {
        Ending::Failed { error, retry_after_ms } => {
            let error = store.record.error(error);
            Ending::Failed { error, retry_after_ms }
        }
        other => other,
    }
}

/// Renews the leases of what a worker holds.
///
/// # Errors
/// When the store fails.
pub async fn renew(
    store: &Store,
    worker_id: &WorkerId,
    held: Vec<(CommandId, Token)>,
    now: Time,
) -> Result<Renewed, StoreError> {
    store.write(Renew { worker_id: worker_id.clone(), held, now }).await
}

/// A worker's word on a command.
struct Say {
    hold: Hold,
    said: Said,
    now: Time,
}

enum Said {
    Acknowledged,
    Started,
    Finished(Ending),
    HandedBack,
}

impl Write for Say {
    /// The run beside the fence: whoever listens to it is told.
    type Output = (Fence, Option<String>);
    const NAME: &'static str = "apply_worker_report";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let Some(command) = Current::fenced(tx, &self.hold, self.now).await? else {
            return Ok((Fence::Lost, None));
        };
        let fence = self.take(tx, &command).await?;
        Ok((fence, command.run_id))
    }
}

impl Say {
    /// Changes the command as the worker says.
    async fn take(&self, tx: &mut Tx<'_>, command: &Current) -> Result<Fence, WriteError> {
        let (over, unseen) = (command.state.is_terminal(), command.state == CommandState::Sent);
        match &self.said {
            Said::Acknowledged => command.acknowledge(tx, self.now).await?,
            Said::Started | Said::Finished(Ending::Completed) if unseen => return Ok(Fence::Lost),
            // Said again after the end, it changes nothing; the guard in the statement sees to that.
            Said::Started => command.start(tx, self.now).await?,
            Said::Finished(ending) if over => {
                let same = command.state.as_str() == ending.status().as_str();
                return Ok(if same { Fence::Held } else { Fence::Lost });
            }
            // It could not begin, and never had it.
            Said::Finished(ending) if unseen => command.end(tx, ending, self.now).await?,
            Said::Finished(ending) => {
                command.start(tx, self.now).await?;
                command.end(tx, ending, self.now).await?;
            }
            Said::HandedBack if over => return Ok(Fence::Lost),
            Said::HandedBack => {
                let attempts = command.dispatch_attempts.saturating_sub(1);
                command.requeue(tx, attempts, self.now).await?;
            }
        }
        Ok(Fence::Held)
    }
}

struct Renew {
    worker_id: WorkerId,
    held: Vec<(CommandId, Token)>,
    now: Time,
}

impl Write for Renew {
    type Output = Renewed;
    const NAME: &'static str = "renew_leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Renewed, WriteError> {
        let mut renewed = Renewed::default();
        for (id, token) in &self.held {
            let (worker_id, command_id) = (self.worker_id.clone(), id.clone());
            let hold = Hold { worker_id, command_id, token: token.clone() };
            match Current::fenced(tx, &hold, self.now).await? {
                Some(command) if !command.state.is_terminal() => {
                    tx.execute(RENEW, &binds![id.as_str(), self.now + LEASE]).await?;
                    if command.session_id.is_some() {
                        sessions::renew(tx, id, self.now + LEASE).await?;
                    }
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

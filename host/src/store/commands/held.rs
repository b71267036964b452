//! What a worker says of a command that it holds: each word carries the token.

use super::super::sql::{Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, sessions};
use super::{Current, Fence, Renewed};
use crate::model::command::{LEASE, Token};
use crate::model::id::CommandId;
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
pub async fn acknowledge(
    store: &Store,
    id: &CommandId,
    token: &Token,
    now: Time,
) -> Result<Fence, StoreError> {
    say(store, id, token, Said::Acknowledged, now).await
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
    say(store, id, token, Said::Started, now).await
}

/// Ends the command, and with it its run, unless another attempt follows.
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
    say(store, id, token, Said::Finished(ending), now).await
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
    say(store, id, token, Said::HandedBack, now).await
}

async fn say(
    store: &Store,
    id: &CommandId,
    token: &Token,
    said: Said,
    now: Time,
) -> Result<Fence, StoreError> {
    let said = match said {
        Said::Finished(ending) => Said::Finished(redacted(ending, store)),
        other => other,
    };
    let say = Say { id: id.clone(), token: token.clone(), said, now };
    let (fence, run_id) = store.write(say).await?;
    store.tell(run_id);
    Ok(fence)
}

/// The ending as it is kept.
fn redacted(ending: Ending, store: &Store) -> Ending {
    match ending {
        Ending::Failed { error, retry_after_ms } => {
            let error = store.record.redaction().text(error).into_owned();
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
    held: Vec<(CommandId, Token)>,
    now: Time,
) -> Result<Renewed, StoreError> {
    store.write(Renew { held, now }).await
}

/// A worker's word on a command.
struct Say {
    id: CommandId,
    token: Token,
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
    const DOING: &'static str = "note a worker's word";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let Some(command) = Current::fenced(tx, &self.id, &self.token, self.now).await? else {
            return Ok((Fence::Lost, None));
        };
        let fence = self.take(tx, &command).await?;
        Ok((fence, command.run_id))
    }
}

impl Say {
    /// Changes the command as the worker says.
    async fn take(&self, tx: &mut Tx<'_>, command: &Current) -> Result<Fence, WriteError> {
        let over = command.state.is_terminal();
        match &self.said {
            Said::Acknowledged => command.acknowledge(tx, self.now).await?,
            // Said again after the end, it changes nothing; the guard in the statement sees to that.
            Said::Started => command.start(tx, self.now).await?,
            Said::Finished(ending) if over => {
                let same = command.state.as_str() == ending.status().as_str();
                return Ok(if same { Fence::Held } else { Fence::Lost });
            }
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
    held: Vec<(CommandId, Token)>,
    now: Time,
}

impl Write for Renew {
    type Output = Renewed;
    const DOING: &'static str = "renew leases";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Renewed, WriteError> {
        let mut renewed = Renewed::default();
        for (id, token) in &self.held {
            match Current::fenced(tx, id, token, self.now).await? {
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

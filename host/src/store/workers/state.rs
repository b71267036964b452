//! What an administrator wants of a worker.

use std::sync::Arc;

use super::super::sql::{Reader, Row, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::audited::{Decided, Done};
use super::presence::go_offline;
use crate::model::audit::Author;
use crate::model::id::WorkerId;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::model::worker::{AdminState, Dismissal};

/// A change of what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It may work.
    Approve,
    /// It may not come in.
    Reject,
    /// It takes nothing new.
    Disable,
    /// It takes work again.
    Enable,
    /// It takes nothing new, and is expected to leave when it has finished.
    Drain,
    /// It takes work again.
    Undrain,
    /// It is gone for good.
    Revoke,
}

impl Change {
    /// Why the worker may not stay after it; none when it may.
    pub fn dismissal(self) -> Option<Dismissal> {
        match self {
            Self::Reject => Some(Dismissal::Rejected),
            Self::Revoke => Some(Dismissal::Revoked),
            _ => None,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Approve => "worker.approve",
            Self::Reject => "worker.reject",
            Self::Disable => "worker.disable",
            Self::Enable => "worker.enable",
            Self::Drain => "worker.drain",
            Self::Undrain => "worker.undrain",
            Self::Revoke => "worker.revoke",
        }
    }

    // The guard is that what is revoked stays so.
    fn statement(self) -> &'static str {
        match self {
            Self::Approve => {
                "\
UPDATE workers
   SET approval = 'approved'
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Reject => {
                "\
UPDATE workers
   SET approval = 'rejected', connection = NULL
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Disable => {
                "\
UPDATE workers
   SET admin_state = 'disabled'
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Enable => {
                "\
UPDATE workers
   SET admin_state = 'active'
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Drain => {
                "\
UPDATE workers
   SET draining = 1, health = CASE WHEN health = 'online' THEN 'draining' ELSE health END
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Undrain => {
                "\
UPDATE workers
   SET draining = 0,
       health = CASE WHEN health = 'draining' AND leaving = 0 THEN 'online' ELSE health END
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'"
            }
            Self::Revoke => {
                "\
UPDATE workers
   SET admin_state = 'revoked', connection = NULL
 WHERE id = $1
   AND workspace_id = $2"
            }
        }
    }
}

/// Why a change cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such worker in this scope.
    Missing,
    /// It is gone for good.
    Revoked,
    /// It came with an API key, and has no credential.
    NoCredential,
}

const SELECT: &str = "\
SELECT id, admin_state, credential_prefix
  FROM workers
 WHERE id = $1
   AND workspace_id = $2";

const ROTATE: &str = "\
UPDATE workers
   SET credential_hash = $3, credential_prefix = $4, connection = NULL
 WHERE id = $1
   AND workspace_id = $2
   AND admin_state <> 'revoked'
   AND credential_hash IS NOT NULL";

/// Makes a change, at once and for every replica. Making one that holds already changes nothing.
///
/// # Errors
/// When the store fails.
pub async fn change(
    store: &Store,
    scope: &Scope,
    worker_id: &WorkerId,
    change: Change,
    now: Time,
) -> Result<Result<(), Refusal>, StoreError> {
    let (whose, author) = (Whose::new(scope, worker_id), store.author());
    store.write(Make { whose, change, now, author }).await
}

/// Gives a worker another credential: the one it had opens nothing any more, and its connection
/// closes. What it is at stays its own, for when it comes back.
///
/// # Errors
/// When the store fails.
pub async fn rotate(
    store: &Store,
    scope: &Scope,
    worker_id: &WorkerId,
    hash: [u8; 32],
    prefix: &str,
    now: Time,
) -> Result<Result<(), Refusal>, StoreError> {
    let (whose, author) = (Whose::new(scope, worker_id), store.author());
    store.write(Rotate { whose, hash, prefix: prefix.to_owned(), now, author }).await
}

/// Which worker is meant, where.
struct Whose {
    scope: Scope,
    worker_id: WorkerId,
}

impl Whose {
    fn new(scope: &Scope, worker_id: &WorkerId) -> Self {
        Self { scope: scope.clone(), worker_id: worker_id.clone() }
    }

    /// Why nothing was changed.
    async fn refusal(&self, tx: &mut Tx<'_>) -> Result<Refusal, WriteError> {
        let binds = binds![self.worker_id.as_str(), self.scope.workspace_id()];
        let row: Option<Row> = tx.row(SELECT, &binds).await?;
        let Some(row) = row else { return Ok(Refusal::Missing) };
        let r = Reader::new("workers", &row);
        Ok(match r.text("admin_state")? {
            AdminState::Revoked => Refusal::Revoked,
            _ => Refusal::NoCredential,
        })
    }
}

struct Make {
    whose: Whose,
    change: Change,
    now: Time,
    author: Arc<Author>,
}

impl Write for Make {
    type Output = Result<(), Refusal>;
    const NAME: &'static str = "set_worker_state";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let Whose { scope, worker_id } = &self.whose;
        let before = Decided::of(tx, worker_id).await?;
        let binds = binds![worker_id.as_str(), scope.workspace_id()];
        if tx.execute(self.change.statement(), &binds).await? == 0 {
            return Ok(Err(self.whose.refusal(tx).await?));
        }
        if self.change.dismissal().is_some() {
            go_offline(tx, worker_id, self.now).await?;
        }
        let (action, at) = (self.change.action(), self.now);
        let done = Done { action, worker: worker_id, before, detail: None, at };
        done.record(tx, &self.author).await?;
        Ok(Ok(()))
    }
}

struct Rotate {
    whose: Whose,
    hash: [u8; 32],
    prefix: String,
    now: Time,
    author: Arc<Author>,
}

impl Write for Rotate {
    type Output = Result<(), Refusal>;
    const NAME: &'static str = "rotate_worker_credential";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let Whose { scope, worker_id } = &self.whose;
        let before = Decided::of(tx, worker_id).await?;
        let binds =
            binds![worker_id.as_str(), scope.workspace_id(), &self.hash[..], self.prefix.as_str()];
        if tx.execute(ROTATE, &binds).await? == 0 {
            return Ok(Err(self.whose.refusal(tx).await?));
        }
        go_offline(tx, worker_id, self.now).await?;
        let (action, at) = ("credential.rotate", self.now);
        let done = Done { action, worker: worker_id, before, detail: None, at };
        done.record(tx, &self.author).await?;
        Ok(Ok(()))
    }
}

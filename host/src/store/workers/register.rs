//! Registration: a machine becomes a worker with a credential of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::sql::{Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::audited::Done;
use super::tokens;
use crate::model::audit::Author;
use crate::model::id::WorkerId;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::model::worker::Approval;

/// Who lets a worker register.
#[derive(Clone, Debug)]
pub enum Admission {
    /// The bootstrap token with this hash, which says where it belongs.
    Token([u8; 32]),
    /// An administrator, who approves of it at once.
    Administrator(Scope),
}

/// A worker to be.
#[derive(Clone, Debug)]
pub struct NewWorker {
    /// Its identifier.
    pub id: WorkerId,
    /// What people call it.
    pub name: String,
    /// The hash of its credential.
    pub credential_hash: [u8; 32],
    /// What people may see of its credential.
    pub credential_prefix: String,
}

// What it serves and offers, it says when it first connects.
const INSERT: &str = "\
INSERT INTO workers
       (id, workspace_id, name, approval, admin_state, health, draining, leaving, agents, capacity,
        offer, credential_hash, credential_prefix, registered_at)
VALUES ($1, $2, $3, $4, 'active', 'unknown', 0, 0, '[]', 0, '{}', $5, $6, $7)";

/// Registers a worker, and says whether it is approved. None when the token admits nobody: it is
/// unknown, used up, expired or revoked.
///
/// # Errors
/// When the store fails.
pub async fn register(
    store: &Store,
    worker: NewWorker,
    admission: Admission,
    now: Time,
) -> Result<Option<Approval>, StoreError> {
    store.write(Register { worker, admission, now, author: store.author() }).await
}

struct Register {
    worker: NewWorker,
    admission: Admission,
    now: Time,
    author: Arc<Author>,
}

/// What an admission gives.
struct Admitted {
    scope: Scope,
    approval: Approval,
    /// By what it came, for the audit.
    detail: Option<Value>,
}

impl Register {
    /// Where it belongs, and whether it is approved.
    async fn admit(&self, tx: &mut Tx<'_>) -> Result<Option<Admitted>, WriteError> {
        Ok(match &self.admission {
            Admission::Administrator(scope) => {
                let (scope, approval) = (scope.clone(), Approval::Approved);
                Some(Admitted { scope, approval, detail: None })
            }
            Admission::Token(hash) => tokens::use_once(tx, hash, self.now).await?.map(|used| {
                let approval = if used.approves { Approval::Approved } else { Approval::Pending };
                let detail = Some(json!({ "token": used.id }));
                Admitted { scope: used.scope, approval, detail }
            }),
        })
    }
}

impl Write for Register {
    type Output = Option<Approval>;
    const NAME: &'static str = "register_worker";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Approval>, WriteError> {
        let Some(admitted) = self.admit(tx).await? else { return Ok(None) };
        let Admitted { scope, approval, detail } = admitted;
        let NewWorker { id, name, credential_hash, credential_prefix } = &self.worker;
        let binds = binds![
            id.as_str(),
            scope.workspace_id(),
            name.as_str(),
            approval.as_str(),
            &credential_hash[..],
            credential_prefix.as_str(),
            self.now,
        ];
        tx.execute(INSERT, &binds).await?;
        let (action, at) = ("worker.register", self.now);
        let done = Done { action, worker: id, before: None, detail, at };
        done.record(tx, &self.author).await?;
        Ok(Some(approval))
    }
}

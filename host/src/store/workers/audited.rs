//! What is done to a worker, as the audit has it.

use serde_json::{Value, json};

use super::super::audit::AuditEntry;
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;
use crate::model::audit::{Author, Digest};
use crate::model::id::WorkerId;
use crate::model::time::Time;

const SELECT: Sql = Sql {
    sqlite: "\
SELECT id, workspace_id, name, approval, admin_state, draining, credential_hash
  FROM workers
 WHERE id = $1",
    postgres: "\
SELECT id, workspace_id, name, approval, admin_state, draining, credential_hash
  FROM workers
 WHERE id = $1
   FOR UPDATE",
};

/// A worker as people have said that it is to be: what it says of itself, and how it fares, is no
/// change of it.
pub(super) struct Decided {
    workspace_id: String,
    name: String,
    digest: Digest,
}

impl Decided {
    /// The worker as it stands, which nobody else changes until the transaction ends.
    pub(super) async fn of(tx: &mut Tx<'_>, worker: &WorkerId) -> Result<Option<Self>, WriteError> {
        let Some(row) = tx.row(SELECT, &binds![worker.as_str()]).await? else { return Ok(None) };
        let r = Reader::new("workers", &row);
        let workspace_id: String = r.get("workspace_id")?;
        let (approval, admin_state): (String, String) = (r.get("approval")?, r.get("admin_state")?);
        let credential = r.get::<Option<Vec<u8>>>("credential_hash")?.map(hex::encode);
        let draining = r.flag("draining")?;
        let digest = Digest::of(&json!([
            worker.as_str(),
            workspace_id,
            approval,
            admin_state,
            draining,
            credential
        ]));
        Ok(Some(Self { name: r.get("name")?, workspace_id, digest }))
    }
}

/// Something that was done to a worker.
pub(super) struct Done<'d> {
    pub(super) action: &'static str,
    pub(super) worker: &'d WorkerId,
    /// How it stood before; none when it was not there.
    pub(super) before: Option<Decided>,
    pub(super) detail: Option<Value>,
    pub(super) at: Time,
}

impl Done<'_> {
    /// Tells the audit, now that it is done.
    pub(super) async fn record(self, tx: &mut Tx<'_>, author: &Author) -> Result<(), WriteError> {
        let Some(after) = Decided::of(tx, self.worker).await? else { return Ok(()) };
        let entry = AuditEntry::new(self.action, "worker", &after.workspace_id, self.at)
            .on(self.worker.as_str())
            .named(&after.name)
            .turned(self.before.map(|before| before.digest), Some(after.digest));
        let entry = match self.detail {
            Some(detail) => entry.with(detail),
            None => entry,
        };
        entry.record(tx, author).await
    }
}

//! API keys, as hashes.

use std::sync::Arc;

use serde_json::json;

use super::audit::AuditEntry;
use super::sql::{Reader, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::audit::{Author, Digest};
use crate::model::id::KeyId;
use crate::model::time::Time;

const INSERT: &str = "\
INSERT INTO keys (hash, id, role, created_at)
VALUES ($1, $2, 'admin', $3)
    ON CONFLICT DO NOTHING";

const SELECT: &str = "\
SELECT id, role
  FROM keys
 WHERE hash = $1";

/// Makes the key with this SHA-256 an admin's, unless it is known.
///
/// # Errors
/// When the store fails.
pub async fn admit(
    store: &Store,
    hash: [u8; 32],
    id: KeyId,
    created_at: Time,
) -> Result<(), StoreError> {
    store.write(Admit { hash, id, created_at, author: store.author() }).await
}

/// The key with this SHA-256, if it is known. Looking up a hash tells nothing of a key by timing.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, hash: [u8; 32]) -> Result<Option<KeyId>, StoreError> {
    let rows = store.read("find_key", SELECT, &binds![&hash[..]]).await?;
    rows.first().map(|row| Reader::new("keys", row).text("id")).transpose()
}

struct Admit {
    hash: [u8; 32],
    id: KeyId,
    created_at: Time,
    author: Arc<Author>,
}

impl Write for Admit {
    type Output = ();
    const NAME: &'static str = "create_key";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let binds = binds![&self.hash[..], self.id.as_str(), self.created_at];
        if tx.execute(INSERT, &binds).await? == 0 {
            return Ok(());
        }
        let form = Digest::of(&json!([self.id, "admin", hex::encode(self.hash)]));
        let entry = AuditEntry::new("key.create", "key", "", self.created_at).on(self.id.as_str());
        entry.turned(None, Some(form)).record(tx, &self.author).await
    }
}

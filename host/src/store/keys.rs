//! API keys, as hashes.

use super::sql::{Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
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
    store.write(Admit { hash, id, created_at }).await
}

/// Whether the key with this SHA-256 is known. Looking up a hash tells nothing of a key by timing.
///
/// # Errors
/// When the store fails.
pub async fn is_known(store: &Store, hash: [u8; 32]) -> Result<bool, StoreError> {
    let rows = store.read("look up a key", SELECT, &binds![&hash[..]]).await?;
    Ok(!rows.is_empty())
}

struct Admit {
    hash: [u8; 32],
    id: KeyId,
    created_at: Time,
}

impl Write for Admit {
    type Output = ();
    const DOING: &'static str = "store a key";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let binds = binds![&self.hash[..], self.id.as_str(), self.created_at];
        tx.execute(INSERT, &binds).await?;
        Ok(())
    }
}

//! Bootstrap tokens: with one, a machine that nobody knows becomes a worker.

use std::sync::Arc;

use serde_json::json;

use super::super::audit::AuditEntry;
use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Page, PageRequest, Store, StoreError, events};
use crate::model::audit::{Author, Digest};
use crate::model::id::BootstrapId;
use crate::model::scope::Scope;
use crate::model::time::Time;

/// A token to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its identifier.
    pub id: BootstrapId,
    /// The hash of its text.
    pub hash: [u8; 32],
    /// What people may see of it.
    pub prefix: String,
    /// Where its workers will belong.
    pub scope: Scope,
    /// How many workers may register with it.
    pub uses: u32,
    /// Whether they need nobody's approval.
    pub approves: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// A token as it stands.
#[derive(Clone, Debug)]
pub struct BootstrapToken {
    /// Its identifier.
    pub id: BootstrapId,
    /// What people may see of it.
    pub prefix: String,
    /// Where its workers belong.
    pub scope: Scope,
    /// How many more workers may register with it.
    pub uses_left: u32,
    /// Whether they need nobody's approval.
    pub approves: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When somebody ended it.
    pub revoked_at: Option<Time>,
}

const INSERT: &str = "\
INSERT INTO bootstrap_tokens
       (id, hash, prefix, workspace_id, uses_left, approves, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const SELECT_PAGE: &str = "\
SELECT seq, id, prefix, workspace_id, uses_left, approves, created_at, expires_at, revoked_at
  FROM bootstrap_tokens
 WHERE workspace_id = $1
   AND seq < $2
 ORDER BY seq DESC
 LIMIT $3";

const SELECT: Sql = Sql {
    sqlite: "\
SELECT id, prefix, workspace_id, uses_left, approves, created_at, expires_at, revoked_at
  FROM bootstrap_tokens
 WHERE id = $1
   AND workspace_id = $2",
    postgres: "\
SELECT id, prefix, workspace_id, uses_left, approves, created_at, expires_at, revoked_at
  FROM bootstrap_tokens
 WHERE id = $1
   AND workspace_id = $2
   FOR UPDATE",
};

// A token that was ended stays as it is.
const REVOKE: &str = "\
UPDATE bootstrap_tokens
   SET revoked_at = coalesce(revoked_at, $3)
 WHERE id = $1
   AND workspace_id = $2
RETURNING id, prefix, workspace_id, uses_left, approves, created_at, expires_at, revoked_at";

// The one statement in which a use is counted: of two that ask for the last, one gets it.
const USE: &str = "\
UPDATE bootstrap_tokens
   SET uses_left = uses_left - 1
 WHERE hash = $1
   AND uses_left > 0
   AND expires_at > $2
   AND revoked_at IS NULL
RETURNING id, workspace_id, approves";

/// Keeps a new token.
///
/// # Errors
/// When the store fails.
pub async fn create_token(store: &Store, token: NewToken) -> Result<(), StoreError> {
    store.write(Create { token, author: store.author() }).await
}

/// Tokens, newest first, with those that have ended.
///
/// # Errors
/// When the store fails.
pub async fn list_tokens(
    store: &Store,
    scope: &Scope,
    page: PageRequest,
) -> Result<Page<BootstrapToken>, StoreError> {
    let binds = binds![scope.workspace_id(), page.before(), page.fetch()];
    let rows = store.read("list_join_tokens", SELECT_PAGE, &binds).await?;
    Page::read("bootstrap_tokens", &rows, page, read)
}

/// Ends a token. None when there is no such token in this scope.
///
/// # Errors
/// When the store fails.
pub async fn revoke_token(
    store: &Store,
    scope: &Scope,
    id: &BootstrapId,
    now: Time,
) -> Result<Option<BootstrapToken>, StoreError> {
    let (scope, id, author) = (scope.clone(), id.clone(), store.author());
    store.write(Revoke { scope, id, now, author }).await
}

/// What a use of a token gives.
pub(super) struct Used {
    pub(super) id: BootstrapId,
    pub(super) scope: Scope,
    pub(super) approves: bool,
}

/// Uses a token once. None when it is unknown, used up, expired or revoked.
pub(super) async fn use_once(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    now: Time,
) -> Result<Option<Used>, WriteError> {
    let Some(row) = tx.row(USE, &binds![&hash[..], now]).await? else { return Ok(None) };
    let r = Reader::new("bootstrap_tokens", &row);
    let (id, scope) = (r.text("id")?, events::read_scope(&r)?);
    Ok(Some(Used { id, scope, approves: r.flag("approves")? }))
}

struct Create {
    token: NewToken,
    author: Arc<Author>,
}

impl Write for Create {
    type Output = ();
    const NAME: &'static str = "create_join_token";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let NewToken { id, hash, prefix, scope, uses, approves, created_at, expires_at } =
            &self.token;
        let binds = binds![
            id.as_str(),
            &hash[..],
            prefix.as_str(),
            scope.workspace_id(),
            *uses,
            *approves,
            *created_at,
            *expires_at,
        ];
        tx.execute(INSERT, &binds).await?;
        let made = BootstrapToken::from(self.token.clone());
        let detail = json!({ "uses": uses, "approve": approves, "expires_at": expires_at });
        let entry = made.audit_entry("token.create", *created_at).turned(None, Some(made.digest()));
        entry.with(detail).record(tx, &self.author).await
    }
}

struct Revoke {
    scope: Scope,
    id: BootstrapId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Revoke {
    type Output = Option<BootstrapToken>;
    const NAME: &'static str = "revoke_join_token";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<BootstrapToken>, WriteError> {
        let [id, workspace, now] = binds![self.id.as_str(), self.scope.workspace_id(), self.now];
        let whose = [id.clone(), workspace.clone()];
        let before = tx.row(SELECT, &whose).await?.as_ref().map(read).transpose()?;
        let after = tx.row(REVOKE, &[id, workspace, now]).await?.as_ref().map(read).transpose()?;
        if let (Some(before), Some(after)) = (&before, &after) {
            let entry = after.audit_entry("token.revoke", self.now);
            let entry = entry.turned(Some(before.digest()), Some(after.digest()));
            entry.record(tx, &self.author).await?;
        }
        Ok(after)
    }
}

impl BootstrapToken {
    /// Of all that people have said of it: its uses are no change of it.
    fn digest(&self) -> Digest {
        let Self { id, prefix, scope, approves, expires_at, revoked_at, .. } = self;
        let workspace = scope.workspace_id();
        Digest::of(&json!([id, prefix, workspace, approves, expires_at, revoked_at]))
    }

    fn audit_entry(&self, action: &'static str, at: Time) -> AuditEntry<'_> {
        AuditEntry::new(action, "token", self.scope.workspace_id(), at).on(self.id.as_str())
    }
}

impl From<NewToken> for BootstrapToken {
    fn from(token: NewToken) -> Self {
        Self {
            id: token.id,
            prefix: token.prefix,
            scope: token.scope,
            uses_left: token.uses,
            approves: token.approves,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: None,
        }
    }
}

fn read(row: &Row) -> Result<BootstrapToken, StoreError> {
    let r = Reader::new("bootstrap_tokens", row);
    Ok(BootstrapToken {
        id: r.text("id")?,
        prefix: r.get("prefix")?,
        scope: events::read_scope(&r)?,
        uses_left: r.count("uses_left")?,
        approves: r.flag("approves")?,
        created_at: r.time("created_at")?,
        expires_at: r.time("expires_at")?,
        revoked_at: r.time_if_any("revoked_at")?,
    })
}

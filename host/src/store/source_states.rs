//! What observers and extensions remember, and when those are due that look by themselves.
//!
//! A state is read, changed and committed, together with the events that the change led to. It is
//! committed only if it is still the one that was read: of two replicas that work on one, the second
//! begins anew, and nothing is kept twice or half.
//!
//! A definition that changes keeps its cursor and state, since most changes are small ones; whoever
//! wants to begin anew gives it another name. What is polled or looked at is due at once then, and
//! what goes on with the old definition at that moment is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::audit::AuditEntry;
use super::definitions::Stored;
use super::events::{Accepted, Delivery, Enter};
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::audit::Author;
use crate::model::time::Time;

/// What one observer or extension remembers, and how it fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// Whose it is.
    pub definition_id: String,
    /// Where it has come to.
    pub cursor: Option<String>,
    /// What its component remembers.
    pub state: BTreeMap<String, String>,
    /// As which it was read; every change raises it.
    pub revision: i64,
    /// When it is due, if it looks by itself.
    pub next_at: Option<Time>,
    /// When that was said.
    pub set_at: Option<Time>,
    /// When it last worked, well or not.
    pub last_at: Option<Time>,
    /// How often it has failed since it last went well.
    pub failures: u32,
    /// Why it failed last; none when it went well.
    pub last_error: Option<String>,
}

const SELECT_ONE: &str = "\
SELECT definition_id AS id, cursor, state, revision, next_at, set_at, last_at, failures, last_error
  FROM source_states
 WHERE definition_id = $1";

const SELECT_DUE: Sql = Sql {
    sqlite: "\
SELECT definition_id AS id, cursor, state, revision, next_at, set_at, last_at, failures, last_error
  FROM source_states
 WHERE next_at <= $1
   AND definition_id IN (SELECT value FROM json_each($2))
 ORDER BY next_at
 LIMIT $3",
    postgres: "\
SELECT definition_id AS id, cursor, state, revision, next_at, set_at, last_at, failures, last_error
  FROM source_states
 WHERE next_at <= $1
   AND definition_id IN (SELECT json_array_elements_text($2::json))
 ORDER BY next_at
 LIMIT $3",
};

const SELECT_NEXT: Sql = Sql {
    sqlite: "\
SELECT MIN(next_at) AS next_at
  FROM source_states
 WHERE definition_id IN (SELECT value FROM json_each($1))",
    postgres: "\
SELECT MIN(next_at) AS next_at
  FROM source_states
 WHERE definition_id IN (SELECT json_array_elements_text($1::json))",
};

const BEGIN: Sql = Sql {
    sqlite: "\
INSERT INTO source_states (definition_id, state, revision, follows, next_at, set_at, failures)
SELECT id, '{}', 0, revision, $1, $1, 0
  FROM definitions
 WHERE id IN (SELECT value FROM json_each($2))
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO source_states (definition_id, state, revision, follows, next_at, set_at, failures)
SELECT id, '{}', 0, revision, $1::bigint, $1::bigint, 0
  FROM definitions
 WHERE id IN (SELECT json_array_elements_text($2::json))
    ON CONFLICT DO NOTHING",
};

// Raising the revision drops what is under way.
const FOLLOW: Sql = Sql {
    sqlite: "\
UPDATE source_states
   SET next_at = $1, set_at = $1, failures = 0, revision = source_states.revision + 1, follows = d.revision
  FROM definitions d
 WHERE d.id = definition_id
   AND d.revision <> follows
   AND d.id IN (SELECT value FROM json_each($2))",
    postgres: "\
UPDATE source_states
   SET next_at = $1, set_at = $1, failures = 0, revision = source_states.revision + 1, follows = d.revision
  FROM definitions d
 WHERE d.id = definition_id
   AND d.revision <> follows
   AND d.id IN (SELECT json_array_elements_text($2::json))",
};

const HOLD: Sql = Sql {
    sqlite: "\
SELECT revision
  FROM source_states
 WHERE definition_id = $1
   AND revision = $2",
    postgres: "\
SELECT revision
  FROM source_states
 WHERE definition_id = $1
   AND revision = $2
   FOR UPDATE",
};

const COMMIT: &str = "\
UPDATE source_states
   SET cursor = $3, state = $4, next_at = $5, last_at = $6, failures = $7, last_error = $8,
       set_at = $9, revision = revision + 1
 WHERE definition_id = $1
   AND revision = $2";

// One that is due already keeps its turn.
const HASTEN: &str = "\
UPDATE source_states
   SET next_at = $2, set_at = $2
 WHERE definition_id = $1
   AND next_at > $2";

/// Makes a definition due now that looks by itself.
///
/// # Errors
/// When the store fails.
pub async fn hasten(store: &Store, definition: &Stored, now: Time) -> Result<(), StoreError> {
    store.write(Hasten { definition: definition.clone(), now, author: store.author() }).await
}

/// Makes these definitions, each of which looks by itself, due at once where they are new or have
/// changed.
///
/// # Errors
/// When the store fails.
pub async fn follow(store: &Store, ids: Vec<String>, now: Time) -> Result<(), StoreError> {
    store.write(Follow { ids, now }).await
}

/// What a definition remembers; nothing yet when it is new. None when there is no such definition.
///
/// # Errors
/// When the store fails.
pub async fn open(store: &Store, id: &str) -> Result<Option<SourceState>, StoreError> {
    match find(store, id).await? {
        Some(found) => Ok(Some(found)),
        None => {
            store.write(Begin { id: id.to_owned() }).await?;
            find(store, id).await
        }
    }
}

/// What a definition remembers, if it has begun.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, id: &str) -> Result<Option<SourceState>, StoreError> {
    let rows = store.read("read_source_state", SELECT_ONE, &binds![id]).await?;
    rows.first().map(read).transpose()
}

/// Those of these definitions that are due, the longest due first.
///
/// # Errors
/// When the store fails.
pub async fn due(
    store: &Store,
    ids: &[String],
    now: Time,
    limit: u32,
) -> Result<Vec<SourceState>, StoreError> {
    let binds = binds![now, Value::from(ids).to_string(), limit];
    let rows = store.read("read_due_sources", SELECT_DUE, &binds).await?;
    rows.iter().map(read).collect()
}

/// When the next of these definitions is due.
///
/// # Errors
/// When the store fails.
pub async fn next_at(store: &Store, ids: &[String]) -> Result<Option<Time>, StoreError> {
    let binds = binds![Value::from(ids).to_string()];
    let rows = store.read("read_next_due_source", SELECT_NEXT, &binds).await?;
    let next = rows.first().map(|row| Reader::new("source_states", row).time_if_any("next_at"));
    Ok(next.transpose()?.flatten())
}

/// Keeps what a source remembers now, and puts its events into the inbox, if since it was read
/// nobody has changed it, nor its definition. None when somebody has: nothing is kept then.
///
/// # Errors
/// When the store fails; nothing is kept then.
pub async fn commit(
    store: &Store,
    after: &SourceState,
    deliveries: &[Delivery],
) -> Result<Option<Vec<Accepted>>, StoreError> {
    store.write(Commit { after: after.clone(), enter: Enter::new(deliveries) }).await
}

struct Follow {
    ids: Vec<String>,
    now: Time,
}

impl Write for Follow {
    type Output = ();
    const NAME: &'static str = "sync_source_states";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let binds = binds![self.now, Value::from(self.ids.as_slice()).to_string()];
        tx.execute(BEGIN, &binds).await?;
        tx.execute(FOLLOW, &binds).await?;
        Ok(())
    }
}

struct Hasten {
    definition: Stored,
    now: Time,
    author: Arc<Author>,
}

impl Write for Hasten {
    type Output = ();
    const NAME: &'static str = "poll_source_now";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let Stored { id, kind, scope, name, .. } = &self.definition;
        tx.execute(HASTEN, &binds![id.as_str(), self.now]).await?;
        let entry =
            AuditEntry::new("extension.poll", kind.as_str(), scope.workspace_id(), self.now);
        entry.on(id).named(name).record(tx, &self.author).await
    }
}

struct Begin {
    id: String,
}

impl Write for Begin {
    type Output = ();
    const NAME: &'static str = "begin_source_state";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let ids = Value::from(std::slice::from_ref(&self.id)).to_string();
        tx.execute(BEGIN, &binds![None::<Time>, ids]).await?;
        Ok(())
    }
}

struct Commit {
    after: SourceState,
    enter: Enter,
}

impl Write for Commit {
    type Output = Option<Vec<Accepted>>;
    const NAME: &'static str = "commit_source_result";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<Accepted>>, WriteError> {
        match advance(tx, &self.after).await? {
            true => self.enter.apply(tx).await.map(Some),
            false => Ok(None),
        }
    }
}

/// Whether a state is still the one that was read; if so, nobody changes it until the transaction
/// under way ends.
pub(super) async fn hold(tx: &mut Tx<'_>, state: &SourceState) -> Result<bool, WriteError> {
    let binds = binds![state.definition_id.as_str(), state.revision];
    Ok(tx.row(HOLD, &binds).await?.is_some())
}

/// Keeps a state in a transaction under way, if it is still the one that was read.
pub(super) async fn advance(tx: &mut Tx<'_>, after: &SourceState) -> Result<bool, WriteError> {
    let binds = binds![
        after.definition_id.as_str(),
        after.revision,
        after.cursor.as_deref(),
        serde_json::to_string(&after.state).unwrap_or_default(),
        after.next_at,
        after.last_at,
        after.failures,
        after.last_error.as_deref(),
        after.set_at,
    ];
    Ok(tx.execute(COMMIT, &binds).await? == 1)
}

fn read(row: &Row) -> Result<SourceState, StoreError> {
    let r = Reader::new("source_states", row);
    Ok(SourceState {
        definition_id: r.get("id")?,
        cursor: r.get("cursor")?,
        state: r.json("state")?,
        revision: r.get("revision")?,
        next_at: r.time_if_any("next_at")?,
        set_at: r.time_if_any("set_at")?,
        last_at: r.time_if_any("last_at")?,
        failures: r.count("failures")?,
        last_error: r.get("last_error")?,
    })
}

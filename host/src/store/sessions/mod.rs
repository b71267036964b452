//! Sessions: conversations, each with at most one active command, which holds its lease.

mod find;
mod reconcile;

use serde_json::{Value, json};

use super::sql::{Sql, Tx, binds};
use super::write::WriteError;
use crate::model::id::{CommandId, SessionId, WorkerId};
use crate::model::run::NewRun;
use crate::model::session::SessionState;
use crate::model::time::Time;
pub use find::{SessionFilter, find, find_by_key, list};
pub(super) use reconcile::PATIENCE;
pub use reconcile::{Reconciled, is_stuck, reconcile};

const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO sessions (id, workspace_id, key, agent, state, state_at, last_run_id, created_at)
SELECT value ->> '$.id', value ->> '$.workspace_id', value ->> '$.key', value ->> '$.agent',
       'idle', value ->> '$.at', value ->> '$.run_id', value ->> '$.at'
  FROM json_each($1)
 WHERE true
    ON CONFLICT (id) DO UPDATE SET last_run_id = excluded.last_run_id",
    postgres: "\
INSERT INTO sessions (id, workspace_id, key, agent, state, state_at, last_run_id, created_at)
SELECT DISTINCT ON (id) id, workspace_id, key, agent, 'idle', at, run_id, at
  FROM json_to_recordset($1::json)
    AS s (id text, workspace_id text, key text, agent text, at bigint, run_id text)
 ORDER BY id, at DESC, run_id DESC
    ON CONFLICT (id) DO UPDATE SET last_run_id = excluded.last_run_id",
};

const SELECT_KNOWN: &str = "\
SELECT id
  FROM sessions
 WHERE id = $1";

const TAKE: &str = "\
UPDATE sessions
   SET lease_worker_id = $2, lease_command_id = $3, lease_expires_at = $4, state = 'starting',
       state_at = $5
 WHERE id = $1
   AND lease_command_id IS NULL";

const ENTER: &str = "\
UPDATE sessions
   SET state = $2, state_at = $3
 WHERE lease_command_id = $1
   AND state <> $2";

const RENEW: &str = "\
UPDATE sessions
   SET lease_expires_at = $2
 WHERE lease_command_id = $1";

const RELEASE: &str = "\
UPDATE sessions
   SET lease_worker_id = NULL, lease_command_id = NULL, lease_expires_at = NULL, state = 'idle',
       state_at = $2
 WHERE lease_command_id = $1";

/// Makes the sessions of these runs, unless they are known, and notes their latest run.
pub(super) async fn know(
    tx: &mut Tx<'_>,
    runs: impl Iterator<Item = &NewRun>,
) -> Result<(), WriteError> {
    let row = |run: &NewRun| {
        let session = run.terms.session.as_ref()?;
        Some(json!({
            "id": session.id,
            "workspace_id": run.scope.workspace_id(),
            "key": session.key,
            "agent": run.agent,
            "at": run.created_at.as_millis(),
            "run_id": run.id,
        }))
    };
    let rows: Vec<Value> = runs.filter_map(row).collect();
    if !rows.is_empty() {
        tx.execute(INSERT, &binds![Value::from(rows).to_string()]).await?;
    }
    Ok(())
}

/// Whether there is such a session.
pub(super) async fn is_known(tx: &mut Tx<'_>, id: &SessionId) -> Result<bool, WriteError> {
    Ok(tx.row(SELECT_KNOWN, &binds![id.as_str()]).await?.is_some())
}

/// Gives a session to one execution; whether it was free.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    session_id: &str,
    worker: &WorkerId,
    command: &CommandId,
    expires_at: Time,
    now: Time,
) -> Result<bool, WriteError> {
    let binds = binds![session_id, worker.as_str(), command.as_str(), expires_at, now];
    Ok(tx.execute(TAKE, &binds).await? > 0)
}

/// Notes where the session that this execution holds stands.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    command: &CommandId,
    state: SessionState,
    now: Time,
) -> Result<(), WriteError> {
    tx.execute(ENTER, &binds![command.as_str(), state.as_str(), now]).await?;
    Ok(())
}

/// Renews the lease that this execution holds.
pub(super) async fn renew(
    tx: &mut Tx<'_>,
    command: &CommandId,
    expires_at: Time,
) -> Result<(), WriteError> {
    tx.execute(RENEW, &binds![command.as_str(), expires_at]).await?;
    Ok(())
}

/// Frees the session that this execution holds; another's stays.
pub(super) async fn release(
    tx: &mut Tx<'_>,
    command: &CommandId,
    now: Time,
) -> Result<(), WriteError> {
    tx.execute(RELEASE, &binds![command.as_str(), now]).await?;
    Ok(())
}

//! Sessions in which nothing has happened for long, and to which no run belongs any more.

use super::super::events::read_scope;
use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::part::{Part, part};
use super::{BATCH, Batch, Removed, ids, list, take};
use crate::config::RetentionSettings;
use crate::model::scope::Scope;
use crate::model::time::Time;

// When the last of its runs ended: never, as long as one has not; at 0 when there is none. Nobody
// asks of a session that is not old. 253402300799999 is the last instant that can be written.
const SELECT_PAGE: &str = "\
SELECT s.seq, s.id, s.workspace_id, s.state_at,
       CASE WHEN s.lease_command_id IS NULL AND s.state_at <= $2
            THEN coalesce((SELECT max(coalesce(r.ended_at, 253402300799999))
                             FROM runs r
                            WHERE r.session_id = s.id), 0)
            END AS last_end
  FROM sessions s
 WHERE s.seq > $1
 ORDER BY s.seq
 LIMIT $3";

// A run that joins one on PostgreSQL writes to its row first: that one stays, and one that was
// locked here is made again. So what is seen of the runs afterwards is all.
const LOCK: Sql = Sql {
    sqlite: "\
SELECT s.id
  FROM sessions s
 WHERE s.id IN (SELECT value FROM json_each($1))",
    postgres: "\
SELECT s.id
  FROM sessions s
 WHERE s.id IN (SELECT json_array_elements_text($1::json))
 ORDER BY s.seq
   FOR UPDATE OF s SKIP LOCKED",
};

const SESSIONS: Part = part!(
    "sessions",
    "lease_command_id IS NULL
   AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.session_id = sessions.id)
   AND id"
);

/// Removes the sessions that are left for as long as their workspace keeps runs.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn sessions(
    store: &Store,
    keep: &RetentionSettings,
    now: Time,
    dry_run: bool,
) -> Result<Removed, StoreError> {
    let until = |scope: &Scope| keep.of(scope).runs.map(|span| now - span);
    let rules = keep.workspaces.values().chain([&keep.keep]);
    let Some(shortest) = rules.filter_map(|rule| rule.runs).min() else {
        return Ok(Removed::default());
    };
    let mut removed = Removed::default();
    let mut from = Some(-1_i64);
    while let Some(seq) = from {
        let binds = binds![seq, now - shortest, BATCH];
        let rows = store.read("find_old_sessions", SELECT_PAGE, &binds).await?;
        let mut due = vec![];
        for row in &rows {
            due.extend(left(row, &until, dry_run)?);
        }
        let last = rows.last().filter(|_| rows.len() >= BATCH as usize);
        from = last.map(|row| Reader::new("sessions", row).get("seq")).transpose()?;
        if !due.is_empty() {
            removed += take(store, Sessions { ids: due }, dry_run).await?;
        }
    }
    Ok(removed)
}

/// The session, if it is due; in a dry run, if it will be when its runs are gone.
fn left(
    row: &Row,
    until: &impl Fn(&Scope) -> Option<Time>,
    dry_run: bool,
) -> Result<Option<String>, StoreError> {
    let r = Reader::new("sessions", row);
    let Some(last_end) = r.time_if_any("last_end")? else { return Ok(None) };
    let Some(until) = until(&read_scope(&r)?) else { return Ok(None) };
    let without_runs = last_end == Time::EPOCH || dry_run && last_end <= until;
    let due = without_runs && r.time("state_at")? <= until;
    due.then(|| r.get("id")).transpose()
}

#[derive(Clone)]
struct Sessions {
    ids: Vec<String>,
}

impl Write for Sessions {
    type Output = Removed;
    const NAME: &'static str = "remove_sessions";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let due = list(&ids("sessions", &tx.rows(LOCK, &binds![list(&self.ids)]).await?)?);
        Ok(Removed { sessions: SESSIONS.remove(tx, &due).await?, ..Removed::default() })
    }
}

impl Batch for Sessions {
    async fn count(&self, _: &mut Tx<'_>) -> Result<Removed, WriteError> {
        Ok(Removed { sessions: self.ids.len() as u64, ..Removed::default() })
    }
}

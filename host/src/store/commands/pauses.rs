//! Pauses: while one is in force, nothing of its workspace is claimed, and what waits for a worker
//! does not expire for want of one.
//!
//! ```text
//!   made ───────── paused ───────────── resumed ───────────── expires
//!         waits            does not count         waits
//! ```
//! A wait that a pause interrupts goes on behind it: resuming puts off when each command expires by as
//! long as that one was kept. Of two pauses, a workspace's and the host's, the one that ends first puts
//! it off by what the other does not cover, which is left to that one's end.

use std::sync::Arc;

use serde_json::json;

use super::super::audit::AuditEntry;
use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, events, queues};
use super::claim::LOCK;
use crate::model::audit::{Author, Digest};
use crate::model::pause::Pause;
use crate::model::scope::Reach;
use crate::model::time::Time;

/// What stands for the whole host where a workspace's identifier would.
const HOST: &str = "*";

const SELECT: &str = "\
SELECT workspace_id, paused_at, reason
  FROM pauses
 ORDER BY workspace_id";

const SELECT_ONE: &str = "\
SELECT workspace_id, paused_at, reason
  FROM pauses
 WHERE workspace_id = $1";

const PUT: &str = "\
INSERT INTO pauses (workspace_id, paused_at, reason)
VALUES ($1, $2, $3)
    ON CONFLICT (workspace_id) DO UPDATE SET reason = coalesce(excluded.reason, pauses.reason)";

const REMOVE: &str = "\
DELETE FROM pauses
 WHERE workspace_id = $1
RETURNING workspace_id, paused_at, reason";

/// Puts off when commands expire: `$1` is whose, `$2` since when they were paused, `$3` now. No wait
/// is longer than a whole one from now, and none ends sooner than it would have. What waits for the
/// run or the session before it has begun to wait for a worker at a time that its row does not tell:
/// it gets a whole wait.
macro_rules! put_off {
    ($greatest:literal, $least:literal) => {
        concat!(
            "\
UPDATE commands AS c
   SET expires_at = ",
            $greatest,
            "(c.expires_at,
           CASE WHEN c.after_run_id IS NULL AND c.session_id IS NULL
                THEN ",
            $least,
            "($3 + ",
            patience!("c"),
            ",
                     c.expires_at + ",
            $greatest,
            "(0, ",
            $least,
            "($3, coalesce((SELECT max(p.paused_at)
                                FROM pauses p
                               WHERE p.workspace_id IN ('*', c.workspace_id)), $3))
                         - ",
            $greatest,
            "($2, coalesce(c.due_at, c.created_at))))
                ELSE $3 + ",
            patience!("c"),
            " END)
 WHERE c.queue IN (SELECT q.id
                     FROM queues q
                    WHERE $1 IN ('*', q.workspace_id))
   AND c.state = 'pending'
   AND c.expires_at IS NOT NULL
   AND coalesce(c.queue_timeout_ms, 1) <> 0"
        )
    };
}

const PUT_OFF: Sql =
    Sql { sqlite: put_off!("max", "min"), postgres: put_off!("greatest", "least") };

/// The pauses that are in force.
///
/// # Errors
/// When the store fails.
pub async fn pauses(store: &Store) -> Result<Vec<Pause>, StoreError> {
    let rows = store.read("find_pauses", SELECT, &[]).await?;
    rows.iter().map(read).collect()
}

/// Pauses a workspace, or the whole host: from the commit on nothing of it is claimed. One that is
/// paused stays so since it was, and gets the reason, if there is one.
///
/// # Errors
/// When the store fails; then nothing has changed.
pub async fn pause(
    store: &Store,
    reach: Reach,
    reason: Option<String>,
    now: Time,
) -> Result<(), StoreError> {
    store.write(Begin { reach, reason, now, author: store.author() }).await
}

/// Ends a pause, if there is one.
///
/// # Errors
/// When the store fails; then nothing has changed.
pub async fn resume(store: &Store, reach: Reach, now: Time) -> Result<(), StoreError> {
    store.write(End { reach, now, author: store.author() }).await
}

struct Begin {
    reach: Reach,
    reason: Option<String>,
    now: Time,
    author: Arc<Author>,
}

impl Write for Begin {
    type Output = ();
    const NAME: &'static str = "pause_dispatch";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        lock(tx).await?;
        let Self { reach, reason, now, author } = self;
        let before = find(tx, reach).await?;
        tx.execute(PUT, &binds![key(reach), *now, reason.clone()]).await?;
        let after = find(tx, reach).await?;
        audit_entry("queue.pause", reach, *now)
            .turned(digest(&before), digest(&after))
            .record(tx, author)
            .await
    }
}

struct End {
    reach: Reach,
    now: Time,
    author: Arc<Author>,
}

impl Write for End {
    type Output = ();
    const NAME: &'static str = "resume_dispatch";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        lock(tx).await?;
        let Self { reach, now, author } = self;
        let removed = tx.row(REMOVE, &binds![key(reach)]).await?;
        let Some(ended) = removed.as_ref().map(read).transpose()? else { return Ok(()) };
        tx.execute(PUT_OFF, &binds![key(reach), ended.since, *now]).await?;
        queues::hint(tx).await?;
        let before = digest(&Some(ended));
        audit_entry("queue.resume", reach, *now).turned(before, None).record(tx, author).await
    }
}

/// Behind this no claim is under way, and no other pause begins or ends.
async fn lock(tx: &mut Tx<'_>) -> Result<(), WriteError> {
    if let Tx::Postgres(_) = tx {
        tx.row(LOCK, &[]).await?;
    }
    Ok(())
}

async fn find(tx: &mut Tx<'_>, reach: &Reach) -> Result<Option<Pause>, WriteError> {
    let row = tx.row(SELECT_ONE, &binds![key(reach)]).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

fn key(reach: &Reach) -> &str {
    reach.workspace_id().unwrap_or(HOST)
}

fn read(row: &Row) -> Result<Pause, StoreError> {
    let r = Reader::new("pauses", row);
    let reach = match r.get::<String>("workspace_id")?.as_str() {
        HOST => Reach::All,
        _ => Reach::One(events::read_scope(&r)?),
    };
    Ok(Pause { reach, since: r.time("paused_at")?, reason: r.get("reason")? })
}

fn digest(pause: &Option<Pause>) -> Option<Digest> {
    pause.as_ref().map(|pause| Digest::of(&json!([pause.since, pause.reason])))
}

/// What is done to a queue, as the audit has it: the host's is an object of the global scope.
fn audit_entry<'d>(action: &'static str, reach: &'d Reach, now: Time) -> AuditEntry<'d> {
    match reach.workspace_id() {
        Some(workspace) => AuditEntry::new(action, "queue", workspace, now),
        None => AuditEntry::new(action, "queue", "", now).on(HOST),
    }
}

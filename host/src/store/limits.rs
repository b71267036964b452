//! Fire limits, checked in the transaction that makes the run.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::schedules::Room;
use super::sql::{Reader, Sql, Tx, binds};
use super::write::WriteError;
use crate::model::definition::FireLimit;
use crate::model::time::Time;

// Rivals on PostgreSQL would both see room for the last run: the second waits for the first, in a
// statement of its own, since a statement sees what was committed when it began. SQLite has one
// writer. Who locks several does so in the order of their identifiers, and before any row.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text AS locked";

// The last run that there is room for besides the next; when it leaves the window, there is room
// again. Canceled runs don't count, those that a limit canceled among them; retries are no runs.
const SELECT_LAST_IN_THE_WAY: &str = "\
SELECT id, created_at
  FROM runs
 WHERE owner_id = $1
   AND created_at > $2
   AND status <> 'canceled'
 ORDER BY created_at DESC
 LIMIT 1
OFFSET $3";

// Everybody locks in the same order.
const LOCK_ALL: &str = "\
SELECT pg_advisory_xact_lock(hashtextextended(id, 0))::text AS locked
  FROM (SELECT DISTINCT id
          FROM json_array_elements_text($1::json) AS owners (id)
         ORDER BY id) AS ordered";

// Of each, the newest runs in its window, as many as it may have there.
const SELECT_ALL_COUNTED: Sql = Sql {
    sqlite: "\
SELECT owner_id AS id, count(*) AS counted, min(created_at) AS oldest
  FROM (SELECT r.owner_id, r.created_at, l.value ->> '$.max' AS most,
               row_number() OVER (PARTITION BY r.owner_id ORDER BY r.created_at DESC) AS place
          FROM json_each($1) l
         CROSS JOIN runs r
         WHERE r.owner_id = l.value ->> '$.id'
           AND r.created_at > l.value ->> '$.since'
           AND r.status <> 'canceled')
 WHERE place <= most
 GROUP BY owner_id",
    postgres: "\
SELECT owner_id AS id, count(*) AS counted, min(created_at) AS oldest
  FROM (SELECT r.owner_id, r.created_at, l.max AS most,
               row_number() OVER (PARTITION BY r.owner_id ORDER BY r.created_at DESC) AS place
          FROM json_to_recordset($1::json) AS l (id text, since bigint, max bigint)
          JOIN runs r ON r.owner_id = l.id
                     AND r.created_at > l.since
                     AND r.status <> 'canceled') AS counted
 WHERE place <= most
 GROUP BY owner_id",
};

// How many of the trigger wait before the place $4, beside what the statement above tells.
const SELECT_TURN: &str = "\
SELECT (SELECT count(*)
          FROM gatherings
         WHERE trigger_id = $1
           AND place < $4) AS ahead,
       (SELECT created_at
          FROM runs
         WHERE owner_id = $1
           AND created_at > $2
           AND status <> 'canceled'
         ORDER BY created_at DESC
         LIMIT 1
        OFFSET $3) AS created_at";

/// How much these limits leave to their triggers or jobs. Until the transaction ends, nobody else
/// fires any of them.
pub(super) async fn rooms(
    tx: &mut Tx<'_>,
    limits: &[(&str, FireLimit)],
    now: Time,
) -> Result<HashMap<String, Room>, WriteError> {
    if limits.is_empty() {
        return Ok(HashMap::new());
    }
    if let Tx::Postgres(_) = tx {
        let owners: Value = limits.iter().map(|(id, _)| *id).collect();
        tx.rows(LOCK_ALL, &binds![owners.to_string()]).await?;
    }
    let since = |limit: &FireLimit| (now - limit.window).as_millis();
    let row = |(id, limit): &(&str, FireLimit)| json!({ "id": id, "since": since(limit), "max": limit.max });
    let rows: Value = limits.iter().map(row).collect();
    let mut counted = HashMap::new();
    for row in tx.rows(SELECT_ALL_COUNTED, &binds![rows.to_string()]).await? {
        let r = Reader::new("runs", &row);
        counted.insert(r.get::<String>("id")?, (r.count("counted")?, r.time("oldest")?));
    }
    let room = |(id, limit): &(&str, FireLimit)| {
        let (runs, oldest) = counted.get(*id).copied().unwrap_or((0, now));
        let retry_at = leaves(oldest, *limit, now);
        let room = Room { left: limit.max.saturating_sub(runs), retry_at };
        ((*id).to_owned(), room)
    };
    Ok(limits.iter().map(room).collect())
}

/// When the trigger or job `owner_id` may fire again, if it has reached its limit. Until the
/// transaction ends, nobody else fires it.
pub(super) async fn retry_at(
    tx: &mut Tx<'_>,
    owner_id: &str,
    limit: FireLimit,
    now: Time,
) -> Result<Option<Time>, WriteError> {
    if let Tx::Postgres(_) = tx {
        tx.row(LOCK, &binds![owner_id]).await?;
    }
    let binds = binds![owner_id, now - limit.window, limit.max.saturating_sub(1)];
    let Some(row) = tx.row(SELECT_LAST_IN_THE_WAY, &binds).await? else { return Ok(None) };
    Ok(Some(leaves(Reader::new("runs", &row).time("created_at")?, limit, now)))
}

/// A fire's turn among those of its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// How many wait before it.
    pub(super) ahead: u64,
    /// When it comes, if nothing else changes.
    pub(super) at: Time,
}

/// When it is the turn of a fire of `owner_id` that waits at this place, or comes last; none when it
/// is now. Until the transaction ends, nobody else fires it, nor joins the line.
pub(super) async fn turn(
    tx: &mut Tx<'_>,
    owner_id: &str,
    limit: FireLimit,
    place: Option<i64>,
    now: Time,
) -> Result<Option<Turn>, WriteError> {
    if let Tx::Postgres(_) = tx {
        tx.row(LOCK, &binds![owner_id]).await?;
    }
    let (ahead, first) = look(tx, owner_id, limit, place, 0, now).await?;
    if ahead == 0 {
        return Ok(first.map(|at| Turn { ahead, at: leaves(at, limit, now) }));
    }
    // Those before it take the places of the runs that leave the window, and leave it in turn.
    let max = u64::from(limit.max.max(1));
    let offset = u32::try_from(ahead % max).unwrap_or(0);
    let (_, made_at) = look(tx, owner_id, limit, place, offset, now).await?;
    let windows = u32::try_from(ahead / max).unwrap_or(u32::MAX);
    let at =
        made_at.map_or(now, |at| leaves(at, limit, now) + limit.window.saturating_mul(windows));
    Ok(Some(Turn { ahead, at }))
}

/// How many wait before a place, and when the run was made that has to leave the window before there
/// is room, and so many more with it.
async fn look(
    tx: &mut Tx<'_>,
    owner_id: &str,
    limit: FireLimit,
    place: Option<i64>,
    more: u32,
    now: Time,
) -> Result<(u64, Option<Time>), WriteError> {
    let binds = binds![
        owner_id,
        now - limit.window,
        limit.max.saturating_sub(1 + more),
        place.unwrap_or(i64::MAX),
    ];
    let row = tx.row(SELECT_TURN, &binds).await?.ok_or(sqlx::Error::RowNotFound)?;
    let r = Reader::new("runs", &row);
    Ok((u64::try_from(r.get::<i64>("ahead")?).unwrap_or(0), r.time_if_any("created_at")?))
}

/// When a run leaves the window. One that a clock far ahead has made was made by now.
fn leaves(made_at: Time, limit: FireLimit, now: Time) -> Time {
    made_at.min(now) + limit.window
}

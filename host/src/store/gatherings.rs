//! Gatherings: bursts and batches, the events that wait to lead to one run.
//!
//! ```text
//!   event ─► open gathering of (trigger, key) ─► closed: it is due, or the batch is full
//!                                                  └─► flushed: its run, its events' decisions
//! ```
//! Only an open gathering takes events, and there is one at most for a trigger and a key; so a
//! closed one is complete, and can be read and rendered at leisure. Flushing removes it in the
//! transaction that makes the run: of two hosts, the second finds nothing to remove, and after a
//! crash it is still there. One that its trigger's fire limit has no room for gets a place in a line
//! and waits on ([`deferrals`](super::deferrals)).

use std::time::Duration;

use super::events::read_scope;
use super::firing::Firing;
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError, tally};
use crate::metrics::Fact;
use crate::model::decision::Verdict;
use crate::model::definition::Batching;
use crate::model::id::{EventId, GatheringId, RunId, TriggerId};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// A gathering as long as it takes, in milliseconds; and one of any size.
const UNBOUNDED: i64 = 1 << 50;
/// How long one that waits for room is left alone, however soon its turn should come: those before it
/// may be set aside.
const TURN_MIN: Duration = Duration::from_secs(1);

/// An event that joins a gathering.
#[derive(Clone, Debug)]
pub struct BatchMember {
    /// The gathering's identifier, in case it begins with this event.
    pub id: GatheringId,
    /// The trigger.
    pub trigger_id: TriggerId,
    /// What its gatherings are told apart by.
    pub key: String,
    /// When one is complete.
    pub gather: Batching,
}

/// A gathering that is complete.
#[derive(Clone, Debug)]
pub struct Gathering {
    /// Its identifier.
    pub id: GatheringId,
    /// The trigger.
    pub trigger_id: TriggerId,
    /// Whose it is.
    pub scope: Scope,
    /// How many events there are.
    pub size: u32,
    /// Its place among those that wait for their trigger's fire limit, if it does.
    pub place: Option<i64>,
}

/// What becomes of a gathering.
#[derive(Clone, Debug)]
pub struct Flush {
    /// The gathering.
    pub gathering: Gathering,
    /// The run that its trigger wants, or why there is none.
    pub outcome: Result<Firing, Verdict>,
    /// When.
    pub at: Time,
}

// What is due takes no more events, though nobody may have come by to close it yet.
const CLOSE_OVERDUE: &str = "\
UPDATE gatherings
   SET closed = 1
 WHERE trigger_id = $1
   AND key = $2
   AND closed = 0
   AND due_at <= $3";

// `min` and `max` of several values have other names on PostgreSQL.
const JOIN: Sql = Sql {
    sqlite: "\
INSERT INTO gatherings (id, trigger_id, key, workspace_id, first_at, due_at, set_at, size, closed)
SELECT $1, $2, $3, workspace_id, $5, $6, $5, 1, 0
  FROM events
 WHERE id = $4
    ON CONFLICT (trigger_id, key) WHERE closed = 0 DO UPDATE
   SET size = gatherings.size + 1,
       set_at = $5,
       due_at = CASE WHEN gatherings.size + 1 >= $8 THEN $5
                     ELSE min(gatherings.first_at + $7, max(gatherings.due_at, $6)) END,
       closed = CASE WHEN gatherings.size + 1 >= $8 THEN 1 ELSE 0 END
RETURNING id, closed",
    postgres: "\
INSERT INTO gatherings (id, trigger_id, key, workspace_id, first_at, due_at, set_at, size, closed)
SELECT $1, $2, $3, workspace_id, $5::bigint, $6::bigint, $5::bigint, 1, 0
  FROM events
 WHERE id = $4
    ON CONFLICT (trigger_id, key) WHERE closed = 0 DO UPDATE
   SET size = gatherings.size + 1,
       set_at = $5::bigint,
       due_at = CASE WHEN gatherings.size + 1 >= $8::bigint THEN $5::bigint
                     ELSE least(gatherings.first_at + $7::bigint,
                                greatest(gatherings.due_at, $6::bigint)) END,
       closed = CASE WHEN gatherings.size + 1 >= $8::bigint THEN 1 ELSE 0 END
RETURNING id, closed",
};

const KEEP: &str = "\
INSERT INTO gathered (gathering_id, event_seq, event_id)
SELECT $1, seq, id
  FROM events
 WHERE id = $2";

// Rows that somebody has in hand are closed at the next look.
const CLOSE_DUE: Sql = Sql {
    sqlite: "\
UPDATE gatherings
   SET closed = 1
 WHERE closed = 0
   AND due_at <= $1",
    postgres: "\
UPDATE gatherings
   SET closed = 1
 WHERE id IN (SELECT id
                FROM gatherings
               WHERE closed = 0
                 AND due_at <= $1
                 FOR UPDATE SKIP LOCKED)",
};

const SELECT_DUE: &str = "\
SELECT id, trigger_id, workspace_id, size, closed, place
  FROM gatherings
 WHERE due_at <= $1
 ORDER BY due_at, place, id
 LIMIT $2";

const SELECT_NEXT_DUE: &str = "\
SELECT min(due_at) AS due_at
  FROM gatherings";

const SELECT_OF_EVENT: &str = "\
SELECT g.id, g.trigger_id, g.due_at
  FROM gathered
  JOIN events e ON e.seq = event_seq
  JOIN gatherings g ON g.id = gathering_id
 WHERE e.id = $1
   AND g.workspace_id = $2";

const POSTPONE: &str = "\
UPDATE gatherings
   SET due_at = $2, set_at = $3
 WHERE id = $1";

const DEFER: &str = "\
UPDATE gatherings
   SET due_at = $2, set_at = $3,
       place = COALESCE(place, (SELECT COALESCE(MAX(line.place), 0) + 1
                                  FROM gatherings line
                                 WHERE line.trigger_id = gatherings.trigger_id))
 WHERE id = $1
   AND closed = 1
   AND COALESCE(place, 0) = $4";

const REMOVE: &str = "\
DELETE FROM gatherings
 WHERE id = $1
   AND closed = 1";

const DECIDE: &str = "\
UPDATE decisions
   SET outcome = $3, reason = $4, run_id = $5, retry_at = $6, at = $7
 WHERE trigger_id = $2
   AND outcome IN ('held', 'deferred')
   AND event_id IN (SELECT event_id
                      FROM gathered
                     WHERE gathering_id = $1)";

const FORGET: &str = "\
DELETE FROM gathered
 WHERE gathering_id = $1";

impl BatchMember {
    /// Its place in the order in which gatherings are locked.
    pub(super) fn place(&self) -> (&TriggerId, &str) {
        (&self.trigger_id, &self.key)
    }

    /// Puts the event into the gathering that is open, or begins one.
    pub(super) async fn join(
        &self,
        tx: &mut Tx<'_>,
        event_id: &EventId,
        at: Time,
    ) -> Result<(), WriteError> {
        tx.execute(CLOSE_OVERDUE, &binds![self.trigger_id.as_str(), self.key.as_str(), at]).await?;
        let (due_at, longest_ms, size) = self.terms(at);
        let binds = binds![
            self.id.as_str(),
            self.trigger_id.as_str(),
            self.key.as_str(),
            event_id.as_str(),
            at,
            due_at,
            longest_ms,
            size,
        ];
        let joined = tx.row(JOIN, &binds).await?.ok_or(sqlx::Error::RowNotFound)?;
        let id: GatheringId = Reader::new("gatherings", &joined).text("id")?;
        tx.execute(KEEP, &binds![id.as_str(), event_id.as_str()]).await?;
        Ok(())
    }

    /// When it is due if nothing follows, how long it may last, and how many it may hold.
    fn terms(&self, at: Time) -> (Time, i64, i64) {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(UNBOUNDED);
        match &self.gather {
            Batching::Debounce { window, max_wait, .. } => {
                (at + *window, max_wait.map_or(UNBOUNDED, ms), UNBOUNDED)
            }
            Batching::Batch { size, wait, .. } => (at + *wait, ms(*wait), (*size).into()),
        }
    }
}

/// Closes what is due, and gives what is complete, the longest due first.
///
/// # Errors
/// When the store fails.
pub async fn complete(store: &Store, now: Time, limit: u32) -> Result<Vec<Gathering>, StoreError> {
    let mut due = due(store, now, limit).await?;
    if due.iter().any(|(closed, _)| !closed) {
        store.write(CloseDue { now }).await?;
        due = self::due(store, now, limit).await?;
    }
    Ok(due.into_iter().filter_map(|(closed, gathering)| closed.then_some(gathering)).collect())
}

/// What is due, and whether it is closed.
async fn due(store: &Store, now: Time, limit: u32) -> Result<Vec<(bool, Gathering)>, StoreError> {
    let rows = store.read("read_batches", SELECT_DUE, &binds![now, limit]).await?;
    let read = |row| Ok((Reader::new("gatherings", row).get::<i64>("closed")? != 0, read(row)?));
    rows.iter().map(read).collect()
}

/// When to look next: at the instant that the first of those that wait is due.
///
/// # Errors
/// When the store fails.
pub async fn next_due(store: &Store) -> Result<Option<Time>, StoreError> {
    let rows = store.read("read_batches", SELECT_NEXT_DUE, &[]).await?;
    let due = rows.first().map(|row| Reader::new("gatherings", row).time_if_any("due_at"));
    due.transpose().map(Option::flatten)
}

/// The triggers that hold an event back, and until when if nothing follows it.
///
/// # Errors
/// When the store fails.
pub async fn holding(
    store: &Store,
    scope: &Scope,
    event_id: &EventId,
) -> Result<Vec<(TriggerId, Time)>, StoreError> {
    let binds = binds![event_id.as_str(), scope.workspace_id()];
    let rows = store.read("read_event_batches", SELECT_OF_EVENT, &binds).await?;
    let read = |row| {
        let r = Reader::new("gatherings", row);
        Ok((r.text("trigger_id")?, r.time("due_at")?))
    };
    rows.iter().map(read).collect()
}

/// Leaves a gathering that is complete for later.
///
/// # Errors
/// When the store fails.
pub async fn postpone(
    store: &Store,
    id: &GatheringId,
    until: Time,
    now: Time,
) -> Result<(), StoreError> {
    store.write(Postpone { id: id.clone(), until, now }).await
}

/// Decides on a gathering: its run is made if there is room for it, and the decisions of all its
/// events say what became of them. One that is to wait for room waits on. None when somebody else has
/// done so.
///
/// # Errors
/// When the store fails; then the gathering waits on.
pub async fn flush(store: &Store, flush: Flush) -> Result<Option<Verdict>, StoreError> {
    store.write(flush).await
}

struct CloseDue {
    now: Time,
}

impl Write for CloseDue {
    type Output = ();
    const NAME: &'static str = "close_batches";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        tx.execute(CLOSE_DUE, &binds![self.now]).await?;
        Ok(())
    }
}

struct Postpone {
    id: GatheringId,
    until: Time,
    now: Time,
}

impl Write for Postpone {
    type Output = ();
    const NAME: &'static str = "postpone_batch";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        tx.execute(POSTPONE, &binds![self.id.as_str(), self.until, self.now]).await?;
        Ok(())
    }
}

impl Write for Flush {
    type Output = Option<Verdict>;
    const NAME: &'static str = "flush_batch";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Verdict>, WriteError> {
        let verdict = match &self.outcome {
            Ok(firing) => firing.verdict_in_line(tx, self.gathering.place, self.at).await?,
            Err(verdict) => verdict.clone(),
        };
        let is_mine = match &verdict {
            Verdict::Deferred(until) => self.defer(tx, *until).await?,
            _ => tx.execute(REMOVE, &binds![self.gathering.id.as_str()]).await? > 0,
        };
        if !is_mine {
            return Ok(None);
        }
        self.decide(tx, &verdict).await?;
        // What waits on has been told of.
        let again = matches!(verdict, Verdict::Deferred(_)) && self.gathering.place.is_some();
        if let Ok(firing) = &self.outcome
            && !again
        {
            firing.settle(tx, &verdict, self.at).await?;
            firing.note_limit(&verdict);
        }
        if !again {
            tally::note(Fact::Decided(verdict.outcome()));
        }
        Ok(Some(verdict))
    }
}

impl Flush {
    /// Lets it wait for room, at its place or at the end of the line.
    async fn defer(&self, tx: &mut Tx<'_>, until: Time) -> Result<bool, WriteError> {
        let until = until.max(self.at + TURN_MIN);
        let place = self.gathering.place.unwrap_or(0);
        let binds = binds![self.gathering.id.as_str(), until, self.at, place];
        Ok(tx.execute(DEFER, &binds).await? > 0)
    }

    /// Says in its events' decisions what became of them.
    async fn decide(&self, tx: &mut Tx<'_>, verdict: &Verdict) -> Result<(), WriteError> {
        let id = self.gathering.id.as_str();
        let binds = binds![
            id,
            self.gathering.trigger_id.as_str(),
            verdict.outcome().as_str(),
            verdict.reason(),
            verdict.run_id().map(RunId::as_str),
            verdict.retry_at(),
            self.at,
        ];
        tx.execute(DECIDE, &binds).await?;
        if !matches!(verdict, Verdict::Deferred(_)) {
            tx.execute(FORGET, &binds![id]).await?;
        }
        Ok(())
    }
}

fn read(row: &Row) -> Result<Gathering, StoreError> {
    let r = Reader::new("gatherings", row);
    Ok(Gathering {
        id: r.text("id")?,
        trigger_id: r.text("trigger_id")?,
        scope: read_scope(&r)?,
        size: r.count("size")?,
        place: r.get("place")?,
    })
}

//! What runs told, event by event.
//!
//! Two kinds mean something to the host: `waiting_for_input` lets the run wait for an answer, and
//! `result` is kept with the run. Like log lines, events are kept without secrets and within
//! limits, and what is left out is marked; a run that told too much may still ask and have a result.

use serde_json::{Value, json};

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::telling::{Teller, integer, news};
use super::write::{Write, WriteError};
use super::{Store, StoreError, commands::Fence, inputs};
use crate::model::bounds::EVENT_BYTES_MAX;
use crate::model::command::Hold;
use crate::model::id::RunId;
use crate::model::redaction::Redaction;
use crate::model::run::RunEvent;
use crate::model::text::{cut_marker, storable};
use crate::model::time::Time;

/// How many events of a run are kept.
const RUN_EVENTS_MAX: i64 = 10_000;
/// The kind of the host's own last event of a run that told too many.
const CUT: &str = "host.cut";
/// The kind that asks something.
const WAITING_FOR_INPUT: &str = "waiting_for_input";
/// The kind that says what came of the work.
const RESULT: &str = "result";

/// An event with its number within the run, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The number.
    pub seq: i64,
    /// The event.
    pub event: RunEvent,
}

const SELECT_LAST: &str = "\
SELECT COALESCE(MAX(seq), 0) AS seq
  FROM run_events
 WHERE run_id = $1";

// One statement for a whole batch: the events travel as a JSON array, their data as text within it.
const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO run_events (run_id, seq, at, kind, data)
SELECT $1, $2 + key + 1, value ->> '$.at', value ->> '$.kind', value ->> '$.data'
  FROM json_each($3)",
    postgres: "\
INSERT INTO run_events (run_id, seq, at, kind, data)
SELECT $1, $2 + ordinality, (value ->> 'at')::bigint, value ->> 'kind', value ->> 'data'
  FROM json_array_elements($3::json) WITH ORDINALITY",
};

const COUNT: &str = "\
UPDATE commands
   SET events = $2
 WHERE id = $1";

const SET_RESULT: &str = "\
UPDATE runs
   SET result = $2
 WHERE id = $1";

const SELECT: &str = "\
SELECT run_id AS id, seq, at, kind, data
  FROM run_events
 WHERE run_id = $1
   AND seq > $2
 ORDER BY seq
 LIMIT $3";

/// Adds events that a worker read, of which the first is the `first`th of the command, counted from
/// 1; those that are stored already are passed over. A gap counts as a lost fence.
///
/// # Errors
/// When the store fails.
pub async fn append(
    store: &Store,
    hold: &Hold,
    first: u64,
    events: Vec<RunEvent>,
    now: Time,
) -> Result<Fence, StoreError> {
    let redaction = store.record.redaction();
    let events = events.into_iter().map(|event| Kept::of(event, &redaction)).collect();
    let append = Append { hold: hold.clone(), first, events, now };
    Ok(store.tell(store.write(append).await?))
}

/// A run's events behind the number `after`, in order, and the number up to which they were read:
/// the last event's, when `after` lies behind it.
pub(super) async fn read_in(
    tx: &mut Tx<'_>,
    run_id: &RunId,
    after: i64,
    limit: u32,
) -> Result<(Vec<StoredEvent>, i64), WriteError> {
    let rows = tx.rows(SELECT, &binds![run_id.as_str(), after, limit]).await?;
    let events = rows.iter().map(read_event).collect::<Result<Vec<_>, _>>()?;
    let through = match events.last() {
        Some(event) => event.seq,
        None => after.min(last(tx, run_id.as_str()).await?),
    };
    Ok((events, through))
}

async fn last(tx: &mut Tx<'_>, run_id: &str) -> Result<i64, WriteError> {
    let row = tx.row(SELECT_LAST, &binds![run_id]).await?;
    Ok(row.map_or(Ok(0), |row| row.get("seq"))?)
}

/// An event as it is kept.
struct Kept {
    at: Time,
    kind: String,
    data: String,
    meaning: Meaning,
}

/// What an event means to the host.
enum Meaning {
    /// The program waits for an answer, to this question if it said one.
    Waiting(Option<String>),
    /// This came of the work, as JSON.
    Result(String),
    /// It is the program's own.
    None,
}

impl Kept {
    fn of(event: RunEvent, redaction: &Redaction) -> Self {
        let RunEvent { at, kind, data } = event;
        // Without the brackets, it is a kind still.
        let kind = redaction.text(kind.as_str()).replace(['[', ']'], "");
        let data = redaction.json(data);
        let text = data.to_string();
        let (data, text) = match text.len() > EVENT_BYTES_MAX {
            true => shell(&kind, text.len()),
            false => (data, text),
        };
        let meaning = match kind.as_str() {
            WAITING_FOR_INPUT => {
                Meaning::Waiting(data["prompt"].as_str().map(|prompt| storable(prompt.to_owned())))
            }
            RESULT => Meaning::Result(data["data"].to_string()),
            _ => Meaning::None,
        };
        Self { at, kind, data: text, meaning }
    }

    fn marker(at: Time) -> Self {
        let reason = format!("a run has {RUN_EVENTS_MAX} events at most; nothing more is kept");
        let data = json!({ "type": CUT, "reason": reason }).to_string();
        Self { at, kind: CUT.to_owned(), data, meaning: Meaning::None }
    }
}

/// What is kept of an event that is too long.
fn shell(kind: &str, bytes: usize) -> (Value, String) {
    let data = json!({ "type": kind, "data": cut_marker(bytes) });
    let text = data.to_string();
    (data, text)
}

struct Append {
    hold: Hold,
    first: u64,
    events: Vec<Kept>,
    now: Time,
}

impl Write for Append {
    /// The run; none when the fence is lost.
    type Output = Option<String>;
    const NAME: &'static str = "append_run_events";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<String>, WriteError> {
        let Some(teller) = Teller::fenced(tx, &self.hold, self.now).await? else {
            return Ok(None);
        };
        let Some(new) = news(self.first, &self.events, teller.events) else { return Ok(None) };
        if !new.is_empty() {
            let last = last(tx, &teller.run_id).await?;
            self.insert(tx, &teller.run_id, last, new).await?;
            self.heed(tx, &teller.run_id, last, new).await?;
            let heard = integer(teller.events + new.len() as u64);
            tx.execute(COUNT, &binds![self.hold.command_id.as_str(), heard]).await?;
        }
        Ok(Some(teller.run_id))
    }
}

impl Append {
    /// Stores as many events as there is room for, and once, that there is no more.
    async fn insert(
        &self,
        tx: &mut Tx<'_>,
        run_id: &str,
        last: i64,
        new: &[Kept],
    ) -> Result<(), WriteError> {
        if last > RUN_EVENTS_MAX {
            return Ok(());
        }
        let room = usize::try_from(RUN_EVENTS_MAX - last).unwrap_or(0).min(new.len());
        let marker = (room < new.len()).then(|| Kept::marker(self.now));
        let json = json_of(new[..room].iter().chain(&marker));
        tx.execute(INSERT, &binds![run_id, last, json]).await?;
        Ok(())
    }

    /// Does what the events mean.
    async fn heed(
        &self,
        tx: &mut Tx<'_>,
        run_id: &str,
        last: i64,
        new: &[Kept],
    ) -> Result<(), WriteError> {
        for (i, event) in new.iter().enumerate() {
            match &event.meaning {
                Meaning::Waiting(prompt) => {
                    let seq = last.saturating_add(integer(i as u64 + 1)).min(RUN_EVENTS_MAX + 1);
                    inputs::asked(tx, run_id, seq, prompt.as_deref(), self.now).await?;
                }
                Meaning::Result(result) => {
                    tx.execute(SET_RESULT, &binds![run_id, result.as_str()]).await?;
                }
                Meaning::None => {}
            }
        }
        Ok(())
    }
}

fn json_of<'e>(events: impl Iterator<Item = &'e Kept>) -> String {
    let event = |event: &Kept| {
        json!({
            "at": event.at.as_millis(),
            "kind": event.kind,
            "data": event.data,
        })
    };
    Value::from_iter(events.map(event)).to_string()
}

fn read_event(row: &Row) -> Result<StoredEvent, StoreError> {
    let r = Reader::new("run_events", row);
    let event = RunEvent { at: r.time("at")?, kind: r.text("kind")?, data: r.json("data")? };
    Ok(StoredEvent { seq: r.get("seq")?, event })
}

//! The inbox: events, what they are recognised by, and what the triggers decided.

mod accept;
mod replay;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lz4_flex::block::decompress_size_prepended;

use super::firing::Firing;
use super::gatherings::BatchMember;
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Page, PageRequest, Store, StoreError, tally};
use crate::metrics::Fact;
use crate::model::decision::{Decision, Outcome, Verdict};
use crate::model::envelope::{Arrival, Event, Origin, Payload, Producer, Source, Verified, Way};
use crate::model::id::{EventId, GatheringId};
use crate::model::name::{Kind, Name};
use crate::model::scope::{Reach, Scope};
use crate::model::text::storable;
use crate::model::time::{SKEW, Time};
pub(super) use accept::Enter;
pub use accept::{Accepted, Delivery, Likeness, Meaning, accept, key};
pub use replay::replay;

/// What activation makes of an event.
#[derive(Clone, Debug)]
pub struct Activation {
    /// The event.
    pub event_id: EventId,
    /// Every trigger's answer.
    pub decisions: Vec<Decision>,
    /// The runs of those that fired. One whose limit is reached is not made, or made later, and its
    /// decision says so.
    pub runs: Vec<Firing>,
    /// The gatherings of those that wait for more.
    pub held: Vec<BatchMember>,
    /// When.
    pub at: Time,
}

/// An event without what it carries.
#[derive(Clone, Debug)]
pub struct EventSummary {
    /// Its identifier.
    pub id: EventId,
    /// Whose it is.
    pub scope: Scope,
    /// What happened.
    pub kind: Kind,
    /// Where it came from.
    pub source: Source,
    /// By which way it came in.
    pub way: Way,
    /// When the host had all of it.
    pub received_at: Time,
    /// What was verified.
    pub verified: Option<Verified>,
    /// When its triggers were decided; none while it waits.
    pub activated_at: Option<Time>,
    /// How often it came again, and was recognised.
    pub repeats: u32,
    /// The event that it reads like and that came within a day of it, by another name.
    pub repeat_of: Option<EventId>,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// Of this endpoint, hook, observer or extension only.
    pub producer: Option<Name>,
    /// Received at this instant or later.
    pub since: Option<Time>,
    /// Received before this instant.
    pub until: Option<Time>,
    /// With a decision like this only.
    pub outcome: Option<Outcome>,
    /// Recognised by one of these keys only; see [`key`].
    pub identities: Option<Vec<String>>,
}

/// How far the clocks of several hosts are apart at most, for what is not looked at.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(60 * 60);

/// How far before the present [`waiting`] is asked about, at most.
const GRACE_MAX: Duration = Duration::from_secs(5);

const ACTIVATE: Sql = Sql {
    sqlite: "\
UPDATE events
   SET activated_at = $2
 WHERE id = $1
   AND activated_at IS NULL
RETURNING id;
INSERT INTO decisions (event_id, trigger_id, trigger_name, outcome, reason, run_id, retry_at, at)
SELECT $1, value ->> '$.trigger_id', value ->> '$.trigger', value ->> '$.outcome',
       value ->> '$.reason', value ->> '$.run_id', value ->> '$.retry_at', value ->> '$.at'
  FROM json_each($3)
 WHERE changes() = 1",
    postgres: "\
WITH activated AS (
    UPDATE events
       SET activated_at = $2
     WHERE id = $1
       AND activated_at IS NULL
    RETURNING id
), decided AS (
    INSERT INTO decisions
           (event_id, trigger_id, trigger_name, outcome, reason, run_id, retry_at, at)
    SELECT $1, value ->> 'trigger_id', value ->> 'trigger', value ->> 'outcome',
           value ->> 'reason', value ->> 'run_id', (value ->> 'retry_at')::bigint,
           (value ->> 'at')::bigint
      FROM activated, json_array_elements($3::json) AS value
)
SELECT id FROM activated",
};

/// A query of whole events, bodies included.
macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "\
SELECT seq, id, workspace_id, kind, source, producer_id, producer, occurred_at, received_at, origin,
       verified, depth, causes, traceparent, body, data, activated_at, repeats, repeat_of
  FROM events
  JOIN bodies ON event_seq = seq
",
            $rest
        )
    };
}

const SELECT_WAITING: Sql = Sql {
    sqlite: select_events!(
        " WHERE activated_at IS NULL
   AND seq > $1
   AND (received_at <= $2 OR received_at > $5)
   AND workspace_id NOT IN (SELECT value FROM json_each($4))
 ORDER BY seq
 LIMIT $3"
    ),
    postgres: select_events!(
        " WHERE activated_at IS NULL
   AND seq > $1
   AND (received_at <= $2 OR received_at > $5)
   AND workspace_id NOT IN (SELECT json_array_elements_text($4::json))
 ORDER BY seq
 LIMIT $3"
    ),
};

const SELECT_ONE: &str = select_events!(
    " WHERE id = $1
   AND workspace_id = $2"
);

const SELECT_KEPT: &str = "\
SELECT id
  FROM events
 WHERE id = $1
   AND workspace_id = $2";

const SELECT_GATHERED: &str = select_events!(
    " WHERE seq IN (SELECT event_seq
                 FROM gathered
                WHERE gathering_id = $1
                  AND event_seq > $2)
 ORDER BY seq
 LIMIT $3"
);

const SELECT_LAST_GATHERED: &str = select_events!(
    " WHERE seq = (SELECT max(event_seq)
                FROM gathered
               WHERE gathering_id = $1)"
);

/// A page of them, without what they carry. An unused filter is bound as NULL; PostgreSQL has to be
/// told the type of such a bind. Identifiers begin with the time: what was received an hour before has
/// a smaller one, whatever the clocks of several hosts say, and so far back they are looked at.
macro_rules! select_page {
    ($text:literal, $number:literal, $narrow:expr) => {
        concat!(
            "\
SELECT seq, id, workspace_id, kind, source, producer_id, producer, received_at, verified,
       activated_at, repeats, repeat_of
  FROM events
 WHERE ",
            $narrow,
            "
   AND seq < $2
   AND ($3",
            $text,
            " IS NULL OR kind = $3)
   AND ($4",
            $text,
            " IS NULL OR producer = $4)
   AND ($5",
            $number,
            " IS NULL OR received_at >= $5)
   AND ($6",
            $number,
            " IS NULL OR received_at < $6)
   AND seq >= CASE WHEN $7",
            $text,
            " IS NULL THEN 0
                   ELSE coalesce((SELECT first.seq
                                    FROM events first
                                   WHERE first.id >= $7
                                   ORDER BY first.id
                                   LIMIT 1), 9223372036854775807) END
   AND ($8",
            $text,
            " IS NULL
        OR EXISTS (SELECT 1
                     FROM decisions d
                    WHERE d.event_id = events.id
                      AND d.outcome = $8))
 ORDER BY seq DESC
 LIMIT $10"
        )
    };
    ($scope:literal) => {
        Sql {
            sqlite: select_page!("", "", concat!($scope, " AND $9 IS NULL")),
            postgres: select_page!("::text", "::bigint", concat!($scope, " AND $9::text IS NULL")),
        }
    };
}

const SELECT_PAGE: Sql = select_page!("workspace_id = $1");
const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($1 AS TEXT) IS NULL");
const SELECT_PAGE_BY_IDENTITY: Sql = Sql {
    sqlite: select_page!(
        "",
        "",
        "seq IN (SELECT event_seq
                FROM dedupe
               WHERE identity IN (SELECT unhex(value) FROM json_each($9)))
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
    ),
    postgres: select_page!(
        "::text",
        "::bigint",
        "seq IN (SELECT event_seq
                FROM dedupe
               WHERE identity IN (SELECT decode(value, 'hex')
                                    FROM json_array_elements_text($9::json)))
   AND (CAST($1 AS TEXT) IS NULL OR workspace_id = $1)"
    ),
};

const SELECT_DECISIONS: &str = "\
SELECT event_id AS id, trigger_id, trigger_name, outcome, reason, run_id, retry_at, at
  FROM decisions
 WHERE event_id = $1
 ORDER BY trigger_name";

const COUNT_DECISIONS: Sql = Sql {
    sqlite: "\
SELECT event_id AS id, outcome, count(*) AS count
  FROM decisions
 WHERE event_id IN (SELECT value FROM json_each($1))
 GROUP BY event_id, outcome",
    postgres: "\
SELECT event_id AS id, outcome, count(*) AS count
  FROM decisions
 WHERE event_id IN (SELECT json_array_elements_text($1::json))
 GROUP BY event_id, outcome",
};

/// Records an event's decisions with the runs they lead to, and says how many those are. None when
/// that was done before.
///
/// # Errors
/// When the store fails; then the event waits on.
pub async fn activate(store: &Store, activation: Activation) -> Result<Option<usize>, StoreError> {
    store.write(activation).await
}

/// An event that waits, with its place in the inbox; or why it cannot be read.
pub type Waiting = (i64, Result<Arc<Event>, StoreError>);

/// The oldest events that wait, behind the place `after` and received at or before `until`, which is
/// now or a little earlier; or later than any right clock says it is. One that cannot be read does not
/// stand in the others' way.
///
/// # Errors
/// When the store fails.
pub async fn waiting(
    store: &Store,
    after: i64,
    until: Time,
    without: &BTreeSet<Scope>,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let without: serde_json::Value = without.iter().map(Scope::workspace_id).collect();
    let binds = binds![after, until, limit, without.to_string(), until + GRACE_MAX + SKEW];
    let rows = store.read("read_inbox", SELECT_WAITING, &binds).await?;
    rows.iter().map(read_waiting).collect()
}

/// The events of a gathering behind the place `after`, the oldest first.
///
/// # Errors
/// When the store fails.
pub async fn gathered(
    store: &Store,
    id: &GatheringId,
    after: i64,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let binds = binds![id.as_str(), after, limit];
    let rows = store.read("read_batch_events", SELECT_GATHERED, &binds).await?;
    rows.iter().map(read_waiting).collect()
}

/// The newest event of a gathering, or why it cannot be read.
///
/// # Errors
/// When the store fails.
pub async fn last_gathered(
    store: &Store,
    id: &GatheringId,
) -> Result<Option<Result<Arc<Event>, StoreError>>, StoreError> {
    let binds = binds![id.as_str()];
    let rows = store.read("read_batch_events", SELECT_LAST_GATHERED, &binds).await?;
    Ok(rows.first().map(|row| read_event(row).map(Arc::new)))
}

/// One event with its summary.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    scope: &Scope,
    id: &EventId,
) -> Result<Option<(EventSummary, Event)>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read_event", SELECT_ONE, &binds).await?;
    rows.first().map(|row| Ok((read_summary(row)?, read_event(row)?))).transpose()
}

/// Whether an event is still there.
///
/// # Errors
/// When the store fails.
pub async fn is_kept(store: &Store, scope: &Scope, id: &EventId) -> Result<bool, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    Ok(!store.read("find_event", SELECT_KEPT, &binds).await?.is_empty())
}

/// Events, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &EventFilter,
    page: PageRequest,
) -> Result<Page<EventSummary>, StoreError> {
    let reach = reach.into();
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.kind.as_ref().map(Kind::as_str),
        filter.producer.as_ref().map(Name::as_str),
        filter.since,
        filter.until,
        filter.since.map(|since| EventId::mint(since - CLOCKS_APART_MAX, [0; 10]).to_string()),
        filter.outcome.map(Outcome::as_str),
        filter.identities.as_deref().map(|keys| serde_json::Value::from(keys).to_string()),
        page.fetch(),
    ];
    let sql = match filter.identities {
        Some(_) => SELECT_PAGE_BY_IDENTITY,
        None => reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL),
    };
    let rows = store.read("list_events", sql, &binds).await?;
    Page::read("events", &rows, page, read_summary)
}

/// An event's decisions, by trigger.
///
/// # Errors
/// When the store fails.
pub async fn decisions(store: &Store, id: &EventId) -> Result<Vec<Decision>, StoreError> {
    let rows = store.read("read_decisions", SELECT_DECISIONS, &binds![id.as_str()]).await?;
    rows.iter().map(read_decision).collect()
}

/// How many of each outcome the triggers decided on each of these events.
///
/// # Errors
/// When the store fails.
pub async fn outcomes(
    store: &Store,
    ids: &[&EventId],
) -> Result<HashMap<String, BTreeMap<Outcome, u32>>, StoreError> {
    let ids: serde_json::Value = ids.iter().map(|id| id.as_str()).collect();
    let rows = store.read("count_decisions", COUNT_DECISIONS, &binds![ids.to_string()]).await?;
    let mut outcomes: HashMap<String, BTreeMap<Outcome, u32>> = HashMap::new();
    for row in &rows {
        let r = Reader::new("decisions", row);
        let counts = outcomes.entry(r.get("id")?).or_default();
        counts.insert(r.text("outcome")?, r.count("count")?);
    }
    Ok(outcomes)
}

impl Write for Activation {
    type Output = Option<usize>;
    const NAME: &'static str = "activate_event";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<usize>, WriteError> {
        let limited = self.limited(tx).await?;
        let decisions = json_of(&self.decisions, &limited);
        let binds = binds![self.event_id.as_str(), self.at, decisions];
        if tx.row(ACTIVATE, &binds).await?.is_none() {
            return Ok(None);
        }
        for decision in &self.decisions {
            let verdict = limited.get(decision.trigger_id.as_str()).unwrap_or(&decision.verdict);
            tally::note(Fact::Decided(verdict.outcome()));
        }
        for holding in in_order(&self.held, BatchMember::place) {
            holding.join(tx, &self.event_id, self.at).await?;
        }
        for firing in &self.runs {
            let fired = Verdict::Fired(firing.run.id.clone());
            let verdict = limited.get(firing.run.owner.id()).unwrap_or(&fired);
            if let Verdict::Deferred(until) = verdict {
                firing.enter_line(tx, &self.event_id, *until, self.at).await?;
            }
            firing.settle(tx, verdict, self.at).await?;
            firing.note_limit(verdict);
        }
        Ok(Some(self.runs.len() - limited.len()))
    }
}

/// Triggers that have reached their limit, and when they may fire again or do.
type Limited<'a> = HashMap<&'a str, Verdict>;

impl Activation {
    /// Before anything is written: a limit's lock is taken before any row's.
    async fn limited(&self, tx: &mut Tx<'_>) -> Result<Limited<'_>, WriteError> {
        let mut limited = Limited::new();
        for firing in in_order(&self.runs, |firing| firing.run.owner.id()) {
            let verdict = firing.verdict_in_line(tx, None, self.at).await?;
            if verdict.retry_at().is_some() {
                limited.insert(firing.run.owner.id(), verdict);
            }
        }
        Ok(limited)
    }
}

/// All of them in one order, so that rivals wait for each other and never in a circle.
fn in_order<'a, T, K: Ord>(all: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut all: Vec<&T> = all.iter().collect();
    all.sort_by_key(|one| key(one));
    all
}

fn json_of(decisions: &[Decision], limited: &Limited<'_>) -> String {
    let decision = |decision: &Decision| {
        let verdict = limited.get(decision.trigger_id.as_str()).unwrap_or(&decision.verdict);
        serde_json::json!({
            "trigger_id": decision.trigger_id,
            "trigger": decision.trigger,
            "outcome": verdict.outcome(),
            "reason": verdict.reason().map(|reason| storable(reason.to_owned())),
            "run_id": verdict.run_id(),
            "retry_at": verdict.retry_at().map(Time::as_millis),
            "at": decision.at.as_millis(),
        })
    };
    serde_json::Value::from_iter(decisions.iter().map(decision)).to_string()
}

fn read_waiting(row: &Row) -> Result<Waiting, StoreError> {
    Ok((Reader::new("events", row).get("seq")?, read_event(row).map(Arc::new)))
}

fn read_event(row: &Row) -> Result<Event, StoreError> {
    let r = Reader::new("events", row);
    Ok(Event {
        id: r.text("id")?,
        scope: read_scope(&r)?,
        kind: r.text("kind")?,
        source: r.text("source")?,
        way: read_way(&r)?,
        occurred_at: r.time("occurred_at")?,
        received_at: r.time("received_at")?,
        origin: r.json::<Origin>("origin")?,
        verified: read_verified(&r)?,
        depth: r.count("depth")?,
        causes: r.json("causes")?,
        traceparent: r.get("traceparent")?,
        body: r.parse("body", |block: Vec<u8>| decompressed(&block))?,
        payload: r.parse("data", |block: Option<Vec<u8>>| match block {
            None => Some(Payload::Body),
            Some(block) => decompressed(&block).map(Payload::Json),
        })?,
    })
}

fn decompressed(block: &[u8]) -> Option<Bytes> {
    decompress_size_prepended(block).ok().map(Bytes::from)
}

fn read_summary(row: &Row) -> Result<EventSummary, StoreError> {
    let r = Reader::new("events", row);
    Ok(EventSummary {
        id: r.text("id")?,
        scope: read_scope(&r)?,
        kind: r.text("kind")?,
        source: r.text("source")?,
        way: read_way(&r)?,
        received_at: r.time("received_at")?,
        verified: read_verified(&r)?,
        activated_at: r.time_if_any("activated_at")?,
        repeats: r.count("repeats")?,
        repeat_of: r.text_if_any("repeat_of")?,
    })
}

/// The scope in a row's `workspace_id`.
pub(super) fn read_scope(r: &Reader<'_>) -> Result<Scope, StoreError> {
    r.parse("workspace_id", |id: String| Scope::parse(&id).ok())
}

fn read_way(r: &Reader<'_>) -> Result<Way, StoreError> {
    if r.text::<Source>("source")? == Source::Webhook {
        let (webhook_id, slug) = (r.text("producer_id")?, r.text("producer")?);
        return Ok(Way::Endpoint(Arrival { webhook_id, slug }));
    }
    Ok(Way::Producer(Producer { id: r.get("producer_id")?, name: r.text("producer")? }))
}

fn read_verified(r: &Reader<'_>) -> Result<Option<Verified>, StoreError> {
    r.parse("verified", |text: Option<String>| match text {
        Some(text) => serde_json::from_str(&text).ok().map(Some),
        None => Some(None),
    })
}

fn read_decision(row: &Row) -> Result<Decision, StoreError> {
    let r = Reader::new("decisions", row);
    let reason = || Ok::<_, StoreError>(r.get::<Option<String>>("reason")?.unwrap_or_default());
    Ok(Decision {
        trigger_id: r.text("trigger_id")?,
        trigger: r.text("trigger_name")?,
        verdict: match r.text("outcome")? {
            Outcome::Fired => Verdict::Fired(r.text("run_id")?),
            Outcome::Filtered => Verdict::Filtered(reason()?),
            Outcome::Held => Verdict::Held,
            Outcome::Limited => Verdict::Limited(r.time("retry_at")?),
            Outcome::Deferred => Verdict::Deferred(r.time("retry_at")?),
            Outcome::Canceled => Verdict::Canceled(reason()?),
            Outcome::Disabled => Verdict::Disabled,
            Outcome::LoopGuard => Verdict::LoopGuard(reason()?),
            Outcome::RenderError => Verdict::RenderError(reason()?),
            Outcome::ComponentError => Verdict::ComponentError(reason()?),
        },
        at: r.time("at")?,
    })
}

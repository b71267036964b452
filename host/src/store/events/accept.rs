//! Into the inbox: what a delivery is recognised by, and what one that is new reads like.
//!
//! A delivery is a duplicate when any one of its identities was seen before. One that is not may
//! still read like an earlier one, of the same kind with the same body. Where its source says so, that
//! makes it a duplicate, too; where its name is not signed, it is noted with it for a day
//! (`repeat_of`), or it is refused, as the endpoint says. All of these are keys of one table, which
//! lead to the latest event that has them.

use std::sync::Arc;
use std::time::Duration;

use lz4_flex::block::compress_prepend_size;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::metrics::Fact;
use crate::model::definition::Replay;
use crate::model::envelope::{Event, Payload, Source, Way};
use crate::model::id::EventId;
use crate::store::sql::{Bind, Reader, Sql, Tx, binds};
use crate::store::write::{Write, WriteError};
use crate::store::{Store, StoreError, tally};

/// How long an event counts as a repeat of one that reads like it.
const ALIKE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// An event with all it is recognised by when it comes again.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event.
    pub event: Arc<Event>,
    /// SHA-256 hashes, any one of which makes a later delivery on the same endpoint a duplicate.
    pub identities: Vec<[u8; 32]>,
    /// What it reads like, where that matters.
    pub likeness: Option<Likeness>,
}

/// What deliveries have in common that read alike, whatever they are called.
#[derive(Clone, Debug)]
pub struct Likeness {
    /// The SHA-256 hash of kind and body.
    pub hash: [u8; 32],
    /// That of the body alone: what stores know from before there were kinds in it.
    pub former: [u8; 32],
    /// What it means to read like an earlier one.
    pub meaning: Meaning,
}

/// What it means to read like an earlier delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// To be that one.
    Same,
    /// To be another, perhaps.
    Replay(Replay),
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the inbox now.
    New(EventId),
    /// It has been there already, as this event.
    Duplicate(EventId),
    /// It reads like this event, and its endpoint takes nothing twice.
    Refused(EventId),
}

// Rivals on PostgreSQL that read alike would not see each other; those with the same identity meet
// at its row. In one order, and before any row.
const LOCK: &str = "\
SELECT pg_advisory_xact_lock(hashtextextended(key, 0))::text AS locked
  FROM (SELECT DISTINCT key
          FROM json_array_elements_text($1::json) AS keys (key)
         ORDER BY key) AS ordered";

// One round trip for the event, its body and its keys, or for nothing when an identity is known. On
// SQLite the statements run in order and the binds are common to all of them; on PostgreSQL a
// rival's uncommitted identity makes this one wait, fail and be applied again.
const ACCEPT: Sql = Sql {
    sqlite: "\
WITH alike AS (
    SELECT e.id
      FROM dedupe d
      JOIN events e ON e.seq = d.event_seq
     WHERE d.identity IN (SELECT unhex(value) FROM json_each($19))
       AND e.kind = $3
       AND e.received_at BETWEEN $8 - $20 AND $8 + $20
     ORDER BY e.seq DESC
     LIMIT 1)
INSERT INTO events
       (id, workspace_id, kind, source, producer_id, producer, occurred_at, received_at, origin,
        verified, depth, causes, traceparent, repeat_of)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, (SELECT id FROM alike)
 WHERE NOT EXISTS (SELECT 1
                     FROM dedupe
                    WHERE identity IN (SELECT unhex(value) FROM json_each($17)))
   AND ($21 = 0 OR NOT EXISTS (SELECT 1 FROM alike));
INSERT INTO bodies (event_seq, body, data)
SELECT last_insert_rowid(), $14, $15
 WHERE changes() = 1
RETURNING event_seq AS seq;
INSERT INTO dedupe (identity, event_seq, seen_at)
SELECT unhex(key), last_insert_rowid(), $8
  FROM (SELECT value AS key FROM json_each($16)
         UNION
        SELECT $18 WHERE $18 IS NOT NULL)
 WHERE changes() = 1
    ON CONFLICT (identity)
    DO UPDATE SET event_seq = excluded.event_seq, seen_at = excluded.seen_at",
    postgres: "\
WITH alike AS (
    SELECT e.id
      FROM dedupe d
      JOIN events e ON e.seq = d.event_seq
     WHERE d.identity IN (SELECT decode(value, 'hex')
                            FROM json_array_elements_text($19::json))
       AND e.kind = $3
       AND e.received_at BETWEEN $8::bigint - $20::bigint AND $8::bigint + $20::bigint
     ORDER BY e.seq DESC
     LIMIT 1
), accepted AS (
    INSERT INTO events
           (id, workspace_id, kind, source, producer_id, producer, occurred_at, received_at, origin,
            verified, depth, causes, traceparent, repeat_of)
    SELECT $1, $2, $3, $4, $5, $6, $7::bigint, $8::bigint, $9, $10, $11::bigint, $12, $13,
           (SELECT id FROM alike)
     WHERE NOT EXISTS (SELECT 1
                         FROM dedupe
                        WHERE identity IN (SELECT decode(value, 'hex')
                                             FROM json_array_elements_text($17::json)))
       AND ($21::bigint = 0 OR NOT EXISTS (SELECT 1 FROM alike))
    RETURNING seq
), kept AS (
    INSERT INTO bodies (event_seq, body, data)
    SELECT seq, $14::bytea, $15::bytea
      FROM accepted
), remembered AS (
    INSERT INTO dedupe (identity, event_seq, seen_at)
    SELECT DISTINCT decode(value, 'hex'), seq, $8::bigint
      FROM accepted, json_array_elements_text($16::json)
), likened AS (
    INSERT INTO dedupe (identity, event_seq, seen_at)
    SELECT decode($18, 'hex'), seq, $8::bigint
      FROM accepted
     WHERE $18::text IS NOT NULL
        ON CONFLICT (identity)
        DO UPDATE SET event_seq = excluded.event_seq, seen_at = excluded.seen_at
)
SELECT seq FROM accepted",
};

const RECALL: Sql = Sql {
    sqlite: "\
UPDATE events
   SET repeats = repeats + 1
 WHERE seq = (SELECT event_seq
                FROM dedupe
               WHERE identity IN (SELECT unhex(value) FROM json_each($1))
               LIMIT 1)
RETURNING id",
    postgres: "\
UPDATE events
   SET repeats = repeats + 1
 WHERE seq = (SELECT event_seq
                FROM dedupe
               WHERE identity IN (SELECT decode(value, 'hex')
                                    FROM json_array_elements_text($1::json))
               LIMIT 1)
RETURNING id",
};

const RECALL_ALIKE: Sql = Sql {
    sqlite: "\
UPDATE events
   SET repeats = repeats + 1
 WHERE seq = (SELECT e.seq
                FROM dedupe d
                JOIN events e ON e.seq = d.event_seq
               WHERE d.identity IN (SELECT unhex(value) FROM json_each($1))
                 AND e.kind = $2
                 AND e.received_at BETWEEN $3 - $4 AND $3 + $4
               ORDER BY e.seq DESC
               LIMIT 1)
RETURNING id",
    postgres: "\
UPDATE events
   SET repeats = repeats + 1
 WHERE seq = (SELECT e.seq
                FROM dedupe d
                JOIN events e ON e.seq = d.event_seq
               WHERE d.identity IN (SELECT decode(value, 'hex')
                                      FROM json_array_elements_text($1::json))
                 AND e.kind = $2
                 AND e.received_at BETWEEN $3::bigint - $4::bigint AND $3::bigint + $4::bigint
               ORDER BY e.seq DESC
               LIMIT 1)
RETURNING id",
};

/// Puts deliveries into the inbox, all of them or none, unless they are known or refused.
///
/// # Errors
/// When the store fails; then none of them was accepted.
pub async fn accept(store: &Store, deliveries: Vec<Delivery>) -> Result<Vec<Accepted>, StoreError> {
    store.write(Enter::new(&deliveries)).await
}

/// Deliveries with everything bound: compressing and hashing are not the writer's to wait for.
pub(in crate::store) struct Enter {
    bound: Vec<Bound>,
}

impl Enter {
    pub(in crate::store) fn new(deliveries: &[Delivery]) -> Self {
        Self { bound: deliveries.iter().map(Bound::new).collect() }
    }

    async fn lock(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let keys: Value = self.bound.iter().filter_map(|bound| bound.keys.likeness()).collect();
        if matches!(tx, Tx::Postgres(_)) && keys != Value::Array(Vec::new()) {
            tx.rows(LOCK, &binds![keys.to_string()]).await?;
        }
        Ok(())
    }
}

struct Bound {
    id: EventId,
    source: Source,
    keys: Keys,
    binds: [Bind; 21],
}

impl Write for Enter {
    type Output = Vec<Accepted>;
    const NAME: &'static str = "accept_events";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Accepted>, WriteError> {
        self.lock(tx).await?;
        let mut accepted = Vec::with_capacity(self.bound.len());
        for bound in &self.bound {
            accepted.push(bound.accept(tx).await?);
        }
        Ok(accepted)
    }
}

impl Bound {
    fn new(delivery: &Delivery) -> Self {
        let event = &*delivery.event;
        let keys = Keys::of(delivery);
        let meaning = delivery.likeness.as_ref().map(|likeness| likeness.meaning);
        let refuses = meaning == Some(Meaning::Replay(Replay::Refuse));
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let data = match &event.payload {
            Payload::Body => None,
            Payload::Json(json) => Some(compress_prepend_size(json)),
        };
        let binds = binds![
            event.id.as_str(),
            event.scope.workspace_id(),
            event.kind.as_str(),
            event.source.as_str(),
            producer_id(event),
            match &event.way {
                Way::Endpoint(arrival) => arrival.slug.as_str(),
                Way::Producer(producer) => producer.name.as_str(),
            },
            event.occurred_at,
            event.received_at,
            json(serde_json::to_string(&event.origin)),
            event.verified.as_ref().map(|verified| json(serde_json::to_string(verified))),
            event.depth,
            json(serde_json::to_string(&event.causes)),
            event.traceparent.as_deref(),
            compress_prepend_size(&event.body),
            data.as_deref(),
            array(&keys.kept),
            array(&keys.known),
            keys.likeness(),
            array(&keys.alike),
            millis(ALIKE_FOR),
            refuses,
        ];
        Self { id: event.id.clone(), source: event.source, keys, binds }
    }

    async fn accept(&self, tx: &mut Tx<'_>) -> Result<Accepted, WriteError> {
        let new = tx.row(ACCEPT, &self.binds).await?.is_some();
        tally::note(Fact::Event { source: self.source, new });
        if new {
            return Ok(Accepted::New(self.id.clone()));
        }
        let id = |row| Reader::new("events", &row).text("id");
        if let Some(known) = tx.row(RECALL, &binds![array(&self.keys.known)]).await? {
            return Ok(Accepted::Duplicate(id(known)?));
        }
        let [_, _, kind, _, _, _, _, received_at, ..] = &self.binds;
        let binds = [
            array(&self.keys.alike).into(),
            kind.clone(),
            received_at.clone(),
            millis(ALIKE_FOR).into(),
        ];
        let alike = tx.row(RECALL_ALIKE, &binds).await?;
        Ok(Accepted::Refused(id(alike.ok_or(sqlx::Error::RowNotFound)?)?))
    }
}

pub(super) fn producer_id(event: &Event) -> &str {
    match &event.way {
        Way::Endpoint(arrival) => arrival.webhook_id.as_str(),
        Way::Producer(producer) => &producer.id,
    }
}

/// A delivery's keys on its endpoint, as hexadecimal digits.
struct Keys {
    /// Its identities.
    kept: Vec<String>,
    /// The keys of which each makes it a duplicate.
    known: Vec<String>,
    /// The keys by which an event is found that reads like it, the present form first.
    alike: Vec<String>,
}

impl Keys {
    fn of(delivery: &Delivery) -> Self {
        let producer_id = producer_id(&delivery.event);
        let key = |identity: &[u8; 32]| key(producer_id, identity);
        let kept: Vec<String> = delivery.identities.iter().map(key).collect();
        let alike: Vec<String> = match &delivery.likeness {
            Some(alike) => [&alike.hash, &alike.former].map(key).into(),
            None => Vec::new(),
        };
        let mut known = kept.clone();
        if delivery.likeness.as_ref().is_some_and(|alike| alike.meaning == Meaning::Same) {
            known.extend_from_slice(&alike);
        }
        Self { kept, known, alike }
    }

    /// What later ones are found by that read like it.
    fn likeness(&self) -> Option<&str> {
        self.alike.first().map(String::as_str)
    }
}

/// By what the delivery of a producer with this identity is recognised, as hexadecimal digits.
pub fn key(producer_id: &str, identity: &[u8; 32]) -> String {
    let hash = Sha256::new().chain_update(producer_id).chain_update(identity).finalize();
    hex::encode(&hash[..16])
}

fn array(keys: &[String]) -> String {
    Value::from(keys).to_string()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

//! Events, with their decisions and what they are recognised by.
//!
//! They are read in the order in which they came, which is the order of their age but for a few
//! seconds; a page without an old one ends the search. So no index by age is kept up to date with
//! every event that comes in.

use super::super::sql::{Bind, Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::part::{Part, part};
use super::{BATCH, Batch, Mark, Page, Removed, Sweep, ids, list, take};
use crate::model::time::Time;

/// The condition that an event `e` is due at an instant. Its runs are those that name it, and those
/// that its triggers' decisions name: a batch's run names one of many.
macro_rules! is_due {
    ($until:literal) => {
        concat!(
            "e.received_at <= ",
            $until,
            "
   AND e.activated_at IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM gathered g WHERE g.event_seq = e.seq)
   AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.event_id = e.id AND r.ended_at IS NULL)
   AND NOT EXISTS (SELECT 1
                     FROM decisions d
                     JOIN runs r ON r.id = d.run_id
                    WHERE d.event_id = e.id
                      AND r.ended_at IS NULL)"
        )
    };
}

const SELECT_PAGE: &str = concat!(
    "\
SELECT e.seq, e.id, e.received_at,
       CAST(CASE WHEN ",
    is_due!("$3"),
    " THEN 1 ELSE 0 END AS BIGINT) AS due
  FROM events e
 WHERE e.workspace_id = $1
   AND e.seq > $2
 ORDER BY e.seq
 LIMIT $4"
);

// Whoever writes to one of them on PostgreSQL keeps it for now.
const LOCK: Sql = Sql {
    sqlite: concat!(
        "\
SELECT e.id
  FROM events e
 WHERE e.id IN (SELECT value FROM json_each($1))
   AND ",
        is_due!("$2")
    ),
    postgres: concat!(
        "\
SELECT e.id
  FROM events e
 WHERE e.id IN (SELECT json_array_elements_text($1::json))
   AND ",
        is_due!("$2"),
        "
 ORDER BY e.seq
   FOR UPDATE OF e SKIP LOCKED"
    ),
};

const DECISIONS: Part = part!("decisions", "event_id");
// Gone together: a place in the inbox may be given again, and must not be recognised as another's.
const IDENTITIES: Part = part!("dedupe", "event_seq IN (SELECT seq FROM events WHERE id", ")");
const EVENTS: Part = part!("events", "id");

/// Removes the events that are due.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn events(store: &Store, sweep: &Sweep) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut from = Some(Mark::START);
    while let Some(mark) = from {
        let binds = binds![sweep.scope.workspace_id(), mark.seq, sweep.until, BATCH];
        let rows = store.read("find_old_events", SELECT_PAGE, &binds).await?;
        let page = page(&rows, sweep.until)?;
        if !page.ids.is_empty() {
            let batch = Events { ids: page.ids, until: sweep.until };
            removed += take(store, batch, sweep.dry_run).await?;
        }
        from = page.next;
    }
    Ok(removed)
}

fn page(rows: &[Row], until: Time) -> Result<Page, StoreError> {
    let (mut ids, mut old, mut seq) = (vec![], false, 0);
    for row in rows {
        let r = Reader::new("events", row);
        if r.flag("due")? {
            ids.push(r.get("id")?);
        }
        old |= r.time("received_at")? <= until;
        seq = r.get("seq")?;
    }
    let more = old && rows.len() >= BATCH as usize;
    Ok(Page { ids, next: more.then_some(Mark { at: 0, seq }) })
}

#[derive(Clone)]
struct Events {
    ids: Vec<String>,
    until: Time,
}

impl Write for Events {
    type Output = Removed;
    const NAME: &'static str = "remove_events";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let binds: [Bind; 2] = binds![list(&self.ids), self.until];
        let due = list(&ids("events", &tx.rows(LOCK, &binds).await?)?);
        Ok(Removed {
            decisions: DECISIONS.remove(tx, &due).await?,
            identities: IDENTITIES.remove(tx, &due).await?,
            events: EVENTS.remove(tx, &due).await?,
            ..Removed::default()
        })
    }
}

impl Batch for Events {
    async fn count(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let due = list(&self.ids);
        Ok(Removed {
            decisions: DECISIONS.count(tx, &due).await?,
            identities: IDENTITIES.count(tx, &due).await?,
            events: EVENTS.count(tx, &due).await?,
            ..Removed::default()
        })
    }
}

//! The line of those that came when their trigger's fire limit had no room.
//!
//! ```text
//!   no room ─► deferred: a closed gathering with a place ─► released: there is room ─► flushed
//! ```
//! What waits is a gathering that nothing joins any more, so it is rendered, flushed, kept from being
//! forgotten and taken up after a crash like all others ([`gatherings`](super::gatherings)). Places are
//! counted per trigger, under the lock of its limit: what comes while others wait goes behind them.
//! `due_at` is when its turn should come; a run that is called off makes room sooner, and whoever
//! releases moves the first ones up.

use std::time::Duration;

use super::firing::Firing;
use super::limits;
use super::sql::{Reader, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::definition::FireLimit;
use crate::model::id::{EventId, GatheringId, TriggerId};
use crate::model::time::Time;

/// How much room there is for what waits of one trigger.
#[derive(Clone, Debug)]
pub struct Line {
    /// The trigger.
    pub trigger_id: TriggerId,
    /// Its limit; none where nothing needs to wait any more.
    pub limit: Option<FireLimit>,
}

const ENTER: &str = "\
INSERT INTO gatherings
       (id, trigger_id, key, workspace_id, first_at, due_at, set_at, size, closed, place)
SELECT $1, $2, '', workspace_id, CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($4 AS BIGINT), 1, 1,
       (SELECT COALESCE(MAX(place), 0) + 1
          FROM gatherings
         WHERE trigger_id = $2)
  FROM events
 WHERE id = $3";

const JOIN: &str = "\
INSERT INTO gathered (gathering_id, event_seq, event_id)
SELECT $1, seq, id
  FROM events
 WHERE id = $2";

const SELECT_LINES: &str = "\
SELECT DISTINCT trigger_id AS id
  FROM gatherings
 WHERE place IS NOT NULL
   AND due_at > $1";

// What has just been set aside is left alone for a while.
const RELEASE: &str = "\
UPDATE gatherings
   SET due_at = $2, set_at = $2
 WHERE id IN (SELECT id
                FROM gatherings
               WHERE trigger_id = $1
                 AND place IS NOT NULL
               ORDER BY place
               LIMIT $3)
   AND due_at > $2
   AND set_at <= $4";

/// As much room as there can be.
const UNLIMITED: u32 = u32::MAX;
/// How long what was just put off stays so.
const ALONE: Duration = Duration::from_secs(5);

impl Firing {
    /// Puts it at the end of its trigger's line, for the event that it is a fire of.
    pub(super) async fn enter_line(
        &self,
        tx: &mut Tx<'_>,
        event_id: &EventId,
        due_at: Time,
        now: Time,
    ) -> Result<(), WriteError> {
        // The same whenever the write is applied again.
        let id = GatheringId::derive(&self.run.scope, &format!("deferred {}", self.run.id));
        let trigger = self.run.owner.id();
        let binds = binds![id.as_str(), trigger, event_id.as_str(), now, due_at];
        tx.execute(ENTER, &binds).await?;
        tx.execute(JOIN, &binds![id.as_str(), event_id.as_str()]).await?;
        Ok(())
    }
}

/// The triggers of which something waits that is not due yet.
///
/// # Errors
/// When the store fails.
pub async fn lines(store: &Store, now: Time) -> Result<Vec<TriggerId>, StoreError> {
    let rows = store.read("read_deferred_fires", SELECT_LINES, &binds![now]).await?;
    rows.iter().map(|row| Reader::new("gatherings", row).text("id")).collect()
}

/// Makes due what there is room for, the first in each line.
///
/// # Errors
/// When the store fails.
pub async fn release(store: &Store, lines: Vec<Line>, now: Time) -> Result<(), StoreError> {
    store.write(Release { lines, now }).await
}

struct Release {
    lines: Vec<Line>,
    now: Time,
}

impl Write for Release {
    type Output = ();
    const NAME: &'static str = "release_deferred_fires";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let limited = |line: &Line| line.limit.map(|limit| (line.trigger_id.clone(), limit));
        let limited: Vec<(TriggerId, FireLimit)> = self.lines.iter().filter_map(limited).collect();
        let limits: Vec<(&str, FireLimit)> =
            limited.iter().map(|(id, limit)| (id.as_str(), *limit)).collect();
        let rooms = limits::rooms(tx, &limits, self.now).await?;
        for Line { trigger_id, .. } in &self.lines {
            let left = rooms.get(trigger_id.as_str()).map_or(UNLIMITED, |room| room.left);
            if left > 0 {
                let binds = binds![trigger_id.as_str(), self.now, left, self.now - ALONE];
                tx.execute(RELEASE, &binds).await?;
            }
        }
        Ok(())
    }
}

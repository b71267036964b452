//! Fires that no clock asked for: one now, or the past slots of a job.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::super::audit::AuditEntry;
use super::super::sql::Tx;
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, limits};
use super::Draft;
use super::claim::under_way;
use super::fires::{self, Fated};
use super::ruling::{Circumstances, Fate, Room, Ruling};
use crate::model::audit::Author;
use crate::model::definition::{FireLimit, Job, Overlap};
use crate::model::id::RunId;
use crate::model::time::Time;

/// What became of a fire by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// It is a run.
    Made(RunId),
    /// The job has reached its limit, and may fire again at this instant.
    Limited(Time),
}

/// What became of past slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// How many runs were made.
    pub fired: usize,
    /// How many slots had their run already.
    pub skipped: usize,
    /// How many slots have no run yet, because the job has reached its limit.
    pub limited: usize,
    /// When there is room for them, if there are such.
    pub retry_at: Option<Time>,
}

/// Fires a job now, whatever its schedule, and whatever of it has not ended.
///
/// # Errors
/// When the store fails.
pub async fn fire_by_hand(
    store: &Store,
    job: Job,
    draft: Draft,
    now: Time,
) -> Result<ByHand, StoreError> {
    store.write(FireByHand { job, draft, now, author: store.author() }).await
}

/// Fires those past slots of a job that have no run, each after the one before it unless the job
/// allows overlap.
///
/// # Errors
/// When the store fails.
pub async fn backfill(
    store: &Store,
    job: Job,
    drafts: Vec<Draft>,
    now: Time,
) -> Result<Backfilled, StoreError> {
    store.write(Backfill { job, drafts, now, author: store.author() }).await
}

struct FireByHand {
    job: Job,
    draft: Draft,
    now: Time,
    author: Arc<Author>,
}

impl Write for FireByHand {
    type Output = ByHand;
    const NAME: &'static str = "fire_job";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<ByHand, WriteError> {
        let room = room(tx, &self.job, self.now).await?;
        let fate = match (&self.draft.refused, room) {
            (Some(reason), _) => Fate::Canceled { reason: reason.clone() },
            (None, Some((_, room))) if room.left == 0 => return Ok(ByHand::Limited(room.retry_at)),
            (None, _) => Fate::Runs { after: None },
        };
        fires::insert(tx, &[(&self.draft, fate)], self.now).await?;
        let detail = json!({ "run_id": self.draft.run.id });
        let entry = audit_entry("job.fire", &self.job, self.now).with(detail);
        entry.record(tx, &self.author).await?;
        Ok(ByHand::Made(self.draft.run.id.clone()))
    }
}

struct Backfill {
    job: Job,
    drafts: Vec<Draft>,
    now: Time,
    author: Arc<Author>,
}

impl Write for Backfill {
    type Output = Backfilled;
    const NAME: &'static str = "backfill_job";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Backfilled, WriteError> {
        let room = room(tx, &self.job, self.now).await?;
        let known = fires::known(tx, self.drafts.iter()).await?;
        let drafts = fires::unknown(&self.drafts, &known);
        let ruling = self.rule(tx, &drafts, room).await?;
        // What the limit does not let through keeps its slot for another try.
        let passes = |(draft, fate): &Fated<'_>| draft.refused.is_some() || fate.runs();
        let fires: Vec<Fated<'_>> =
            drafts.iter().copied().zip(ruling.fates).filter(passes).collect();
        let made = fires::insert(tx, &fires, self.now).await?;
        let limited = drafts.len() - fires.len();
        let done = Backfilled {
            fired: made.len(),
            skipped: self.drafts.len() - limited - made.len(),
            limited,
            retry_at: ruling.retry_at,
        };
        if done.fired > 0 {
            let Backfilled { fired, skipped, limited, .. } = done;
            let detail = json!({ "fired": fired, "skipped": skipped, "limited": limited });
            let entry = audit_entry("job.backfill", &self.job, self.now).with(detail);
            entry.record(tx, &self.author).await?;
        }
        Ok(done)
    }
}

impl Backfill {
    async fn rule(
        &self,
        tx: &mut Tx<'_>,
        drafts: &[&Draft],
        room: Option<(FireLimit, Room)>,
    ) -> Result<Ruling, WriteError> {
        let id = self.job.id.as_str();
        let mut under_way = match self.job.overlap {
            Overlap::Allow => HashMap::new(),
            _ => under_way(tx, &[id]).await?,
        };
        let under_way = under_way.remove(id).unwrap_or_default();
        let (overlap, chained) = (self.job.overlap, true);
        Ok(Ruling::on(drafts, &Circumstances { overlap, chained, under_way: &under_way, room }))
    }
}

/// What is done to a job, as the audit has it.
fn audit_entry<'j>(action: &'static str, job: &'j Job, now: Time) -> AuditEntry<'j> {
    let entry = AuditEntry::new(action, "job", job.scope.workspace_id(), now);
    entry.on(job.id.as_str()).named(job.name.as_str())
}

async fn room(
    tx: &mut Tx<'_>,
    job: &Job,
    now: Time,
) -> Result<Option<(FireLimit, Room)>, WriteError> {
    let Some(limit) = job.fire_limit else { return Ok(None) };
    let rooms = limits::rooms(tx, &[(job.id.as_str(), limit)], now).await?;
    Ok(rooms.get(job.id.as_str()).map(|room| (limit, *room)))
}

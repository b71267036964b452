//! Runs about to be made, held against their fire limits; what waits for room, see
//! [`deferrals`](super::deferrals).

use std::sync::Arc;

use serde_json::json;

use super::audit::AuditEntry;
use super::commands::{self, First};
use super::notices::{self, Notice};
use super::sql::Tx;
use super::write::{Write, WriteError};
use super::{Store, StoreError, limits, runs, tally};
use crate::metrics::Fact;
use crate::model::audit::Author;
use crate::model::decision::Verdict;
use crate::model::definition::{DEFERRED_MAX, FireLimit, Over, Point};
use crate::model::id::{CommandId, NoticeId, RunId};
use crate::model::run::NewRun;
use crate::model::time::Time;

/// A run about to be made.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The run.
    pub run: NewRun,
    /// Its first command.
    pub command_id: CommandId,
    /// How often its trigger or job may fire; without limit when absent.
    pub limit: Option<FireLimit>,
}

impl Firing {
    /// Whether there is room for it: fired, or limited.
    pub(super) async fn verdict(&self, tx: &mut Tx<'_>, now: Time) -> Result<Verdict, WriteError> {
        let fired = Verdict::Fired(self.run.id.clone());
        let Some(limit) = self.limit else { return Ok(fired) };
        let retry_at = limits::retry_at(tx, self.run.owner.id(), limit, now).await?;
        Ok(retry_at.map_or(fired, Verdict::Limited))
    }

    /// The same for one that waits for room where its limit says so: fired, deferred or limited.
    /// `place` is where it waits already.
    pub(super) async fn verdict_in_line(
        &self,
        tx: &mut Tx<'_>,
        place: Option<i64>,
        now: Time,
    ) -> Result<Verdict, WriteError> {
        let Some(limit) = self.limit.filter(|limit| limit.over == Over::Defer) else {
            return self.verdict(tx, now).await;
        };
        let turn = limits::turn(tx, self.run.owner.id(), limit, place, now).await?;
        Ok(match turn {
            None => Verdict::Fired(self.run.id.clone()),
            Some(turn) if place.is_none() && turn.ahead >= DEFERRED_MAX => {
                Verdict::Limited(turn.at)
            }
            Some(turn) => Verdict::Deferred(turn.at),
        })
    }

    /// Makes it, or tells that its limit left no room for it.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx<'_>,
        verdict: &Verdict,
        now: Time,
    ) -> Result<(), WriteError> {
        match verdict.retry_at() {
            None => self.insert(tx).await,
            Some(retry_at) => {
                let waits = matches!(verdict, Verdict::Deferred(_));
                notices::post_in(tx, &self.limited(retry_at, waits, now)).await
            }
        }
    }

    /// Notes that its limit was met, if it was.
    pub(super) fn note_limit(&self, verdict: &Verdict) {
        if verdict.retry_at().is_some() {
            let trigger = self.run.owner.name().to_string();
            let deferred = matches!(verdict, Verdict::Deferred(_));
            tally::note(Fact::Limited { trigger, deferred });
        }
    }

    fn limited(&self, retry_at: Time, waits: bool, at: Time) -> Notice {
        let Self { run, limit, .. } = self;
        let data = json!({
            "owner": run.owner.kind(),
            "name": run.owner.name(),
            "owner_id": run.owner.id(),
            "event_id": run.event_id,
            "max": limit.map(|limit| limit.max),
            "window_ms": limit.map(|limit| limit.window.as_millis()),
            "retry_at": retry_at,
            "deferred": waits,
        });
        Notice {
            // The same whenever the write is applied again.
            id: NoticeId::derive(&run.scope, &format!("limited {}", run.id)),
            scope: run.scope.clone(),
            point: Point::TriggerLimited,
            data: data.to_string(),
            // As deep as if it came of the run, so that a trigger that hears of its own limit ends.
            depth: run.depth + 1,
            causes: run.causes.clone(),
            at,
        }
    }

    async fn insert(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        runs::insert(tx, &self.run).await?;
        let first = First { id: &self.command_id, run: &self.run, after: None };
        commands::insert_all(tx, &[first]).await
    }
}

/// Makes a run that does once more what the run `of` did. No limit is asked: that one has been
/// let through.
///
/// # Errors
/// When the store fails; then there is no run.
pub async fn again(store: &Store, firing: Firing, of: RunId, now: Time) -> Result<(), StoreError> {
    store.write(Again { firing, of, now, author: store.author() }).await
}

struct Again {
    firing: Firing,
    of: RunId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Again {
    type Output = ();
    const NAME: &'static str = "retry_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        self.firing.insert(tx).await?;
        let NewRun { id, scope, .. } = &self.firing.run;
        let entry = AuditEntry::new("run.retry", "run", scope.workspace_id(), self.now);
        entry.on(self.of.as_str()).with(json!({ "run_id": id })).record(tx, &self.author).await
    }
}

/// Makes a run that somebody asked for by hand, if its limit has room: fired, or limited.
///
/// # Errors
/// When the store fails; then there is no run.
pub async fn by_hand(store: &Store, firing: Firing, now: Time) -> Result<Verdict, StoreError> {
    store.write(ByHand { firing, now, author: store.author() }).await
}

struct ByHand {
    firing: Firing,
    now: Time,
    author: Arc<Author>,
}

impl Write for ByHand {
    type Output = Verdict;
    const NAME: &'static str = "fire_trigger";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Verdict, WriteError> {
        let verdict = self.firing.verdict(tx, self.now).await?;
        self.firing.settle(tx, &verdict, self.now).await?;
        if let Verdict::Fired(run_id) = &verdict {
            let NewRun { owner, scope, .. } = &self.firing.run;
            let entry = AuditEntry::new("trigger.fire", "trigger", scope.workspace_id(), self.now);
            let entry = entry.on(owner.id()).named(owner.name().as_str());
            entry.with(json!({ "run_id": run_id })).record(tx, &self.author).await?;
        }
        Ok(verdict)
    }
}

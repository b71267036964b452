//! What was held back, when its time has come: one run of a burst or a batch.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use sha2::{Digest, Sha256};

use super::{Activator, Unfired};
use crate::model::decision::Verdict;
use crate::model::definition::{Batching, Trigger};
use crate::model::envelope::{Batch, Envelope, Event};
use crate::model::id::TriggerId;
use crate::model::time::Time;
use crate::store::deferrals::{self, Line};
use crate::store::firing::Firing;
use crate::store::gatherings::{self, Flush, Gathering};
use crate::store::{StoreError, events};

/// The longest key that is kept as it is, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// How many gatherings are looked at in one go.
const GATHERINGS_MAX: u32 = 64;
/// How many are rendered at the same time.
const AT_ONCE: usize = 4;
/// How many events of a batch are read at a time: bounds the bodies in memory.
const READ_AT_ONCE: u32 = 8;
/// How long a gathering is left alone whose components are busy, or whose run there is no room for.
const PAUSE: Duration = Duration::from_secs(5);

/// What gatherings are told apart by: the value at the path, as text. What is missing or no scalar
/// is as good as empty; what is too long, its hash.
pub(super) fn key(gather: &Batching, envelope: &Envelope) -> String {
    let value = gather.key().and_then(|path| envelope.text_at(path)).unwrap_or_default();
    if value.len() <= KEY_BYTES_MAX {
        return value;
    }
    format!("sha256:{}", hex::encode(Sha256::digest(value.as_bytes())))
}

impl Activator {
    /// Fires what was gathered and is due, and says how many runs that led to.
    ///
    /// # Errors
    /// When the store fails; then what is due is found again.
    pub async fn flush(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut runs = 0;
        loop {
            let due = gatherings::complete(&self.store, now, GATHERINGS_MAX).await?;
            let last = due.len() < GATHERINGS_MAX as usize;
            // Rendered side by side, and fired in the order in which they were due. A handful is
            // rendered to its end before one of it is fired: half a rendering, left alone, may hold
            // the very lock that firing waits for.
            for handful in due.chunks(AT_ONCE) {
                let wishes = future::join_all(handful.iter().map(|one| self.wish(one))).await;
                for (gathering, wish) in handful.iter().zip(wishes) {
                    runs += usize::from(self.settle(gathering.clone(), wish).await?);
                }
            }
            if last {
                return Ok(runs);
            }
        }
    }

    /// Makes due what waits for fire limits that have room again, or that are gone. What waits of a
    /// trigger that is switched off or gone is due, too: it comes to nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release(&self) -> Result<(), StoreError> {
        let (now, definitions) = (self.clock.now(), self.catalog.now());
        let lines = deferrals::lines(&self.store, now).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let line = |trigger_id: TriggerId| {
            let trigger = definitions.triggers.iter().find(|trigger| trigger.id == trigger_id);
            let limit = trigger.filter(|trigger| trigger.enabled).and_then(|one| one.fire_limit);
            Line { trigger_id, limit }
        };
        deferrals::release(&self.store, lines.into_iter().map(line).collect(), now).await
    }

    /// When [`flush`](Self::flush) has something to do next, as far as that is known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_flush(&self) -> Result<Option<Time>, StoreError> {
        gatherings::next_due(&self.store).await
    }

    /// Whether it led to a run.
    async fn settle(
        &self,
        gathering: Gathering,
        wish: Result<Firing, Unflushed>,
    ) -> Result<bool, StoreError> {
        let outcome = match wish {
            Ok(firing) => Ok(firing),
            Err(Unflushed::Because(verdict)) => Err(verdict),
            Err(Unflushed::Store(error)) => return Err(error),
            Err(Unflushed::Later(why)) => {
                tracing::warn!(gathering = %gathering.id, why, "event batch deferred");
                let now = self.clock.now();
                gatherings::postpone(&self.store, &gathering.id, now + PAUSE, now).await?;
                return Ok(false);
            }
        };
        let scope = outcome.as_ref().ok().map(|firing: &Firing| firing.run.scope.clone());
        let flush = Flush { gathering, outcome, at: self.clock.now() };
        let verdict = gatherings::flush(&self.store, flush).await?;
        let fired = matches!(verdict, Some(Verdict::Fired(_)));
        if let Some(scope) = scope.filter(|_| fired) {
            self.count(&scope, 1).await;
        }
        Ok(fired)
    }

    /// The run that its trigger wants, as the trigger is now.
    async fn wish(&self, gathering: &Gathering) -> Result<Firing, Unflushed> {
        let definitions = self.catalog.now();
        let trigger = definitions.triggers.iter().find(|one| one.id == gathering.trigger_id);
        let enabled = trigger.filter(|trigger| trigger.enabled);
        let trigger = enabled.ok_or(Unflushed::Because(Verdict::Disabled))?;
        let room = self.has_room(&trigger.scope).await?;
        room.map_err(|full| Unflushed::Later(full.to_string()))?;
        let envelope = self.whole(trigger, gathering).await?;
        let prompt = self.render(&definitions, trigger, &envelope).await?;
        Ok(self.firing(&definitions, trigger, envelope.event(), prompt))
    }

    /// The envelope that stands for all its events.
    async fn whole(&self, trigger: &Trigger, gathering: &Gathering) -> Result<Envelope, Unflushed> {
        let envelope = match &trigger.gather {
            Some(Batching::Batch { .. }) => self.batch(gathering).await?.envelope(),
            // Without a rule any more, a burst.
            Some(Batching::Debounce { .. }) | None => {
                let last = events::last_gathered(&self.store, &gathering.id).await?;
                last.map(opened).transpose()?
            }
        };
        envelope.ok_or_else(|| unrenderable("its events are gone"))
    }

    async fn batch(&self, gathering: &Gathering) -> Result<Batch, Unflushed> {
        let (mut batch, mut after) = (Batch::default(), 0);
        loop {
            let read = events::gathered(&self.store, &gathering.id, after, READ_AT_ONCE).await?;
            let Some((last, _)) = read.last() else { return Ok(batch) };
            after = *last;
            for (_, event) in read {
                batch.add(&opened(event)?).map_err(unrenderable)?;
            }
        }
    }
}

/// Why a gathering leads to no run.
enum Unflushed {
    /// It is decided.
    Because(Verdict),
    /// It cannot be decided now; says why.
    Later(String),
    /// The store failed.
    Store(StoreError),
}

impl From<Unfired> for Unflushed {
    fn from(unfired: Unfired) -> Self {
        match unfired {
            Unfired::Because(verdict) => Self::Because(verdict),
            Unfired::Busy(error) => Self::Later(error.to_string()),
        }
    }
}

impl From<StoreError> for Unflushed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One that cannot be read, now or ever, must not keep the others waiting.
fn opened(event: Result<Arc<Event>, StoreError>) -> Result<Envelope, Unflushed> {
    Envelope::open(event.map_err(unrenderable)?).map_err(unrenderable)
}

fn unrenderable(why: impl ToString) -> Unflushed {
    Unflushed::Because(Verdict::RenderError(why.to_string()))
}

//! What people ask of a job: its next fires, a fire now, its past slots.

use super::{Gate, draft, load, read};
use crate::clock::Clock;
use crate::model::definition::Job;
use crate::model::id::RunId;
use crate::model::problem::Problems;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::sandbox::SandboxError;
use crate::store::schedules::{self, Backfilled, ByHand, StoredJob};
use crate::store::{Store, StoreError};

/// The most past slots that one call fires.
pub const BACKFILL_MAX: usize = 1000;
/// How far slots are counted in order to say how many are too many.
const COUNTED_MAX: u64 = 100_000;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// The stored definition cannot be read.
    #[error("the job's definition cannot be read: {0}")]
    Unreadable(Problems),
    /// The job has reached its limit.
    #[error("the job has reached its fire limit; it may fire again at {retry_at}")]
    Limited {
        /// When it may fire again.
        retry_at: Time,
    },
    /// The slots end before they begin.
    #[error("it lies before `from`")]
    Backwards,
    /// The slots are not all past.
    #[error("it lies in the future: only past slots can be made up for")]
    Future,
    /// There are more slots than one call fires.
    #[error("there are {count} slots or more, and at most {BACKFILL_MAX} can be fired at a time")]
    TooMany {
        /// How many, as far as they were counted.
        count: u64,
    },
    /// A pre-fire hook's component is busy.
    #[error(transparent)]
    Busy(#[from] SandboxError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect.
    #[error("its slots could not be counted")]
    Defect(#[from] tokio::task::JoinError),
}

/// The next fires of a job.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The job.
    pub job: Job,
    /// Its next fires, as many as there are and were asked for.
    pub next: Vec<Previewed>,
}

/// A fire to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previewed {
    /// The slot.
    pub scheduled_at: Time,
    /// When it fires: late by the job's own offset.
    pub due_at: Time,
}

/// The job of this identifier or name, as it is stored.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    scope: &Scope,
    id_or_name: &str,
) -> Result<Option<StoredJob>, StoreError> {
    schedules::find(store, scope, id_or_name).await
}

/// The next `count` fires of a job: those of its cursor, or those it would have if it were enabled.
///
/// # Errors
/// When its definition cannot be read.
pub fn preview(stored: &StoredJob, count: usize, now: Time) -> Result<Preview, ByHandError> {
    let job = of(stored)?;
    let after = |slot: Time| job.schedule.next_after(slot, stored.created_at);
    let first = match &stored.state {
        Some(state) => state.next_run_at,
        None => after(now),
    };
    let slots = std::iter::successors(first, |slot| after(*slot)).take(count);
    let offset = job.offset();
    let next = slots.map(|slot| Previewed { scheduled_at: slot, due_at: slot + offset }).collect();
    Ok(Preview { job, next })
}

/// Fires a job now, enabled or not, and whatever of it has not ended.
///
/// # Errors
/// When it has reached its limit, or the store fails.
pub async fn trigger(
    store: &Store,
    clock: Clock,
    gate: &Gate,
    stored: &StoredJob,
    now: Time,
) -> Result<RunId, ByHandError> {
    let job = of(stored)?;
    let draft = gate.pass(draft::of(&job, &gate.definitions(), None, clock, now)).await?;
    match schedules::fire_by_hand(store, job, draft, now).await? {
        ByHand::Made(run) => Ok(run),
        ByHand::Limited(retry_at) => Err(ByHandError::Limited { retry_at }),
    }
}

/// Fires the slots from `from` to `until`, both included, that have no run yet.
///
/// Asked again, it goes on where the job's limit has stopped it.
///
/// # Errors
/// When these are no past slots, or too many, or the store fails; then some of them may have been
/// fired.
pub async fn backfill(
    store: &Store,
    clock: Clock,
    gate: &Gate,
    stored: &StoredJob,
    (from, until): (Time, Time),
    now: Time,
) -> Result<Backfilled, ByHandError> {
    let job = of(stored)?;
    let slots = slots(job.clone(), stored.created_at, (from, until), now).await?;
    let definitions = gate.definitions();
    let draft = |slot: &Time| draft::of(&job, &definitions, Some(*slot), clock, now);
    let drafts = slots.iter().map(draft).collect();
    let drafts = gate.pass_all(drafts).await?;
    let mut all = Backfilled::default();
    for drafts in load::split(drafts, load::of_draft) {
        let some = schedules::backfill(store, job.clone(), drafts, now).await?;
        all.fired += some.fired;
        all.skipped += some.skipped;
        all.limited += some.limited;
        all.retry_at = some.retry_at.or(all.retry_at);
    }
    match all {
        Backfilled { fired: 0, retry_at: Some(retry_at), .. } => {
            Err(ByHandError::Limited { retry_at })
        }
        all => Ok(all),
    }
}

async fn slots(
    job: Job,
    anchored: Time,
    (from, until): (Time, Time),
    now: Time,
) -> Result<Vec<Time>, ByHandError> {
    if until < from {
        return Err(ByHandError::Backwards);
    }
    if until > now {
        return Err(ByHandError::Future);
    }
    // The slots of centuries take their time.
    let counting = tokio::task::spawn_blocking(move || {
        let before = from.before();
        let count = job.schedule.count(before, until, anchored, COUNTED_MAX);
        (count, job.schedule.slots(before, until, anchored, BACKFILL_MAX))
    });
    let (count, slots) = counting.await?;
    if count > BACKFILL_MAX as u64 {
        return Err(ByHandError::TooMany { count });
    }
    Ok(slots)
}

fn of(stored: &StoredJob) -> Result<Job, ByHandError> {
    read(&stored.spec, stored.id.as_str(), stored.enabled).map_err(ByHandError::Unreadable)
}

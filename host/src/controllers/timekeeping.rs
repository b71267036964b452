//! What a clock that was ahead has left in the future: nothing there would happen before that time comes
//! round. It is put right when the host starts, when its clock goes back, when another host's clock is
//! seen to have been ahead, and every now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::driver::{Controller, Done, Failure};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::model::controller::ControllerName;
use crate::model::time::{SKEW, Time};
use crate::schedule;
use crate::store::{Store, StoreError, ahead, controllers};

/// How often all is looked through though nothing hints at a wrong clock.
const LOOK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Puts right what wrong clocks have written.
#[derive(Debug)]
pub struct Timekeeping {
    store: Store,
    hub: Hub,
    clock: Clock,
    /// Rung when jobs may be due.
    scheduler: Arc<Notify>,
    seen: Mutex<Option<Seen>>,
}

/// The machine's time and the clock's, as they were together.
#[derive(Clone, Copy, Debug)]
struct Seen {
    looked: Instant,
    at: (Instant, Time),
}

impl Timekeeping {
    /// Keeps the time of this store; who rings the scheduler's bell has it look for due jobs.
    pub fn new(store: Store, hub: Hub, clock: Clock, scheduler: Arc<Notify>) -> Self {
        Self { store, hub, clock, scheduler, seen: Mutex::new(None) }
    }

    /// Whether there may be something: at first, when the clock has gone back, and after a while.
    fn is_suspicious(&self, now: Time) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let here = Instant::now();
        let is_late = seen.is_none_or(|seen| here - seen.looked >= LOOK_INTERVAL);
        let went_back = seen.is_some_and(|Seen { at: (then, time), .. }| {
            now + SKEW < time + here.duration_since(then)
        });
        let looked = seen.filter(|_| !is_late && !went_back).map_or(here, |seen| seen.looked);
        *seen = Some(Seen { looked, at: (here, now) });
        is_late || went_back
    }

    /// Forgets when it looked last, so that the next pass looks again.
    fn look_again(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Controller for Timekeeping {
    const NAME: ControllerName = ControllerName::Clock;

    async fn pass(&self) -> Result<Done, Failure> {
        let now = self.clock.now();
        if !self.is_suspicious(now) && !controllers::is_any_ahead(&self.store, now).await? {
            return Ok(Done::default());
        }
        let right = put_right(&self.store, now).await.inspect_err(|_| self.look_again())?;
        if !right.is_empty() {
            tracing::warn!(?right, "timestamps in the future repaired: a clock was ahead");
            self.hub.notify();
            self.scheduler.notify_one();
        }
        let items = right.into_iter().map(|(what, count)| (what.to_owned(), count)).collect();
        Ok(Done { items, next_at: None })
    }
}

/// Puts right all that was written by a clock far ahead, and counts it by what it is.
///
/// # Errors
/// When the store fails; what was put right before stays so.
pub async fn put_right(
    store: &Store,
    now: Time,
) -> Result<BTreeMap<&'static str, u64>, StoreError> {
    // The anchors of schedules are among the first.
    let mut right = ahead::put_right(store, now).await?;
    let jobs = schedule::set_back(store, now).await?;
    if jobs > 0 {
        right.insert("jobs", jobs);
    }
    Ok(right)
}

//! How long workers have to come back after nobody could renew a lease.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::time::Time;

/// After this host's start, after the store was away, and after the machine slept. Workers' back-off
/// takes up to 15 s.
const GRACE: Duration = Duration::from_secs(30);

/// Until when leases are left alone.
#[derive(Debug)]
pub(super) struct Grace(Mutex<State>);

#[derive(Debug)]
struct State {
    until: Time,
    /// The last look, by both clocks.
    looked: (Instant, Time),
}

impl Grace {
    /// Begins now, at the host's start.
    pub(super) fn new(now: Time) -> Self {
        Self(Mutex::new(State { until: now + GRACE, looked: (Instant::now(), now) }))
    }

    /// Begins anew: the store was away.
    pub(super) fn renew(&self, now: Time) {
        self.lock().until = now + GRACE;
    }

    /// When it is over, if it is not.
    pub(super) fn until(&self, now: Time) -> Option<Time> {
        let until = self.lock().until;
        (now < until).then_some(until)
    }

    /// The same, for who looks so seldom that the machine may have slept since.
    pub(super) fn until_despite_sleep(&self, now: Time) -> Option<Time> {
        let mut state = self.lock();
        let (instant, time) = std::mem::replace(&mut state.looked, (Instant::now(), now));
        if now.since(time) > instant.elapsed() + GRACE {
            state.until = now + GRACE;
        }
        (now < state.until).then_some(state.until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Triggers that meet their fire limits, said in the log: at the first time and each hundredth, so that
//! a busy sender fills no log. A trigger that has been left alone for a while begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long without meeting its limit, a trigger's next time is a first one.
const QUIET: Duration = Duration::from_secs(60 * 60);
/// How many triggers are told apart.
const TRIGGERS_MAX: usize = 10_000;

/// How often each trigger has met its limit, and when last.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<String, (u64, Instant)>>);

impl Limits {
    /// A trigger met its limit; `deferred` is whether its fire waits.
    pub(super) fn met(&self, trigger: &str, deferred: bool) {
        let times = self.count(trigger, Instant::now());
        if times == 1 || times.is_multiple_of(100) {
            tracing::warn!(trigger, times, deferred, "trigger reached its fire_limit");
        }
    }

    fn count(&self, trigger: &str, now: Instant) -> u64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |last: Instant| now.duration_since(last) < QUIET;
        if known.len() >= TRIGGERS_MAX {
            known.retain(|_, (_, last)| is_recent(*last));
        }
        let times = known.get(trigger).filter(|(_, last)| is_recent(*last)).map_or(0, |(n, _)| *n);
        known.insert(trigger.to_owned(), (times + 1, now));
        times + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_hour_begins_anew() {
        let (limits, now) = (Limits::default(), Instant::now());
        assert_eq!(
            [limits.count("a", now), limits.count("a", now), limits.count("b", now)],
            [1, 2, 1]
        );
        assert_eq!(limits.count("a", now + QUIET - Duration::from_secs(1)), 3);
        assert_eq!(limits.count("a", now + QUIET + QUIET), 1);
    }
}

//! How long a worker that was told to stop stays. Pure: instants in, instants out.

use std::time::Duration;

use tokio::time::Instant;

/// How long a program has to end by itself when its command is handed back.
pub(super) const RELEASE_GRACE: Duration = Duration::from_secs(1);
/// How long the host has to answer what it was told.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A worker's leaving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// When the programs that still run are ended and their commands handed back.
    pub(super) release_at: Instant,
    /// Since when no program runs.
    idle_since: Option<Instant>,
}

impl Drain {
    /// Begins at `now`, with `grace` for the programs.
    pub(super) fn begin(now: Instant, grace: Duration) -> Self {
        Self { release_at: now + grace, idle_since: None }
    }

    /// Notes whether programs run.
    pub(super) fn note(&mut self, now: Instant, running: bool) {
        self.idle_since = if running { None } else { self.idle_since.or(Some(now)) };
    }

    /// When to leave whatever is still owed. Without a connection the whole grace is for getting one.
    pub(super) fn leave_at(&self, connected: bool) -> Instant {
        let answers = match self.idle_since {
            Some(idle) if connected => idle,
            Some(idle) => idle.max(self.release_at),
            None => self.release_at + RELEASE_GRACE + RELEASE_GRACE,
        };
        answers + ANSWER_WAIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_leaves_when_nothing_more_can_come_of_staying() {
        let begin = Instant::now();
        let secs = |n| begin + Duration::from_secs(n);
        let mut drain = Drain::begin(begin, Duration::from_secs(30));
        drain.note(begin, true);
        assert_eq!(drain.release_at, secs(30));
        assert_eq!(drain.leave_at(true), secs(37));
        drain.note(secs(3), false);
        drain.note(secs(4), false);
        assert_eq!(drain.leave_at(true), secs(8));
        assert_eq!(drain.leave_at(false), secs(35));
    }
}

//! How long a worker that was told to stop stays. Pure: instants in, instants out.

use std::time::Duration;

use tokio::time::Instant;

/// How long a program has to end by itself when its command is handed back.
pub(super) const RELEASE_GRACE: Duration = Duration::from_secs(1);
/// How long the host has to answer what it was told last.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A worker's leaving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// When the programs that still run are ended and their commands handed back.
    pub(super) release_at: Instant,
    /// When to leave whatever is still owed.
    pub(super) leave_at: Instant,
}

impl Drain {
    /// Begins at `now`, with `grace` for the programs, and for a host that is away to come back.
    pub(super) fn begin(now: Instant, grace: Duration) -> Self {
        Self { release_at: now + grace, leave_at: now + grace }
    }

    /// The grace is over. What still runs has to end, and a host that is there to hear of it.
    pub(super) fn release(&mut self, running: bool, connected: bool) {
        let ends = if running { RELEASE_GRACE + RELEASE_GRACE } else { Duration::ZERO };
        let answers = if running || connected { ANSWER_WAIT } else { Duration::ZERO };
        self.leave_at = self.release_at + ends + answers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_stays_for_the_whole_grace_and_a_last_word() {
        let begin = Instant::now();
        let secs = |n| begin + Duration::from_secs(n);
        let drain = Drain::begin(begin, Duration::from_secs(30));
        assert_eq!((drain.release_at, drain.leave_at), (secs(30), secs(30)));
        for (running, connected, leave_at) in
            [(true, true, 37), (true, false, 37), (false, true, 35), (false, false, 30)]
        {
            let mut drain = drain;
            drain.release(running, connected);
            assert_eq!(drain.leave_at, secs(leave_at), "{running} {connected}");
        }
    }
}

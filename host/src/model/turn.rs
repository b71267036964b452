//! What a job's turn leads to: which of its slots fire, which are missed, and where it goes on.
//!
//! ```text
//!              cursor                late            reached
//!  ──●───────────●────●────●────●─────┼───●────●────────┼───●──── slots
//!    fired       └──── missed ────┘   └ in time ┘           to come
//! ```
//! `reached` is the present less the job's own offset: a slot up to it is due. `late` lies before it
//! by the job's grace: when the cursor has fallen behind it, the job's policy says what becomes of
//! the slots in between. The cursor itself counts as a slot wherever it stands; a fire limit may
//! have put it beside the schedule.

use super::definition::{CatchUp, Job};
use super::time::Time;

/// How far missed slots of a cron expression are counted, see
/// [`Schedule::count`](super::schedule::Schedule::count): more than three years of every minute.
/// Those of other schedules are counted whatever their number.
pub const COUNTED_MAX: u64 = 2_000_000;

/// What a job's turn leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The slots that fire, oldest first.
    pub fires: Vec<Time>,
    /// Whether the fires make up for what was missed: one after the other, whatever the overlap
    /// policy, which would skip all but the first. Jobs that allow overlap fire them at once.
    pub catching_up: bool,
    /// Whether a slot was overdue by more than the job's grace.
    pub misfired: bool,
    /// How many slots will never fire.
    pub missed: u64,
    /// The slot to go on with; none at the schedule's end.
    pub next: Option<Time>,
}

impl Turn {
    /// The turn of a job whose next slot is `cursor`; none when that is not due. `anchored` is the
    /// job's creation.
    pub fn of(job: &Job, anchored: Time, cursor: Time, now: Time) -> Option<Self> {
        let slots = Slots { job, anchored, cursor };
        let reached = now - job.offset();
        if cursor + job.offset() > now {
            return None;
        }
        if reached.since(cursor) <= job.misfire_grace {
            return Some(slots.in_time());
        }
        let last_missed = (reached - job.misfire_grace).before();
        let turn = match job.catch_up {
            CatchUp::SkipMissed => slots.skip_missed(last_missed),
            CatchUp::Coalesce => slots.coalesce(reached),
            CatchUp::CatchUp => slots.catch_up(last_missed),
        };
        Some(Self { misfired: true, ..turn })
    }
}

/// A job's slots from its cursor on.
struct Slots<'j> {
    job: &'j Job,
    anchored: Time,
    cursor: Time,
}

impl Slots<'_> {
    fn in_time(&self) -> Turn {
        Turn { fires: vec![self.cursor], next: self.after(self.cursor), ..Turn::default() }
    }

    fn skip_missed(&self, last_missed: Time) -> Turn {
        Turn { missed: self.count(last_missed), next: self.after(last_missed), ..Turn::default() }
    }

    fn coalesce(&self, reached: Time) -> Turn {
        Turn {
            fires: vec![self.newest(reached)],
            missed: self.count(reached) - 1,
            next: self.after(reached),
            ..Turn::default()
        }
    }

    fn catch_up(&self, last_missed: Time) -> Turn {
        let further = self.job.catch_up_max.saturating_sub(1) as usize;
        let (schedule, anchored) = (&self.job.schedule, self.anchored);
        let mut fires = vec![self.cursor];
        fires.extend(schedule.slots(self.cursor, last_missed, anchored, further));
        let missed = self.count(last_missed).saturating_sub(fires.len() as u64);
        let next = self.after(last_missed);
        Turn { fires, catching_up: true, missed, next, ..Turn::default() }
    }

    fn after(&self, instant: Time) -> Option<Time> {
        self.job.schedule.next_after(instant, self.anchored)
    }

    /// How many slots lie between the cursor and `last`, both included.
    fn count(&self, last: Time) -> u64 {
        1 + self.job.schedule.count(self.cursor, last, self.anchored, COUNTED_MAX - 1)
    }

    /// The newest slot up to `last`. Slots have a successor only: it is the earliest instant whose
    /// successor lies behind `last`, found by halving.
    fn newest(&self, last: Time) -> Time {
        let is_last = |instant: Time| self.after(instant).is_none_or(|next| next > last);
        let (mut from, mut until) = (self.cursor.as_millis(), last.as_millis());
        while from < until {
            let middle = from + (until - from) / 2;
            match Time::from_millis(middle) {
                Some(instant) if is_last(instant) => until = middle,
                _ => from = middle + 1,
            }
        }
        Time::from_millis(from).unwrap_or(last)
    }
}

#[cfg(test)]
mod tests;

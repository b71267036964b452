//! Jobs and their slots.

use std::time::Duration;

use super::book::{Book, Counts, Times};

/// Jobs and their slots.
#[derive(Debug)]
pub struct Jobs {
    late: Times<0>,
    missed: Counts<0>,
}

impl Jobs {
    pub(super) fn new(book: &mut Book) -> Self {
        let new = Self {
            late: book.spans(
                "hillock_schedule_lag",
                [],
                "How long after their slots jobs fired, with the job's own jitter",
            ),
            missed: book.counts(
                "hillock_schedule_missed_slots",
                [],
                "Slots of jobs that passed without a fire (misfires)",
            ),
        };
        new.missed.add([], 0);
        new
    }

    pub(super) fn fired(&self, late: Duration) {
        self.late.observe::<&'static str>([], late);
    }

    pub(super) fn missed(&self, slots: u64) {
        self.missed.add([], slots);
    }
}

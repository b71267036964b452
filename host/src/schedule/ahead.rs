//! Cursors in a future that a wrong clock believed in, set back to the schedule's own next slot.

use super::{BATCH, read};
use crate::model::time::Time;
use crate::store::schedules::{self, Ahead};
use crate::store::{Store, StoreError};

/// Sets back the cursors of all jobs that were written by a clock far ahead, and counts them. A slot
/// that has fired under that clock has its run, and does not fire again when its time comes.
///
/// # Errors
/// When the store fails; what was set back before stays so.
pub async fn set_back(store: &Store, now: Time) -> Result<u64, StoreError> {
    let mut count = 0;
    loop {
        let ahead = schedules::ahead(store, now, BATCH).await?;
        let last = ahead.len() < BATCH as usize;
        let cursors: Vec<_> = ahead.into_iter().map(|ahead| placed(ahead, now)).collect();
        let moved = |(ahead, next, _): &&(Ahead, Time, Time)| *next != ahead.next_run_at;
        count += cursors.iter().filter(moved).count() as u64;
        let written = schedules::set_back(store, &cursors, now).await?;
        // Of what a rival moves all the time there is no end.
        if last || written == 0 {
            return Ok(count);
        }
    }
}

/// The slot that a cursor is to stand at, and when it is due. One that cannot be read is due at once,
/// for whoever fires it to say so.
fn placed(ahead: Ahead, now: Time) -> (Ahead, Time, Time) {
    let seen = ahead.next_run_at;
    let Ok(job) = read(&ahead.spec, &ahead.job_id, ahead.enabled) else {
        return (ahead, seen, now);
    };
    let own = job.schedule.next_after(now, ahead.anchored_at.min(now));
    let next = own.map_or(seen, |own| own.min(seen));
    (ahead, next, next + job.offset())
}

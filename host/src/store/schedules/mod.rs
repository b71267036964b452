//! Where each job's schedule stands: the durable cursor, and how it moves.
//!
//! ```text
//! follow   a definition changes: its cursor is made, kept, reset or removed
//! due      the scheduler reads what is due
//! claim    cursors move on, and what they stood for becomes runs, in one transaction
//! ahead    cursors that a clock far ahead has written are set back
//! by_hand  fires that no cursor asked for
//! ```

mod ahead;
mod by_hand;
mod claim;
mod due;
mod fires;
mod handover;
mod ruling;
mod state;

use super::sql::{Bind, Tx, binds};
use super::write::WriteError;
use crate::model::definition::Job;
use crate::model::id::CommandId;
use crate::model::run::{Delegation, NewRun};
use crate::model::time::Time;
use crate::model::turn::Turn;
pub use ahead::{Ahead, ahead, set_back};
pub use by_hand::{Backfilled, ByHand, backfill, fire_by_hand};
pub use claim::{Claimed, claim};
pub use due::{Due, defer, due, next_due};
pub(super) use ruling::Room;
pub use state::{SchedulerState, StoredJob, find, state};

/// A run as a fire of a job would make it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The run.
    pub run: NewRun,
    /// Its first command, or its task's.
    pub command_id: CommandId,
    /// The task that it is handed over to, if the job asks for one, and the task's own run.
    pub delegation: Option<Delegation>,
    /// Why it is not to be made, when somebody who was asked refused: then the run is canceled from
    /// the start, with this as its error.
    pub refused: Option<String>,
}

/// A job's turn, to be taken.
#[derive(Clone, Debug)]
pub struct JobTurn {
    /// The job.
    pub job: Job,
    /// The revision of the definition that it was read from.
    pub revision: i64,
    /// Where its cursor was seen.
    pub seen: Time,
    /// What the turn leads to.
    pub turn: Turn,
    /// A draft for each of its fires, in their order.
    pub drafts: Vec<Draft>,
}

// A schedule that means something else begins anew; else only the rules around it change.
const ARM: &str = "\
INSERT INTO schedules
       (job_id, workspace_id, next_run_at, due_at, anchored_at, schedule_hash, catch_up_policy,
        misfire_grace_seconds, consecutive_resume_failures, misfire_count, set_at)
VALUES ($1, $2, $3, $3 + $4, $5, $6, $7, $8, 0, 0, $9)
    ON CONFLICT (job_id) DO UPDATE
   SET next_run_at = CASE WHEN schedules.schedule_hash = excluded.schedule_hash
                          THEN schedules.next_run_at ELSE excluded.next_run_at END,
       due_at = CASE WHEN schedules.schedule_hash = excluded.schedule_hash
                     THEN schedules.next_run_at + $4 ELSE excluded.due_at END,
       set_at = CASE WHEN schedules.schedule_hash = excluded.schedule_hash
                     THEN schedules.set_at ELSE excluded.set_at END,
       set_back_from = CASE WHEN schedules.schedule_hash = excluded.schedule_hash
                            THEN schedules.set_back_from END,
       schedule_hash = excluded.schedule_hash,
       catch_up_policy = excluded.catch_up_policy,
       misfire_grace_seconds = excluded.misfire_grace_seconds";

const DISARM: &str = "\
DELETE FROM schedules
 WHERE job_id = $1";

/// Makes a job's cursor follow its definition: made or reset for one that is enabled, removed for
/// one that is not. `created_at` is the definition's own and anchors an `every`.
pub(super) async fn follow(
    tx: &mut Tx<'_>,
    job: &Job,
    created_at: Time,
    now: Time,
) -> Result<(), WriteError> {
    if !job.enabled {
        tx.execute(DISARM, &binds![job.id.as_str()]).await?;
        return Ok(());
    }
    let grace = i64::try_from(job.misfire_grace.as_secs()).unwrap_or(i64::MAX);
    let offset = i64::try_from(job.offset().as_millis()).unwrap_or(0);
    let binds = binds![
        job.id.as_str(),
        job.scope.workspace_id(),
        Bind::from(first_slot(job, created_at, now)),
        offset,
        created_at,
        job.schedule.hash(),
        job.catch_up.as_str(),
        grace,
        now,
    ];
    tx.execute(ARM, &binds).await?;
    Ok(())
}

/// The first slot from `now` on. A single instant is one even when it has passed: what becomes of
/// it is the misfire policy's to say.
fn first_slot(job: &Job, created_at: Time, now: Time) -> Option<Time> {
    let next = job.schedule.next_after(now, created_at);
    next.or_else(|| job.schedule.next_after(Time::EPOCH, created_at))
}

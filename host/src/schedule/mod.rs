//! Due jobs to runs.
//!
//! ```text
//! due       rows by index, a batch at a time                      store
//! read      each definition parsed; one that cannot be is put off
//! turn      which slots fire, which are missed, where to go on     model
//! draft     the run that each fire would make, as its pre-fire hooks leave it
//! claim     cursors move on, drafts become runs                    store
//! ```
//! Nothing is held between two ticks, and any number of hosts may tick at the same time: who claims
//! a cursor first has the slot. A run is made before anything goes to a worker, so a crash at any
//! point leaves either a cursor that is still due, or a run that waits.

mod ahead;
mod by_hand;
mod draft;
mod gate;
mod load;

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::clock::Clock;
use crate::config::definitions;
use crate::model::definition::{Definition, DefinitionKind, Definitions, Job};
use crate::model::problem::Problems;
use crate::model::time::Time;
use crate::model::turn::Turn;
use crate::store::commands::Stop;
use crate::store::schedules::{self, Due, JobTurn};
use crate::store::{Store, StoreError};
pub use ahead::set_back;
pub use by_hand::{
    BACKFILL_MAX, ByHandError, Preview, Previewed, backfill, find, preview, trigger,
};
pub use gate::Gate;

/// How many due jobs one tick takes.
pub const BATCH: u32 = 500;
/// How many jobs' pre-fire hooks are asked at the same time.
const ASKED_AT_ONCE: usize = 8;
/// How long a job that cannot be read is put off, the first time; then twice as long each time.
const DEFER_MIN: Duration = Duration::from_secs(60);
/// The longest that it is put off.
const DEFER_MAX: Duration = Duration::from_secs(60 * 60);

/// Why due jobs were not fired.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect.
    #[error("due jobs could not be sorted")]
    Defect(#[from] tokio::task::JoinError),
}

/// What a tick came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// How many runs it made.
    pub fired: usize,
    /// How many runs it made that are canceled from the start: by overlap, limit or a hook.
    pub skipped: usize,
    /// How many slots it counted as missed.
    pub missed: u64,
    /// How many jobs it has put off because they cannot be read.
    pub deferred: usize,
    /// Whether jobs were due that a rival claimed at the same time, or whose hooks are busy.
    pub contended: bool,
    /// When the next job is due, which may have passed; none when none ever is.
    pub next_due: Option<Time>,
    /// Commands that were asked to stop, for their workers to be told.
    pub stops: Vec<Stop>,
}

/// Fires what is due at `now`, at most [`BATCH`] jobs, one turn each.
///
/// # Errors
/// When the store fails. What was claimed before stays claimed.
pub async fn tick(store: &Store, clock: Clock, gate: &Gate, now: Time) -> Result<Tick, TickError> {
    let due = schedules::due(store, now, BATCH).await?;
    let mut tick = Tick::default();
    if !due.is_empty() {
        let (turns, deferred) = turns(due, &gate.definitions(), clock, now).await?;
        tick.deferred = deferred.len();
        if !deferred.is_empty() {
            schedules::defer(store, &deferred, now).await?;
        }
        // Who has nobody to ask does not wait for those who have.
        let (asking, free): (Vec<_>, Vec<_>) =
            turns.into_iter().partition(|turn| gate.asks_about(&turn.job.scope));
        let claimed = tick.claim(store, free, now).await;
        let passed = tick.pass(gate, asking).await;
        claimed.and(tick.claim(store, passed, now).await)?;
    }
    tick.next_due = schedules::next_due(store).await?;
    Ok(tick)
}

impl Tick {
    /// The turns whose drafts have passed the gate. One that cannot be judged now is left out: its
    /// cursor stays where it is.
    async fn pass(&mut self, gate: &Gate, turns: Vec<JobTurn>) -> Vec<JobTurn> {
        let asked = futures_util::stream::iter(turns).map(async |turn: JobTurn| {
            let JobTurn { drafts, .. } = &turn;
            let passed = gate.pass_all(drafts.clone()).await;
            (turn, passed)
        });
        let mut asked = asked.buffered(ASKED_AT_ONCE);
        let mut passed = Vec::new();
        while let Some((turn, drafts)) = asked.next().await {
            match drafts {
                Ok(drafts) => passed.push(JobTurn { drafts, ..turn }),
                Err(error) => {
                    tracing::warn!(job = %turn.job.name, %error, "job slot deferred");
                    self.contended = true;
                }
            }
        }
        passed
    }

    /// Claims these turns, some at a time. Those that cannot be claimed do not stand in the others'
    /// way.
    async fn claim(
        &mut self,
        store: &Store,
        turns: Vec<JobTurn>,
        now: Time,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        for turns in load::split(turns, load::of_turn) {
            let jobs = turns.len();
            match schedules::claim(store, turns, now).await {
                Ok(claimed) => {
                    self.contended |= claimed.won < jobs;
                    self.fired += claimed.fired;
                    self.skipped += claimed.skipped;
                    self.missed += claimed.missed;
                    self.stops.extend(claimed.stops);
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

/// The turns of these due jobs, to be claimed; and those that cannot be read, each with when to try
/// again.
///
/// # Errors
/// When there is a defect.
pub async fn turns(
    due: Vec<Due>,
    definitions: &Definitions,
    clock: Clock,
    now: Time,
) -> Result<(Vec<JobTurn>, Vec<(Due, Time)>), TickError> {
    let Sorted { turns, deferred } = sort(due, now).await?;
    let drafted = turns.into_iter().map(|turn| turn.drafted(definitions, clock, now));
    Ok((drafted.collect(), deferred))
}

/// The job that a stored definition means.
///
/// # Errors
/// When it cannot be read any more; what is wrong with it.
pub fn read(spec: &str, id: &str, enabled: bool) -> Result<Job, Problems> {
    let mut problems = Problems::default();
    let spec = match serde_json::from_str(spec) {
        Ok(spec) => spec,
        Err(error) => {
            problems.add("job", format!("is not JSON: {error}"));
            return Err(problems);
        }
    };
    let (kind, folder) = (DefinitionKind::Job, Path::new(""));
    match definitions::parse(kind, "job", &spec, Some(id), folder, &mut problems) {
        Some(Definition::Job(job)) => Ok(Job { enabled, ..job }),
        _ => Err(problems),
    }
}

/// The due jobs that can take their turn, and those that cannot, with when to try again.
#[derive(Default)]
struct Sorted {
    turns: Vec<Undrafted>,
    deferred: Vec<(Due, Time)>,
}

/// A turn without its drafts.
struct Undrafted {
    job: Job,
    due: Due,
    turn: Turn,
}

/// Counting the missed slots of many jobs takes its time: not on the runtime's threads.
async fn sort(due: Vec<Due>, now: Time) -> Result<Sorted, tokio::task::JoinError> {
    let sorting = move || {
        let mut sorted = Sorted::default();
        for due in due {
            sorted.add(due, now);
        }
        sorted
    };
    tokio::task::spawn_blocking(sorting).await
}

impl Sorted {
    fn add(&mut self, due: Due, now: Time) {
        let job = match read(&due.spec, &due.job_id, due.enabled) {
            Ok(job) => job,
            Err(problems) => {
                let until = now + put_off(due.failures);
                tracing::error!(job = due.job_id, %problems, %until, "failed to read a job");
                return self.deferred.push((due, until));
            }
        };
        match Turn::of(&job, due.anchored_at, goes_on_at(&due, &job, now), now) {
            Some(turn) if job.enabled => self.turns.push(Undrafted { job, due, turn }),
            // Its cursor should not be there, or not be due: whoever changed the job left it so.
            _ => {
                let until = (due.next_run_at + job.offset()).max(now + put_off(due.failures));
                tracing::error!(job = due.job_id, %until, "skipped a job that is not due");
                self.deferred.push((due, until));
            }
        }
    }
}

impl Undrafted {
    /// Every fire of a job comes through here before it is claimed.
    fn drafted(self, definitions: &Definitions, clock: Clock, now: Time) -> JobTurn {
        let Self { job, due, turn } = self;
        let draft = |slot: &Time| draft::of(&job, definitions, Some(*slot), clock, now);
        let drafts = turn.fires.iter().map(draft).collect();
        JobTurn { drafts, revision: due.revision, seen: due.next_run_at, job, turn }
    }
}

/// Where a cursor goes on: a clock that was wrong for a while has set it back, and is right again.
fn goes_on_at(due: &Due, job: &Job, now: Time) -> Time {
    let back = due.set_back_from.filter(|from| *from + job.offset() <= now);
    back.map_or(due.next_run_at, |from| from.max(due.next_run_at))
}

fn put_off(failures: u32) -> Duration {
    DEFER_MIN.saturating_mul(1 << failures.min(16)).min(DEFER_MAX)
}

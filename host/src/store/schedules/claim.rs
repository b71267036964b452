//! The claim: in one transaction, cursors move on and what they stood for becomes runs.
//!
//! ```text
//! won      cursors that still stand where they were read, of jobs that are still as they were read
//! facts    fires that have their run; what of the jobs has not ended; what their limits leave
//! ruling   a fate for each of the other fires
//! runs     with their first commands
//! cursors  on to the next slot
//! ```
//! A rival, here or on another host, wins the cursors that this one does not. The number of
//! statements does not grow with that of the jobs.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::super::commands::{self, Stop};
use super::super::notices::{self, Notice};
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, limits, tally};
use super::fires::{self, Fated};
use super::ruling::{Circumstances, Room, Ruling};
use super::{Draft, JobTurn};
use crate::metrics::Fact;
use crate::model::definition::{Overlap, Point};
use crate::model::id::{NoticeId, RunId};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// What a claim came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// How many jobs it moved on; the others were a rival's, or have changed.
    pub won: usize,
    /// How many runs it made.
    pub fired: usize,
    /// How many runs it made that are canceled from the start.
    pub skipped: usize,
    /// How many slots it counted as missed.
    pub missed: u64,
    /// Commands that were asked to stop, for workers to be told.
    pub stops: Vec<Stop>,
}

// A row that a rival is just claiming is not waited for.
const SELECT_WON: Sql = Sql {
    sqlite: "\
SELECT s.job_id AS id
  FROM json_each($1) c
 CROSS JOIN schedules s
  JOIN definitions d ON d.id = s.job_id
 WHERE s.job_id = c.value ->> '$.job_id'
   AND s.next_run_at = c.value ->> '$.seen'
   AND d.revision = c.value ->> '$.revision'
   AND COALESCE(d.overlay, d.enabled) = 1",
    postgres: "\
SELECT s.job_id AS id
  FROM json_to_recordset($1::json) AS c (job_id text, seen bigint, revision bigint)
  JOIN schedules s ON s.job_id = c.job_id
                  AND s.next_run_at = c.seen
  JOIN definitions d ON d.id = s.job_id
                    AND d.revision = c.revision
 WHERE COALESCE(d.overlay, d.enabled) = 1
   FOR UPDATE OF s SKIP LOCKED",
};

// Without its advice, SQLite may read all runs that a job ever had.
const SELECT_UNDER_WAY: Sql = Sql {
    sqlite: "\
SELECT id, owner_id
  FROM runs INDEXED BY runs_under_way
 WHERE owner_id IN (SELECT value FROM json_each($1))
   AND status IN ('scheduled', 'running', 'delegated')
 ORDER BY seq",
    postgres: "\
SELECT id, owner_id
  FROM runs
 WHERE owner_id IN (SELECT json_array_elements_text($1::json))
   AND status IN ('scheduled', 'running', 'delegated')
 ORDER BY seq",
};

const MOVE_ON: Sql = Sql {
    sqlite: "\
UPDATE schedules
   SET next_run_at = c.next_run_at, due_at = c.due_at,
       last_run_at = COALESCE(c.last_run_at, schedules.last_run_at),
       last_scheduled_at = COALESCE(c.last_scheduled_at, schedules.last_scheduled_at),
       last_fire_id = COALESCE(c.last_fire_id, schedules.last_fire_id),
       last_misfire_at = COALESCE(c.last_misfire_at, schedules.last_misfire_at),
       misfire_count = schedules.misfire_count + c.missed,
       set_at = $2,
       set_back_from = CASE WHEN c.next_run_at > schedules.set_back_from THEN NULL
                            ELSE schedules.set_back_from END,
       consecutive_resume_failures = 0
  FROM (SELECT value ->> '$.job_id' AS job_id, value ->> '$.next_run_at' AS next_run_at,
               value ->> '$.due_at' AS due_at, value ->> '$.last_run_at' AS last_run_at,
               value ->> '$.last_scheduled_at' AS last_scheduled_at,
               value ->> '$.last_fire_id' AS last_fire_id,
               value ->> '$.last_misfire_at' AS last_misfire_at, value ->> '$.missed' AS missed
          FROM json_each($1)) AS c
 WHERE schedules.job_id = c.job_id",
    postgres: "\
UPDATE schedules s
   SET next_run_at = c.next_run_at, due_at = c.due_at,
       last_run_at = COALESCE(c.last_run_at, s.last_run_at),
       last_scheduled_at = COALESCE(c.last_scheduled_at, s.last_scheduled_at),
       last_fire_id = COALESCE(c.last_fire_id, s.last_fire_id),
       last_misfire_at = COALESCE(c.last_misfire_at, s.last_misfire_at),
       misfire_count = s.misfire_count + c.missed,
       set_at = $2,
       set_back_from = CASE WHEN c.next_run_at > s.set_back_from THEN NULL
                            ELSE s.set_back_from END,
       consecutive_resume_failures = 0
  FROM json_to_recordset($1::json)
    AS c (job_id text, next_run_at bigint, due_at bigint, last_run_at bigint,
          last_scheduled_at bigint, last_fire_id text, last_misfire_at bigint, missed bigint)
 WHERE s.job_id = c.job_id",
};

/// Takes the turns of these jobs, as far as they are still to be taken.
///
/// # Errors
/// When the store fails; then nothing has moved.
pub async fn claim(store: &Store, turns: Vec<JobTurn>, now: Time) -> Result<Claimed, StoreError> {
    store.write(Claim { turns, now }).await
}

struct Claim {
    turns: Vec<JobTurn>,
    now: Time,
}

impl Write for Claim {
    type Output = Claimed;
    const NAME: &'static str = "claim_due_jobs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Claimed, WriteError> {
        let won = self.won(tx).await?;
        if won.is_empty() {
            return Ok(Claimed::default());
        }
        let facts = Facts::of(tx, &won, self.now).await?;
        let rulings: Vec<Ruled<'_>> = won.into_iter().map(|turn| facts.rule(turn)).collect();
        let stops = self.replace(tx, &rulings, &facts).await?;
        let fires: Vec<Fated<'_>> = rulings.iter().flat_map(Ruled::fated).collect();
        let made = fires::insert(tx, &fires, self.now).await?;
        self.move_on(tx, &rulings, &made).await?;
        self.tell_misfires(tx, &rulings).await?;
        Ok(tally(&rulings, &fires, &made, stops))
    }
}

impl Claim {
    /// The turns whose cursor still stands where it was read.
    async fn won(&self, tx: &mut Tx<'_>) -> Result<Vec<&JobTurn>, WriteError> {
        let row = |turn: &JobTurn| {
            json!({
                "job_id": turn.job.id,
                "seen": turn.seen.as_millis(),
                "revision": turn.revision,
            })
        };
        let rows: Value = self.turns.iter().map(row).collect();
        let rows = tx.rows(SELECT_WON, &binds![rows.to_string()]).await?;
        let ids = rows.iter().map(|row| Reader::new("schedules", row).get("id"));
        let ids = ids.collect::<Result<HashSet<String>, _>>()?;
        Ok(self.turns.iter().filter(|turn| ids.contains(turn.job.id.as_str())).collect())
    }

    /// Cancels what the fires are to replace.
    async fn replace(
        &self,
        tx: &mut Tx<'_>,
        rulings: &[Ruled<'_>],
        facts: &Facts,
    ) -> Result<Vec<Stop>, WriteError> {
        let mut replaced = Vec::new();
        for Ruled { turn, drafts, ruling } in rulings {
            let Some(newer) = drafts.last().filter(|_| ruling.replaces) else { continue };
            let reason = format!("overlap: replaced by {}", newer.run.id);
            let older = facts.under_way(turn).iter();
            replaced.extend(older.map(|run| (run.clone(), reason.clone())));
        }
        commands::cancel_all(tx, &replaced, self.now).await
    }

    async fn move_on(
        &self,
        tx: &mut Tx<'_>,
        rulings: &[Ruled<'_>],
        made: &HashSet<RunId>,
    ) -> Result<(), WriteError> {
        let rows: Value = rulings.iter().map(|ruled| self.cursor(ruled, made)).collect();
        tx.execute(MOVE_ON, &binds![rows.to_string(), self.now]).await?;
        Ok(())
    }

    fn cursor(&self, ruled: &Ruled<'_>, made: &HashSet<RunId>) -> Value {
        let Ruled { turn: JobTurn { job, turn, drafts, .. }, ruling, .. } = ruled;
        let next = turn.next.max(ruling.retry_at);
        let ran = ruled.fated().any(|(draft, fate)| fate.runs() && made.contains(&draft.run.id));
        let last = drafts.last().and_then(|draft| draft.run.fire.as_ref());
        let ms = |time: Time| time.as_millis();
        json!({
            "job_id": job.id,
            "next_run_at": next.map(ms),
            "due_at": next.map(|next| ms(next + job.offset())),
            "last_run_at": ran.then(|| ms(self.now)),
            "last_scheduled_at": last.map(|fire| ms(fire.scheduled_at)),
            "last_fire_id": last.map(|fire| &fire.id),
            "last_misfire_at": turn.misfired.then(|| ms(self.now)),
            "missed": turn.missed,
        })
    }

    async fn tell_misfires(
        &self,
        tx: &mut Tx<'_>,
        rulings: &[Ruled<'_>],
    ) -> Result<(), WriteError> {
        let turns = rulings.iter().map(|ruled| ruled.turn);
        let misfired = turns.filter(|turn| turn.turn.misfired);
        let misfires: Vec<Notice> = misfired.map(|turn| misfire(turn, self.now)).collect();
        let missed = rulings.iter().map(|ruled| ruled.turn.turn.missed).sum();
        tally::note(Fact::SlotsMissed(missed));
        notices::post_all(tx, Point::JobMisfired, &misfires).await
    }
}

/// What the jobs' fires meet.
struct Facts {
    known: HashSet<String>,
    under_way: HashMap<String, Vec<RunId>>,
    rooms: HashMap<String, Room>,
}

/// A turn with the drafts whose slots have no run yet, and what becomes of them.
struct Ruled<'t> {
    turn: &'t JobTurn,
    drafts: Vec<&'t Draft>,
    ruling: Ruling,
}

impl Facts {
    async fn of(tx: &mut Tx<'_>, won: &[&JobTurn], now: Time) -> Result<Self, WriteError> {
        let (mut minding, mut limited) = (Vec::new(), Vec::new());
        for turn in won.iter().filter(|turn| !turn.drafts.is_empty()) {
            let id = turn.job.id.as_str();
            if turn.job.overlap != Overlap::Allow {
                minding.push(id);
            }
            limited.extend(turn.job.fire_limit.map(|limit| (id, limit)));
        }
        Ok(Self {
            known: fires::known(tx, won.iter().flat_map(|turn| &turn.drafts)).await?,
            under_way: under_way(tx, &minding).await?,
            rooms: limits::rooms(tx, &limited, now).await?,
        })
    }

    fn under_way(&self, turn: &JobTurn) -> &[RunId] {
        self.under_way.get(turn.job.id.as_str()).map_or(&[], Vec::as_slice)
    }

    fn rule<'t>(&self, turn: &'t JobTurn) -> Ruled<'t> {
        let room = self.rooms.get(turn.job.id.as_str()).copied();
        let circumstances = Circumstances {
            overlap: turn.job.overlap,
            chained: turn.turn.catching_up,
            under_way: self.under_way(turn),
            room: turn.job.fire_limit.zip(room),
        };
        let drafts = fires::unknown(&turn.drafts, &self.known);
        let ruling = Ruling::on(&drafts, &circumstances);
        Ruled { turn, drafts, ruling }
    }
}

impl<'t> Ruled<'t> {
    fn fated(&self) -> impl Iterator<Item = Fated<'t>> {
        self.drafts.iter().copied().zip(self.ruling.fates.iter().cloned())
    }
}

/// The runs of these jobs that have not ended, oldest first.
pub(super) async fn under_way(
    tx: &mut Tx<'_>,
    jobs: &[&str],
) -> Result<HashMap<String, Vec<RunId>>, WriteError> {
    let mut under_way: HashMap<String, Vec<RunId>> = HashMap::new();
    if jobs.is_empty() {
        return Ok(under_way);
    }
    let jobs = Value::from(jobs.to_vec()).to_string();
    for row in tx.rows(SELECT_UNDER_WAY, &binds![jobs]).await? {
        let r = Reader::new("runs", &row);
        under_way.entry(r.get("owner_id")?).or_default().push(r.text("id")?);
    }
    Ok(under_way)
}

fn tally(
    rulings: &[Ruled<'_>],
    fires: &[Fated<'_>],
    made: &HashSet<RunId>,
    stops: Vec<Stop>,
) -> Claimed {
    let made = fires.iter().filter(|(draft, _)| made.contains(&draft.run.id));
    let (fired, skipped): (Vec<_>, Vec<_>) = made.partition(|(_, fate)| fate.runs());
    Claimed {
        won: rulings.len(),
        fired: fired.len(),
        skipped: skipped.len(),
        missed: rulings.iter().map(|ruled| ruled.turn.turn.missed).sum(),
        stops,
    }
}

fn misfire(turn: &JobTurn, now: Time) -> Notice {
    let job = &turn.job;
    let at = format!("{} misfired {}", job.id, turn.seen.as_millis());
    let data = json!({
        "id": job.id,
        "name": job.name,
        "agent": job.agent,
        "catch_up_policy": job.catch_up.as_str(),
        "scheduled_at": turn.seen,
        "missed": turn.turn.missed,
        "fired": turn.drafts.len(),
        "next_run_at": turn.turn.next,
    });
    Notice {
        id: NoticeId::derive(&Scope::Global, &at),
        scope: job.scope.clone(),
        point: Point::JobMisfired,
        data: data.to_string(),
        depth: 0,
        causes: Vec::new(),
        at: now,
    }
}

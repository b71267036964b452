//! Many runs of jobs at a time, with their first commands, in a few statements whatever their
//! number.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::commands::{self, First};
use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;
use super::super::{notices, tally, tasks};
use super::Draft;
use super::handover::Handover;
use super::ruling::Fate;
use crate::metrics::Fact;
use crate::model::definition::Point;
use crate::model::id::RunId;
use crate::model::run::{Delegation, NewRun, OwnerKind, RunStatus};
use crate::model::task::NewTask;
use crate::model::text::storable;
use crate::model::time::Time;

const SELECT_KNOWN: Sql = Sql {
    sqlite: "\
SELECT id, fire_id
  FROM runs
 WHERE fire_id IN (SELECT value FROM json_each($1))",
    postgres: "\
SELECT id, fire_id
  FROM runs
 WHERE fire_id IN (SELECT json_array_elements_text($1::json))",
};

// A slot that has its run keeps it.
const INSERT_RUNS: Sql = Sql {
    sqlite: "\
INSERT INTO runs
       (id, workspace_id, owner_kind, owner_id, owner_name, fire_id, scheduled_at, agent, prompt,
        untrusted_content, task, priority, retry, depth, causes, stages, terms, session_id, status,
        attempt, error, task_id, task_run_id, created_at, ended_at)
SELECT value ->> '$.id', value ->> '$.workspace_id', value ->> '$.owner_kind',
       value ->> '$.owner_id', value ->> '$.owner_name', value ->> '$.fire_id',
       value ->> '$.scheduled_at', value ->> '$.agent', value ->> '$.prompt',
       value ->> '$.untrusted_content', value ->> '$.task', value ->> '$.priority',
       value ->> '$.retry', value ->> '$.depth', value ->> '$.causes', value ->> '$.stages',
       value ->> '$.terms', value ->> '$.session_id', value ->> '$.status', 0,
       value ->> '$.error', value ->> '$.task_id', value ->> '$.task_run_id',
       value ->> '$.created_at', value ->> '$.ended_at'
  FROM json_each($1)
 WHERE true
    ON CONFLICT (fire_id) DO NOTHING
RETURNING id",
    postgres: "\
INSERT INTO runs
       (id, workspace_id, owner_kind, owner_id, owner_name, fire_id, scheduled_at, agent, prompt,
        untrusted_content, task, priority, retry, depth, causes, stages, terms, session_id, status,
        attempt, error, task_id, task_run_id, created_at, ended_at)
SELECT id, workspace_id, owner_kind, owner_id, owner_name, fire_id, scheduled_at, agent, prompt,
       untrusted_content, task, priority, retry, depth, causes, stages, terms, session_id, status,
       0, error, task_id, task_run_id, created_at, ended_at
  FROM json_to_recordset($1::json)
    AS r (id text, workspace_id text, owner_kind text, owner_id text, owner_name text,
          fire_id text, scheduled_at bigint, agent text, prompt text, untrusted_content text,
          task text, priority text, retry text, depth bigint, causes text, stages text,
          terms text, session_id text, status text, error text, task_id text, task_run_id text,
          created_at bigint, ended_at bigint)
    ON CONFLICT (fire_id) DO NOTHING
RETURNING id",
};

/// A fire and what becomes of it.
pub(super) type Fated<'d> = (&'d Draft, Fate);

/// The fires of these drafts that have their run.
pub(super) async fn known(
    tx: &mut Tx<'_>,
    drafts: impl Iterator<Item = &Draft>,
) -> Result<HashSet<String>, WriteError> {
    let ids: Vec<&str> = drafts.filter_map(fire_id).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = tx.rows(SELECT_KNOWN, &binds![Value::from(ids).to_string()]).await?;
    let ids = rows.iter().map(|row| Reader::new("runs", row).get("fire_id"));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The drafts whose fires are not among these.
pub(super) fn unknown<'d>(drafts: &'d [Draft], known: &HashSet<String>) -> Vec<&'d Draft> {
    drafts.iter().filter(|draft| fire_id(draft).is_none_or(|id| !known.contains(id))).collect()
}

fn fire_id(draft: &Draft) -> Option<&str> {
    draft.run.fire.as_ref().map(|fire| fire.id.as_str())
}

/// Makes the runs of these fires, as far as their slots have none. Gives those that it made.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    fires: &[Fated<'_>],
    now: Time,
) -> Result<HashSet<RunId>, WriteError> {
    if fires.is_empty() {
        return Ok(HashSet::new());
    }
    let made = insert_runs(tx, OwnerKind::Job, fires.iter().map(fire_row).collect()).await?;

    let is_made = |(draft, _): &&Fated<'_>| made.contains(&draft.run.id);
    let (begun, canceled): (Vec<&Fated<'_>>, Vec<_>) =
        fires.iter().filter(is_made).partition(|(_, fate)| fate.runs());
    let begun: Vec<Begun<'_>> = begun.into_iter().map(Begun::of).collect();
    for (draft, _) in fires.iter().filter(is_made) {
        if let Some(fire) = &draft.run.fire {
            tally::note(Fact::JobsFired { late: now.since(fire.scheduled_at) });
        }
    }
    hand_over(tx, &begun, now).await?;
    let firsts: Vec<First<'_>> = begun.iter().map(Begun::first).collect();
    commands::insert_all(tx, &firsts).await?;
    let scheduled: Vec<&str> = begun.iter().flat_map(Begun::run_ids).collect();
    notices::of_runs(tx, &scheduled, Point::RunScheduled, now).await?;
    let canceled: Vec<&str> = canceled.iter().map(|(draft, _)| draft.run.id.as_str()).collect();
    let count = canceled.len() as u64;
    tally::note(Fact::RunsEnded { status: RunStatus::Canceled, count });
    notices::of_runs(tx, &canceled, Point::RunCanceled, now).await?;
    Ok(made)
}

/// A fire that becomes a run, and what carries the run out in its place, if it is handed over.
struct Begun<'f> {
    fire: &'f Fated<'f>,
    handover: Option<Handover>,
}

impl<'f> Begun<'f> {
    fn of(fire: &'f Fated<'f>) -> Self {
        Self { fire, handover: Handover::of(fire.0) }
    }

    fn first(&self) -> First<'_> {
        let (draft, fate) = self.fire;
        let run = self.handover.as_ref().map_or(&draft.run, |handover| &handover.run);
        First { id: &draft.command_id, run, after: fate.after() }
    }

    fn run_ids(&self) -> impl Iterator<Item = &str> {
        let own = self.handover.as_ref().map(|handover| handover.run.id.as_str());
        std::iter::once(self.fire.0.run.id.as_str()).chain(own)
    }
}

/// Makes the tasks of what is handed over, with their runs.
async fn hand_over(tx: &mut Tx<'_>, begun: &[Begun<'_>], now: Time) -> Result<(), WriteError> {
    let handovers: Vec<&Handover> =
        begun.iter().filter_map(|begun| begun.handover.as_ref()).collect();
    if handovers.is_empty() {
        return Ok(());
    }
    let rows = handovers.iter().map(|handover| row(&handover.run, &Standing::default()));
    insert_runs(tx, OwnerKind::Task, rows.collect()).await?;
    let tasks: Vec<(&NewTask, &RunId)> =
        handovers.iter().map(|handover| (&handover.task, &handover.run.id)).collect();
    tasks::insert_all(tx, &tasks, now).await
}

async fn insert_runs(
    tx: &mut Tx<'_>,
    owner: OwnerKind,
    rows: Value,
) -> Result<HashSet<RunId>, WriteError> {
    let rows = tx.rows(INSERT_RUNS, &binds![rows.to_string()]).await?;
    let made = rows.iter().map(|row| Reader::new("runs", row).text("id"));
    tally::note(Fact::RunsMade { owner, count: rows.len() as u64 });
    Ok(made.collect::<Result<_, _>>()?)
}

/// What a run is from the start beside what it was made as.
#[derive(Default)]
struct Standing<'f> {
    delegation: Option<&'f Delegation>,
    /// Why it is canceled, if it is.
    canceled: Option<&'f str>,
}

fn fire_row((draft, fate): &Fated<'_>) -> Value {
    let standing = match fate {
        Fate::Runs { .. } => Standing { delegation: draft.delegation.as_ref(), canceled: None },
        Fate::Canceled { reason } => Standing { delegation: None, canceled: Some(reason) },
    };
    row(&draft.run, &standing)
}

fn row(run: &NewRun, standing: &Standing<'_>) -> Value {
    let json = |value: serde_json::Result<String>| value.map(storable).unwrap_or_default();
    let status = match standing {
        Standing { canceled: Some(_), .. } => RunStatus::Canceled,
        Standing { delegation: Some(_), .. } => RunStatus::Delegated,
        Standing { .. } => RunStatus::Scheduled,
    };
    json!({
        "id": run.id,
        "workspace_id": run.scope.workspace_id(),
        "owner_kind": run.owner.kind().as_str(),
        "owner_id": run.owner.id(),
        "owner_name": run.owner.name(),
        "fire_id": run.fire.as_ref().map(|fire| &fire.id),
        "scheduled_at": run.fire.as_ref().map(|fire| fire.scheduled_at.as_millis()),
        "agent": run.agent,
        "prompt": storable(run.prompt.clone()),
        "untrusted_content": run.content.as_str(),
        "task": run.task.as_ref().map(|task| json(serde_json::to_string(task))),
        "priority": run.priority.as_str(),
        "retry": json(serde_json::to_string(&run.retry)),
        "depth": run.depth,
        "causes": json(serde_json::to_string(&run.causes)),
        "stages": json(serde_json::to_string(&run.stages)),
        "terms": json(serde_json::to_string(&run.terms)),
        "session_id": run.terms.session.as_ref().map(|session| &session.id),
        "status": status.as_str(),
        "error": standing.canceled.map(|reason| storable(reason.to_owned())),
        "task_id": standing.delegation.map(|delegation| &delegation.task_id),
        "task_run_id": standing.delegation.map(|delegation| &delegation.task_run_id),
        "created_at": run.created_at.as_millis(),
        "ended_at": standing.canceled.map(|_| run.created_at.as_millis()),
    })
}

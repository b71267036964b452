//! Many runs of jobs at a time, with their first commands, in a few statements whatever their
//! number.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;
use super::super::{commands, notices};
use super::Draft;
use super::ruling::Fate;
use crate::model::definition::{Agent, Point};
use crate::model::id::RunId;
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
        untrusted_content, task, priority, retry, depth, causes, stages, status, attempt, error,
        created_at, ended_at)
SELECT value ->> '$.id', value ->> '$.workspace_id', value ->> '$.owner_kind',
       value ->> '$.owner_id', value ->> '$.owner_name', value ->> '$.fire_id',
       value ->> '$.scheduled_at', value ->> '$.agent', value ->> '$.prompt',
       value ->> '$.untrusted_content', value ->> '$.task', value ->> '$.priority',
       value ->> '$.retry', value ->> '$.depth', value ->> '$.causes', value ->> '$.stages',
       value ->> '$.status', 0, value ->> '$.error', value ->> '$.created_at',
       value ->> '$.ended_at'
  FROM json_each($1)
 WHERE true
    ON CONFLICT (fire_id) DO NOTHING
RETURNING id",
    postgres: "\
INSERT INTO runs
       (id, workspace_id, owner_kind, owner_id, owner_name, fire_id, scheduled_at, agent, prompt,
        untrusted_content, task, priority, retry, depth, causes, stages, status, attempt, error,
        created_at, ended_at)
SELECT id, workspace_id, owner_kind, owner_id, owner_name, fire_id, scheduled_at, agent, prompt,
       untrusted_content, task, priority, retry, depth, causes, stages, status, 0, error,
       created_at, ended_at
  FROM json_to_recordset($1::json)
    AS r (id text, workspace_id text, owner_kind text, owner_id text, owner_name text,
          fire_id text, scheduled_at bigint, agent text, prompt text, untrusted_content text,
          task text, priority text, retry text, depth bigint, causes text, stages text,
          status text, error text, created_at bigint, ended_at bigint)
    ON CONFLICT (fire_id) DO NOTHING
RETURNING id",
};

const INSERT_COMMANDS: Sql = Sql {
    sqlite: "\
INSERT INTO commands
       (id, run_id, queue, state, attempt, dispatch_attempts, log_lines, priority, after_run_id,
        created_at)
SELECT value ->> '$.id', value ->> '$.run_id', value ->> '$.queue', 'pending', 1, 0, 0,
       value ->> '$.priority', value ->> '$.after_run_id', value ->> '$.created_at'
  FROM json_each($1)",
    postgres: "\
INSERT INTO commands
       (id, run_id, queue, state, attempt, dispatch_attempts, log_lines, priority, after_run_id,
        created_at)
SELECT id, run_id, queue, 'pending', 1, 0, 0, priority, after_run_id, created_at
  FROM json_to_recordset($1::json)
    AS c (id text, run_id text, queue text, priority bigint, after_run_id text, created_at bigint)",
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
    let rows: Value = fires.iter().map(run_row).collect();
    let rows = tx.rows(INSERT_RUNS, &binds![rows.to_string()]).await?;
    let made = rows.iter().map(|row| Reader::new("runs", row).text("id"));
    let made = made.collect::<Result<HashSet<RunId>, _>>()?;

    let is_made = |(draft, _): &&Fated<'_>| made.contains(&draft.run.id);
    let (begun, canceled): (Vec<&Fated<'_>>, Vec<_>) =
        fires.iter().filter(is_made).partition(|(_, fate)| fate.runs());
    if !begun.is_empty() {
        let rows: Value = begun.iter().map(|fire| command_row(fire)).collect();
        tx.execute(INSERT_COMMANDS, &binds![rows.to_string()]).await?;
    }
    notices::of_runs(tx, &ids(&begun), Point::RunScheduled, now).await?;
    notices::of_runs(tx, &ids(&canceled), Point::RunCanceled, now).await?;
    Ok(made)
}

fn ids<'f>(fires: &[&'f Fated<'_>]) -> Vec<&'f str> {
    fires.iter().map(|(draft, _)| draft.run.id.as_str()).collect()
}

fn run_row((draft, fate): &Fated<'_>) -> Value {
    let run = &draft.run;
    let json = |value: serde_json::Result<String>| value.map(storable).unwrap_or_default();
    let (status, error, ended_at) = match fate {
        Fate::Runs { .. } => ("scheduled", None, None),
        Fate::Canceled { reason } => {
            ("canceled", Some(storable(reason.clone())), Some(run.created_at.as_millis()))
        }
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
        "status": status,
        "error": error,
        "created_at": run.created_at.as_millis(),
        "ended_at": ended_at,
    })
}

fn command_row((draft, fate): &Fated<'_>) -> Value {
    let run = &draft.run;
    let after = match fate {
        Fate::Runs { after } => after.as_ref(),
        Fate::Canceled { .. } => None,
    };
    let agent = Agent { scope: run.scope.clone(), name: run.agent.clone() };
    json!({
        "id": draft.command_id,
        "run_id": run.id,
        "queue": commands::queue_of(&agent),
        "priority": run.priority.base(),
        "after_run_id": after,
        "created_at": run.created_at.as_millis(),
    })
}

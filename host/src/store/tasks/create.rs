//! Tasks as they are made.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::audit::AuditEntry;
use super::super::commands::{self, First};
use super::super::sql::{Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, notices, runs};
use super::{read, select_tasks};
use crate::model::audit::Author;
use crate::model::definition::Point;
use crate::model::id::{CommandId, RunId};
use crate::model::task::{Idempotency, NewTask, Task};
use crate::model::text::storable;
use crate::model::time::Time;

const SELECT_KNOWN: &str = select_tasks!(
    " WHERE workspace_id = $1
   AND agent = $2
   AND idempotency_key = $3"
);

const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO tasks
       (id, workspace_id, agent, message, label, session_id, priority, terms, idempotency_key,
        body_hash, status, run_id, created_at)
SELECT value ->> '$.id', value ->> '$.workspace_id', value ->> '$.agent', value ->> '$.message',
       value ->> '$.label', value ->> '$.session_id', value ->> '$.priority', value ->> '$.terms',
       value ->> '$.idempotency_key', unhex(value ->> '$.body_hash'), 'queued',
       value ->> '$.run_id', value ->> '$.created_at'
  FROM json_each($1)
 ORDER BY key",
    postgres: "\
INSERT INTO tasks
       (id, workspace_id, agent, message, label, session_id, priority, terms, idempotency_key,
        body_hash, status, run_id, created_at)
SELECT t.value ->> 'id', t.value ->> 'workspace_id', t.value ->> 'agent', t.value ->> 'message',
       t.value ->> 'label', t.value ->> 'session_id', t.value ->> 'priority', t.value ->> 'terms',
       t.value ->> 'idempotency_key', decode(t.value ->> 'body_hash', 'hex'), 'queued',
       t.value ->> 'run_id', (t.value ->> 'created_at')::bigint
  FROM json_array_elements($1::json) WITH ORDINALITY AS t (value, nth)
 ORDER BY t.nth",
};

/// What became of a wish for a task.
#[derive(Clone, Debug)]
pub enum Created {
    /// It is made.
    New,
    /// It was asked for before, under the same key.
    Known(Box<Task>),
    /// Something else was asked for under the same key; nothing is made.
    Mismatch,
}

/// Makes a task, its run and the run's first command, unless its key is known.
///
/// # Errors
/// When the store fails.
pub async fn create(
    store: &Store,
    task: NewTask,
    run_id: RunId,
    command_id: CommandId,
) -> Result<Created, StoreError> {
    store.write(Create { task, run_id, command_id, author: store.author() }).await
}

/// What was asked for under the key of this task, if anything was.
///
/// # Errors
/// When the store fails.
pub async fn known(store: &Store, task: &NewTask) -> Result<Option<Created>, StoreError> {
    let NewTask { scope, agent, idempotency, .. } = task;
    let Some(wanted) = idempotency else { return Ok(None) };
    let binds = binds![scope.workspace_id(), agent.as_str(), wanted.key.as_str()];
    let rows = store.read("find_idempotency_key", SELECT_KNOWN, &binds).await?;
    rows.first().map(|row| found(row, wanted)).transpose()
}

/// The task that a key is taken by, if it is the one that is wanted.
fn found(row: &Row, wanted: &Idempotency) -> Result<Created, StoreError> {
    let task = read(row)?;
    let same = task.made.idempotency.as_ref().map(|known| known.body_hash);
    Ok(match same == Some(wanted.body_hash) {
        true => Created::Known(Box::new(task)),
        false => Created::Mismatch,
    })
}

/// Makes these tasks, each with the run that carries it out, in one statement. The runs and their
/// commands are the caller's to make.
pub(in crate::store) async fn insert_all(
    tx: &mut Tx<'_>,
    tasks: &[(&NewTask, &RunId)],
    now: Time,
) -> Result<(), WriteError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let rows: Value = tasks.iter().map(|(task, run_id)| row(task, run_id)).collect();
    tx.execute(INSERT, &binds![rows.to_string()]).await?;
    let ids: Vec<&str> = tasks.iter().map(|(task, _)| task.id.as_str()).collect();
    notices::of_tasks(tx, &ids, Point::TaskCreated, now).await
}

fn row(task: &NewTask, run_id: &RunId) -> Value {
    let terms = serde_json::to_string(&task.terms).map(storable).unwrap_or_default();
    let idempotency = task.idempotency.as_ref();
    json!({
        "id": task.id,
        "workspace_id": task.scope.workspace_id(),
        "agent": task.agent,
        "message": storable(task.message.clone()),
        "label": task.label.clone().map(storable),
        "session_id": task.terms.session.as_ref().map_or("", |session| session.id.as_str()),
        "priority": task.priority.as_str(),
        "terms": terms,
        "idempotency_key": idempotency.map(|once| storable(once.key.clone())),
        "body_hash": idempotency.map(|once| hex::encode(once.body_hash)),
        "run_id": run_id,
        "created_at": task.created_at.as_millis(),
    })
}

struct Create {
    task: NewTask,
    run_id: RunId,
    command_id: CommandId,
    author: Arc<Author>,
}

impl Write for Create {
    type Output = Created;
    const NAME: &'static str = "create_task";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Created, WriteError> {
        if let Some(known) = self.known(tx).await? {
            return Ok(known);
        }
        let run = self.task.first_run(self.run_id.clone());
        runs::insert(tx, &run).await?;
        let first = First { id: &self.command_id, run: &run, after: None };
        commands::insert_all(tx, &[first]).await?;
        insert_all(tx, &[(&self.task, &run.id)], run.created_at).await?;
        let NewTask { id, scope, agent, created_at, .. } = &self.task;
        let entry = AuditEntry::new("task.create", "task", scope.workspace_id(), *created_at);
        let detail = json!({ "agent": agent, "run_id": run.id });
        entry.on(id.as_str()).with(detail).record(tx, &self.author).await?;
        Ok(Created::New)
    }
}

impl Create {
    // Who makes the same at the same time on PostgreSQL violates the unique index, and finds this
    // one at the next try.
    async fn known(&self, tx: &mut Tx<'_>) -> Result<Option<Created>, WriteError> {
        let NewTask { scope, agent, idempotency, .. } = &self.task;
        let Some(wanted) = idempotency else { return Ok(None) };
        let binds = binds![scope.workspace_id(), agent.as_str(), wanted.key.as_str()];
        let row = tx.row(SELECT_KNOWN, &binds).await?;
        Ok(row.map(|row| found(&row, wanted)).transpose()?)
    }
}

//! What a run has said since somebody last read, and where it and its task stand: all of one instant,
//! so that a run that is seen to have ended has no line that is not seen.

use super::sql::{Reader, Row, Tx, binds};
use super::tasks::shown_status;
use super::view::View;
use super::write::WriteError;
use super::{Store, StoreError, inputs, logs, run_events, runs};
use crate::model::activity::Cursor;
use crate::model::bounds;
use crate::model::id::{RunId, TaskId};
use crate::model::input::PendingInput;
use crate::model::name::Name;
use crate::model::run::Run;
use crate::model::scope::Scope;
use crate::model::task::TaskStatus;
use crate::store::logs::StoredLine;
use crate::store::run_events::StoredEvent;

/// What is new of a run.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The run as it stands.
    pub run: Run,
    /// The task that it carries out, or is delegated to.
    pub task: Option<TaskStand>,
    /// What its program waits for.
    pub pending_inputs: Vec<PendingInput>,
    /// The next lines.
    pub logs: Vec<StoredLine>,
    /// The next events.
    pub events: Vec<StoredEvent>,
    /// How far this goes; no further than there is something.
    pub cursor: Cursor,
    /// Whether there is more already.
    pub more: bool,
}

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// How many lines at most.
    pub logs: u32,
    /// How many events at most.
    pub events: u32,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStand {
    /// The task.
    pub id: TaskId,
    /// Who does the work.
    pub agent: Name,
    /// What people call it.
    pub label: Option<String>,
    /// How it fares.
    pub status: TaskStatus,
    /// Its latest run.
    pub run_id: RunId,
    /// Why it failed or was canceled.
    pub error: Option<String>,
}

const SELECT_TASK: &str = concat!(
    "\
SELECT id, agent, label,
       ",
    shown_status!(),
    " AS status,
       run_id, error
  FROM tasks
 WHERE id = $1
   AND workspace_id = $2"
);

/// What a run has said behind the cursor.
///
/// # Errors
/// When the store fails.
pub async fn read(
    store: &Store,
    scope: &Scope,
    run_id: &RunId,
    after: Cursor,
    portion: Portion,
) -> Result<Option<Activity>, StoreError> {
    store.view(Read { scope: scope.clone(), run_id: run_id.clone(), after, portion }).await
}

struct Read {
    scope: Scope,
    run_id: RunId,
    after: Cursor,
    portion: Portion,
}

impl View for Read {
    type Output = Option<Activity>;
    const NAME: &'static str = "read_run_activity";

    async fn look(&self, tx: &mut Tx<'_>) -> Result<Option<Activity>, WriteError> {
        let Self { scope, run_id, after, portion } = self;
        let Some(run) = runs::find_in(tx, scope, run_id).await? else { return Ok(None) };
        let (logs, logs_through) = logs::read_in(tx, run_id, after.logs, portion.logs).await?;
        let (events, events_through) =
            run_events::read_in(tx, run_id, after.events, portion.events).await?;
        Ok(Some(Activity {
            task: task_of(tx, &run).await?,
            pending_inputs: inputs::pending_in(tx, run_id).await?,
            cursor: Cursor { logs: logs_through, events: events_through, ended: false },
            more: is_full(logs.len(), portion.logs) || is_full(events.len(), portion.events),
            run,
            logs,
            events,
        }))
    }
}

fn is_full(count: usize, max: u32) -> bool {
    max > 0 && count >= max as usize
}

async fn task_of(tx: &mut Tx<'_>, run: &Run) -> Result<Option<TaskStand>, WriteError> {
    let delegated = run.delegation.as_ref().map(|delegation| &delegation.task_id);
    let Some(id) = run.made.owner.task_id().or(delegated) else { return Ok(None) };
    let binds = binds![id.as_str(), run.made.scope.workspace_id()];
    let row = tx.row(SELECT_TASK, &binds).await?;
    Ok(row.as_ref().map(read_task).transpose()?)
}

fn read_task(row: &Row) -> Result<TaskStand, StoreError> {
    let r = Reader::new("tasks", row);
    Ok(TaskStand {
        id: r.text("id")?,
        agent: r.text("agent")?,
        label: r.get("label")?,
        status: r.text("status")?,
        run_id: r.text("run_id")?,
        error: r.get::<Option<String>>("error")?.map(bounds::error),
    })
}

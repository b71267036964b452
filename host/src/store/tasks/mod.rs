//! Tasks: each follows its present run.
//!
//! ```text
//! create   a task, its first run and that run's first command, once for each idempotency key
//! follow   a run of a task changes: so does the task, and the job's run that waits for it; another
//!          is asked of it: so the task goes on with that one, though it had ended
//! cancel   all of a task's runs that have not ended
//! ```
//! Commands are locked before runs, runs before tasks.

mod cancel;
mod create;
mod follow;

use super::sql::{Reader, Row, Sql, binds};
use super::{Page, PageRequest, Store, StoreError, events};
use crate::model::bounds;
use crate::model::id::{SessionId, TaskId};
use crate::model::name::Name;
use crate::model::scope::{Reach, Scope};
use crate::model::task::{Idempotency, NewTask, Task, TaskStatus};
pub(super) use cancel::cancel_delegated;
pub use cancel::{Archiving, TaskCanceling, archive, cancel, unarchive};
pub(super) use create::insert_all;
pub use create::{Created, create, known};
pub use follow::catch_up;
pub(super) use follow::{follow, take_up};

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// With this status only.
    pub status: Option<TaskStatus>,
    /// Of this agent only.
    pub agent: Option<Name>,
    /// Of this session only.
    pub session: Option<SessionId>,
    /// With this label only.
    pub label: Option<String>,
    /// Only those that were put away, or only those that were not.
    pub archived: Option<bool>,
}

/// Where a task stands, as people see it: as long as somebody has to approve its present run, it is
/// `blocked`.
macro_rules! shown_status {
    () => {
        "CASE WHEN tasks.status = 'queued'
             AND EXISTS (SELECT 1
                           FROM commands c
                          WHERE c.state = 'blocked'
                            AND c.run_id = (SELECT r.id
                                              FROM runs r
                                             WHERE r.owner_id = tasks.id
                                               AND r.status IN ('scheduled', 'running')
                                             ORDER BY r.seq
                                             LIMIT 1))
            THEN 'blocked'
            ELSE tasks.status END"
    };
}
pub(super) use shown_status;

/// A query of tasks.
macro_rules! select_tasks {
    ($rest:expr) => {
        concat!(
            "\
SELECT seq, id, workspace_id, agent, message, label, priority, terms, idempotency_key, body_hash,
       ",
            $crate::store::tasks::shown_status!(),
            " AS status,
       run_id, error, result, created_at, started_at, ended_at, archived_at
  FROM tasks
",
            $rest
        )
    };
}
use select_tasks;

const SELECT_ONE: &str = select_tasks!(
    " WHERE id = $1
   AND workspace_id = $2"
);

/// A page of them. An unused filter is bound as NULL; PostgreSQL has to be told the type of such a
/// bind.
macro_rules! select_page {
    ($scope:literal) => {
        Sql {
            sqlite: select_tasks!(concat!(
                " WHERE ",
                $scope,
                "
   AND seq < $2
   AND ($3 IS NULL OR ",
                shown_status!(),
                " = $3)
   AND ($4 IS NULL OR agent = $4)
   AND ($5 IS NULL OR session_id = $5)
   AND ($6 IS NULL OR label = $6)
   AND ($7 IS NULL OR (archived_at IS NOT NULL) = $7)
 ORDER BY seq DESC
 LIMIT $8"
            )),
            postgres: select_tasks!(concat!(
                " WHERE ",
                $scope,
                "
   AND seq < $2
   AND ($3::text IS NULL OR ",
                shown_status!(),
                " = $3)
   AND ($4::text IS NULL OR agent = $4)
   AND ($5::text IS NULL OR session_id = $5)
   AND ($6::text IS NULL OR label = $6)
   AND ($7::bigint IS NULL OR (archived_at IS NOT NULL) = ($7 = 1))
 ORDER BY seq DESC
 LIMIT $8"
            )),
        }
    };
}

const SELECT_PAGE: Sql = select_page!("workspace_id = $1");
const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($1 AS TEXT) IS NULL");

/// One task.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, scope: &Scope, id: &TaskId) -> Result<Option<Task>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read_task", SELECT_ONE, &binds).await?;
    rows.first().map(read).transpose()
}

/// Tasks, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &TaskFilter,
    page: PageRequest,
) -> Result<Page<Task>, StoreError> {
    let reach = reach.into();
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.status.map(TaskStatus::as_str),
        filter.agent.as_ref().map(Name::as_str),
        filter.session.as_ref().map(SessionId::as_str),
        filter.label.as_deref(),
        filter.archived.map(i64::from),
        page.fetch(),
    ];
    let sql = reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL);
    let rows = store.read("list_tasks", sql, &binds).await?;
    Page::read("tasks", &rows, page, read)
}

fn read(row: &Row) -> Result<Task, StoreError> {
    let r = Reader::new("tasks", row);
    let key: Option<String> = r.get("idempotency_key")?;
    Ok(Task {
        made: NewTask {
            id: r.text("id")?,
            scope: events::read_scope(&r)?,
            agent: r.text("agent")?,
            message: r.get("message")?,
            label: r.get("label")?,
            priority: r.text("priority")?,
            terms: r.json("terms")?,
            idempotency: match key {
                Some(key) => Some(Idempotency { key, body_hash: read_hash(&r)? }),
                None => None,
            },
            created_at: r.time("created_at")?,
        },
        status: r.text("status")?,
        run_id: r.text("run_id")?,
        error: r.get::<Option<String>>("error")?.map(bounds::error),
        result: r.json_if_any("result")?,
        started_at: r.time_if_any("started_at")?,
        ended_at: r.time_if_any("ended_at")?,
        archived_at: r.time_if_any("archived_at")?,
    })
}

/// The hash of what was asked under an idempotency key.
pub(super) fn read_hash(r: &Reader<'_>) -> Result<[u8; 32], StoreError> {
    r.parse("body_hash", |hash: Vec<u8>| hash.try_into().ok())
}

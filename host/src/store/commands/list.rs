//! Commands for people: one, a page of them, and how many there are.

use super::super::sql::{Reader, Row, Sql, binds};
use super::super::{Page, PageRequest, Store, StoreError, events, queues};
use crate::model::bounds;
use crate::model::command::{Command, CommandState, CommandType};
use crate::model::definition::Priority;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::name::Name;
use crate::model::scope::{Reach, Scope};

/// Which commands to list.
#[derive(Clone, Debug, Default)]
pub struct CommandFilter {
    /// In this state only.
    pub state: Option<CommandState>,
    /// Of this type only.
    pub kind: Option<CommandType>,
    /// For this agent only.
    pub agent: Option<Name>,
    /// Of this run only.
    pub run_id: Option<RunId>,
    /// With this priority only.
    pub priority: Option<Priority>,
    /// That this worker has, or had last, only.
    pub worker_id: Option<WorkerId>,
}

/// How many commands of a workspace are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All of them.
    pub total: u64,
    /// Those that somebody has to approve first.
    pub blocked: u64,
    /// Those in the queue.
    pub pending: u64,
    /// Those that a worker has: sent, acknowledged or begun.
    pub running: u64,
    /// See [`CommandState::Completed`].
    pub completed: u64,
    /// See [`CommandState::Failed`].
    pub failed: u64,
    /// See [`CommandState::Canceled`].
    pub canceled: u64,
    /// See [`CommandState::Expired`].
    pub expired: u64,
}

/// A query of commands with their queues.
macro_rules! select_commands {
    ($rest:expr) => {
        concat!(
            "\
SELECT c.seq, c.id, c.type, c.workspace_id, c.run_id, c.session_id, c.state, c.priority, c.attempt,
       c.dispatch_attempts, c.on_lost, c.worker_id, c.token_prefix, c.lease_expires_at, c.due_at,
       c.expires_at, c.cancel_requested_at, c.error, c.created_at, c.sent_at, c.acknowledged_at,
       c.started_at, c.ended_at, q.id AS queue_id, q.class_id, q.agent, q.lane, q.policy, q.routing
  FROM commands c
  LEFT JOIN queues q ON q.id = c.queue
",
            $rest
        )
    };
}

const SELECT_ONE: &str = select_commands!(
    " WHERE c.id = $1
   AND c.workspace_id = $2"
);

/// A page of them; `$narrow` is what an index is to be used for. An unused filter is bound as NULL;
/// PostgreSQL has to be told the type of such a bind.
macro_rules! select_page {
    ($narrow:literal, $text:literal, $number:literal) => {
        select_commands!(concat!(
            " WHERE ",
            $narrow,
            "
   AND c.seq < $2
   AND ($3",
            $text,
            " IS NULL OR c.state = $3)
   AND ($4",
            $text,
            " IS NULL OR c.type = $4)
   AND ($5",
            $text,
            " IS NULL OR q.agent = $5)
   AND ($6",
            $text,
            " IS NULL OR c.run_id = $6)
   AND ($7",
            $number,
            " IS NULL OR c.priority = $7)
   AND ($8",
            $text,
            " IS NULL OR c.worker_id = $8)
 ORDER BY c.seq DESC
 LIMIT $9"
        ))
    };
    ($narrow:literal) => {
        Sql {
            sqlite: select_page!($narrow, "", ""),
            postgres: select_page!($narrow, "::text", "::bigint"),
        }
    };
}

const SELECT_PAGE: Sql = select_page!("c.workspace_id = $1");

const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($1 AS TEXT) IS NULL");

const SELECT_PAGE_IN_STATE: Sql = select_page!(
    "c.workspace_id = $1
   AND c.state = $3"
);

const SELECT_PAGE_OF_RUN: Sql = select_page!(
    "c.seq IN (SELECT own.seq FROM commands own WHERE own.run_id = $6)
   AND (CAST($1 AS TEXT) IS NULL OR c.workspace_id = $1)"
);

const SELECT_PAGE_OF_WORKER: Sql = select_page!(
    "c.seq IN (SELECT own.seq FROM commands own WHERE own.worker_id = $8)
   AND (CAST($1 AS TEXT) IS NULL OR c.workspace_id = $1)"
);

// Most have the normal one: the index is of the others.
const SELECT_PAGE_OF_PRIORITY: Sql = select_page!(
    "c.priority = $7
   AND c.priority <> 500
   AND (CAST($1 AS TEXT) IS NULL OR c.workspace_id = $1)"
);

// An index has it all.
const COUNT: &str = "\
SELECT state, count(*) AS commands
  FROM commands
 WHERE workspace_id = $1
 GROUP BY state";

const COUNT_ALL: &str = "\
SELECT state, count(*) AS commands
  FROM commands
 GROUP BY state";

/// One command.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    scope: &Scope,
    id: &CommandId,
) -> Result<Option<Command>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read_command", SELECT_ONE, &binds).await?;
    rows.first().map(read).transpose()
}

/// Commands, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &CommandFilter,
    page: PageRequest,
) -> Result<Page<Command>, StoreError> {
    let reach = reach.into();
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.state.map(CommandState::as_str),
        filter.kind.map(CommandType::as_str),
        filter.agent.as_ref().map(Name::as_str),
        filter.run_id.as_ref().map(RunId::as_str),
        filter.priority.map(|priority| i64::from(priority.base())),
        filter.worker_id.as_ref().map(WorkerId::as_str),
        page.fetch(),
    ];
    let rows = store.read("list_commands", narrowest(&reach, filter), &binds).await?;
    Page::read("commands", &rows, page, read)
}

fn narrowest(reach: &Reach, filter: &CommandFilter) -> Sql {
    match filter {
        CommandFilter { run_id: Some(_), .. } => SELECT_PAGE_OF_RUN,
        CommandFilter { state: Some(_), .. } if *reach != Reach::All => SELECT_PAGE_IN_STATE,
        CommandFilter { worker_id: Some(_), .. } => SELECT_PAGE_OF_WORKER,
        CommandFilter { priority: Some(priority), .. } if *priority != Priority::Normal => {
            SELECT_PAGE_OF_PRIORITY
        }
        _ => reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL),
    }
}

/// How many there are.
///
/// # Errors
/// When the store fails.
pub async fn stats(store: &Store, reach: impl Into<Reach>) -> Result<Stats, StoreError> {
    let rows = match reach.into() {
        Reach::One(scope) => {
            store.read("count_commands", COUNT, &binds![scope.workspace_id()]).await?
        }
        Reach::All => store.read("count_commands", COUNT_ALL, &[]).await?,
    };
    let mut stats = Stats::default();
    for row in &rows {
        let r = Reader::new("commands", row);
        let count = r.parse("commands", |count: i64| u64::try_from(count).ok())?;
        *stats.of(r.text("state")?) += count;
        stats.total += count;
    }
    Ok(stats)
}

impl Stats {
    fn of(&mut self, state: CommandState) -> &mut u64 {
        match state {
            CommandState::Blocked => &mut self.blocked,
            CommandState::Pending => &mut self.pending,
            CommandState::Sent | CommandState::Acknowledged | CommandState::Running => {
                &mut self.running
            }
            CommandState::Completed => &mut self.completed,
            CommandState::Failed => &mut self.failed,
            CommandState::Canceled => &mut self.canceled,
            CommandState::Expired => &mut self.expired,
        }
    }
}

fn read(row: &Row) -> Result<Command, StoreError> {
    let r = Reader::new("commands", row);
    let queue: Option<String> = r.get("queue_id")?;
    Ok(Command {
        id: r.text("id")?,
        kind: r.text("type")?,
        scope: events::read_scope(&r)?,
        run_id: r.text_if_any("run_id")?,
        queue: queue.map(|id| queues::read_as(&r, id)).transpose()?,
        session_id: r.text_if_any("session_id")?,
        state: r.text("state")?,
        priority: r.parse("priority", |base: i64| Priority::of_base(u32::try_from(base).ok()?))?,
        attempt: r.count("attempt")?,
        dispatch_attempts: r.count("dispatch_attempts")?,
        on_lost: r.text("on_lost")?,
        worker_id: r.text_if_any("worker_id")?,
        token_prefix: r.get("token_prefix")?,
        lease_expires_at: r.time_if_any("lease_expires_at")?,
        due_at: r.time_if_any("due_at")?,
        expires_at: r.time_if_any("expires_at")?,
        cancel_requested_at: r.time_if_any("cancel_requested_at")?,
        error: r.get::<Option<String>>("error")?.map(bounds::error),
        created_at: r.time("created_at")?,
        sent_at: r.time_if_any("sent_at")?,
        acknowledged_at: r.time_if_any("acknowledged_at")?,
        started_at: r.time_if_any("started_at")?,
        ended_at: r.time_if_any("ended_at")?,
    })
}

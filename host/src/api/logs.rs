//! What runs say: their log, their events, and both in one answer with where the run stands.
//!
//! Each answer is of one instant: what is missing from a run that is seen to have ended will never
//! come. A cursor behind the end comes back as the end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::extract::Segment;
use super::json::InScope;
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use super::runs::SummaryJson;
use crate::model::activity::Cursor;
use crate::model::id::{RunId, TaskId};
use crate::model::input::PendingInput;
use crate::model::name::Name;
use crate::model::run::{Interaction, LogLine, Run, RunEvent, RunStatus};
use crate::model::task::TaskStatus;
use crate::model::time::Time;
use crate::store::activity::{self, Activity, Portion, TaskStand};
use crate::store::logs::StoredLine;
use crate::store::run_events::StoredEvent;

/// How many lines or events an answer has at most, and unless the client says otherwise.
const LIMIT_MAX: u32 = 1000;

#[derive(Debug)]
pub(super) struct PageQuery {
    after: i64,
    limit: u32,
    scope: InScope,
}

impl Query for PageQuery {
    fn read(given: &mut Given) -> Self {
        let after = given.ordinal("after").unwrap_or(0);
        Self { after, limit: limit(given), scope: InScope::read(given) }
    }
}

#[derive(Debug)]
pub(super) struct ActivityQuery {
    logs_after: i64,
    events_after: i64,
    limit: u32,
    scope: InScope,
}

impl Query for ActivityQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            logs_after: given.ordinal("logs_after").unwrap_or(0),
            events_after: given.ordinal("events_after").unwrap_or(0),
            limit: limit(given),
            scope: InScope::read(given),
        }
    }
}

fn limit(given: &mut Given) -> u32 {
    given.count("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT_MAX)
}

#[derive(Debug, Serialize)]
pub(super) struct LineJson {
    seq: i64,
    #[serde(flatten)]
    line: LogLine,
}

#[derive(Debug, Serialize)]
pub(super) struct EventJson {
    seq: i64,
    #[serde(flatten)]
    event: RunEvent,
}

#[derive(Debug, Serialize)]
pub(super) struct LogsJson {
    logs: Vec<LineJson>,
    next_after: i64,
    status: RunStatus,
    log_removed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct EventsJson {
    events: Vec<EventJson>,
    next_after: i64,
    status: RunStatus,
    log_removed: bool,
}

/// Where a run and its task stand.
#[derive(Debug, Serialize)]
pub(super) struct StandJson {
    run: RunStandJson,
    task: Option<TaskStandJson>,
    pending_inputs: Vec<PendingJson>,
}

#[derive(Debug, Serialize)]
struct RunStandJson {
    #[serde(flatten)]
    summary: SummaryJson,
    interaction: Interaction,
    result: Option<Value>,
}

#[derive(Debug, Serialize)]
struct TaskStandJson {
    id: TaskId,
    agent: Name,
    label: Option<String>,
    status: TaskStatus,
    run_id: RunId,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct PendingJson {
    seq: i64,
    prompt: Option<String>,
    asked_at: Time,
}

#[derive(Debug, Serialize)]
struct NextJson {
    logs_after: i64,
    events_after: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct ActivityJson {
    #[serde(flatten)]
    stand: StandJson,
    logs: Vec<LineJson>,
    events: Vec<EventJson>,
    /// What to ask for the next batch with.
    next: NextJson,
    /// The same, to go on with by the stream.
    cursor: String,
    /// Whether there is another batch already.
    more: bool,
}

pub(super) async fn logs(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Json<LogsJson>, Problem> {
    let after = Cursor { logs: query.after, ..Cursor::default() };
    let portion = Portion { logs: query.limit, events: 0 };
    let Activity { run, logs, cursor, .. } = read(&api, &id, &query.scope, after, portion).await?;
    let logs = logs.into_iter().map(LineJson::from).collect();
    let (status, log_removed) = (run.status, run.log_removed);
    Ok(Json(LogsJson { logs, next_after: cursor.logs, status, log_removed }))
}

pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Json<EventsJson>, Problem> {
    let after = Cursor { events: query.after, ..Cursor::default() };
    let portion = Portion { logs: 0, events: query.limit };
    let Activity { run, events, cursor, .. } =
        read(&api, &id, &query.scope, after, portion).await?;
    let events = events.into_iter().map(EventJson::from).collect();
    let (status, log_removed) = (run.status, run.log_removed);
    Ok(Json(EventsJson { events, next_after: cursor.events, status, log_removed }))
}

pub(super) async fn activity(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<ActivityQuery>,
) -> Result<Json<ActivityJson>, Problem> {
    let after = Cursor { logs: query.logs_after, events: query.events_after, ended: false };
    let portion = Portion { logs: query.limit, events: query.limit };
    Ok(Json(read(&api, &id, &query.scope, after, portion).await?.into()))
}

/// What the run has said behind the cursor.
async fn read(
    api: &Api,
    id: &str,
    scope: &InScope,
    after: Cursor,
    portion: Portion,
) -> Result<Activity, Problem> {
    let missing = || Problem::not_found("run");
    let scope = scope.scope();
    let id: RunId = id.parse().map_err(|_| missing())?;
    let not_kept = || Problem::not_kept("run", id.minted_at(), api.clock.now());
    activity::read(&api.store, &scope, &id, after, portion).await?.ok_or_else(not_kept)
}

impl From<StoredLine> for LineJson {
    fn from(StoredLine { seq, line }: StoredLine) -> Self {
        Self { seq, line }
    }
}

impl From<StoredEvent> for EventJson {
    fn from(StoredEvent { seq, event }: StoredEvent) -> Self {
        Self { seq, event }
    }
}

impl StandJson {
    pub(super) fn new(
        run: Run,
        task: Option<TaskStand>,
        pending_inputs: Vec<PendingInput>,
    ) -> Self {
        Self {
            run: RunStandJson {
                summary: SummaryJson::from(&run),
                interaction: run.interaction,
                result: run.result,
            },
            task: task.map(TaskStandJson::from),
            pending_inputs: pending_inputs.into_iter().map(PendingJson::from).collect(),
        }
    }
}

impl From<TaskStand> for TaskStandJson {
    fn from(TaskStand { id, agent, label, status, run_id, error }: TaskStand) -> Self {
        Self { id, agent, label, status, run_id, error }
    }
}

impl From<PendingInput> for PendingJson {
    fn from(PendingInput { seq, prompt, asked_at, .. }: PendingInput) -> Self {
        Self { seq, prompt, asked_at }
    }
}

impl From<Activity> for ActivityJson {
    fn from(activity: Activity) -> Self {
        let Activity { run, task, pending_inputs, logs, events, cursor, more } = activity;
        Self {
            stand: StandJson::new(run, task, pending_inputs),
            logs: logs.into_iter().map(LineJson::from).collect(),
            events: events.into_iter().map(EventJson::from).collect(),
            next: NextJson { logs_after: cursor.logs, events_after: cursor.events },
            cursor: cursor.to_string(),
            more,
        }
    }
}

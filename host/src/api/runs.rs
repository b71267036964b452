//! Runs, their logs, and calling them off.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Api;
use super::extract::{Parameters, Segment};
use super::json::{InScope, Listing, Paging, ScopeJson, optional};
use super::problem::Problem;
use crate::dispatch::protocol::ToWorker;
use crate::model::content::Content;
use crate::model::definition::{Priority, Retry, Task};
use crate::model::id::{EventId, FireId, JobId, RunId, TriggerId};
use crate::model::name::Name;
use crate::model::run::{Delegation, LogLine, Owner, OwnerKind, Run, RunStatus, Stages};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::commands::{self, Canceling};
use crate::store::logs::{self, StoredLine};
use crate::store::runs::{self, RunFilter};

/// How many log lines an answer has at most, and unless the client says otherwise.
const LINES_MAX: u32 = 1000;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    status: Option<String>,
    trigger: Option<String>,
    job: Option<String>,
    event_id: Option<String>,
    #[serde(flatten)]
    scope: InScope,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogsQuery {
    after: Option<String>,
    limit: Option<String>,
    #[serde(flatten)]
    scope: InScope,
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryJson {
    id: RunId,
    status: RunStatus,
    agent: Name,
    trigger: Option<Name>,
    trigger_id: Option<TriggerId>,
    job: Option<Name>,
    job_id: Option<JobId>,
    event_id: Option<EventId>,
    fire_id: Option<FireId>,
    scheduled_at: Option<Time>,
    #[serde(flatten)]
    scope: ScopeJson,
    priority: Priority,
    attempt: u32,
    due_at: Option<Time>,
    created_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RunJson {
    #[serde(flatten)]
    summary: SummaryJson,
    prompt: String,
    untrusted_content: Content,
    task: Option<Task>,
    retry: Retry,
    depth: u32,
    causes: Vec<String>,
    stages: Stages,
    delivery_error: Option<String>,
    delivery_error_at: Option<Time>,
    task_id: Option<String>,
    task_run_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct LineJson {
    seq: i64,
    #[serde(flatten)]
    line: LogLine,
}

#[derive(Debug, Serialize)]
pub(super) struct LogsJson {
    logs: Vec<LineJson>,
    next_after: i64,
    status: RunStatus,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<SummaryJson>>, Problem> {
    let trigger = optional("trigger", query.trigger.as_deref())?;
    let job = optional("job", query.job.as_deref())?;
    let owner_kind = match (&trigger, &job) {
        (Some(_), Some(_)) => {
            return Err(Problem::parameter("job", "stands beside trigger: a run has one of them"));
        }
        (Some(_), None) => Some(OwnerKind::Trigger),
        (None, Some(_)) => Some(OwnerKind::Job),
        (None, None) => None,
    };
    let filter = RunFilter {
        status: optional("status", query.status.as_deref())?,
        owner_kind,
        owner: trigger.or(job),
        event_id: optional("event_id", query.event_id.as_deref())?,
    };
    let (scope, page) = (query.scope.scope()?, query.paging.request()?);
    let page = runs::list(&api.store, &scope, &filter, page).await?;
    Ok(Json(Listing::page(page, |run| SummaryJson::from(&run))))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<RunJson>, Problem> {
    Ok(Json(find(&api, &id, &scope.scope()?).await?.into()))
}

pub(super) async fn logs(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<LogsQuery>,
) -> Result<Json<LogsJson>, Problem> {
    let after = optional("after", query.after.as_deref())?.unwrap_or(0);
    let limit: Option<u32> = optional("limit", query.limit.as_deref())?;
    let limit = limit.unwrap_or(LINES_MAX).clamp(1, LINES_MAX);
    // The status first: lines that are missing from a run seen to have ended will never come.
    let run = find(&api, &id, &query.scope.scope()?).await?;
    let lines = logs::read(&api.store, &run.made.id, after, limit).await?;
    let next_after = lines.last().map_or(after, |line| line.seq);
    let line = |StoredLine { seq, line }| LineJson { seq, line };
    Ok(Json(LogsJson {
        logs: lines.into_iter().map(line).collect(),
        next_after,
        status: run.status,
    }))
}

pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<RunJson>), Problem> {
    let scope = scope.scope()?;
    let run_id = id.parse().map_err(|_| Problem::not_found("run"))?;
    let canceling = commands::cancel(&api.store, &scope, &run_id, api.clock.now()).await?;
    let status = match canceling.ok_or_else(|| Problem::not_found("run"))? {
        Canceling::Ended => StatusCode::OK,
        Canceling::Asked { command_id, worker_id } => {
            // Not connected here: the wish is stored, and the worker's next heartbeat brings it.
            let _ = api.hub.send(&worker_id, ToWorker::Cancel { command_id });
            StatusCode::ACCEPTED
        }
        Canceling::Over => {
            let title = "the run has ended; what has ended does not change";
            return Err(Problem::new(StatusCode::CONFLICT, "run_ended", title));
        }
    };
    Ok((status, Json(find(&api, &id, &scope).await?.into())))
}

async fn find(api: &Api, id: &str, scope: &Scope) -> Result<Run, Problem> {
    let missing = || Problem::not_found("run");
    let id: RunId = id.parse().map_err(|_| missing())?;
    runs::find(&api.store, scope, &id).await?.ok_or_else(missing)
}

impl From<&Run> for SummaryJson {
    fn from(run: &Run) -> Self {
        let (trigger, trigger_id, job, job_id) = match run.made.owner.clone() {
            Owner::Trigger { id, name } => (Some(name), Some(id), None, None),
            Owner::Job { id, name } => (None, None, Some(name), Some(id)),
        };
        let fire = run.made.fire.as_ref();
        Self {
            id: run.made.id.clone(),
            status: run.status,
            agent: run.made.agent.clone(),
            trigger,
            trigger_id,
            job,
            job_id,
            event_id: run.made.event_id.clone(),
            fire_id: fire.map(|fire| fire.id.clone()),
            scheduled_at: fire.map(|fire| fire.scheduled_at),
            priority: run.made.priority,
            due_at: run.due_at,
            scope: ScopeJson::from(&run.made.scope),
            attempt: run.attempt,
            created_at: run.made.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            error: run.error.clone(),
        }
    }
}

impl From<Run> for RunJson {
    fn from(run: Run) -> Self {
        let summary = SummaryJson::from(&run);
        let (delivery_error, delivery_error_at) = run.delivery_error.unzip();
        let delegation = run.delegation;
        let (task_id, task_run_id) =
            delegation.map(|Delegation { task_id, task_run_id }| (task_id, task_run_id)).unzip();
        Self {
            summary,
            prompt: run.made.prompt,
            untrusted_content: run.made.content,
            task: run.made.task,
            retry: run.made.retry,
            depth: run.made.depth,
            causes: run.made.causes,
            stages: run.made.stages,
            delivery_error,
            delivery_error_at,
            task_id,
            task_run_id,
        }
    }
}

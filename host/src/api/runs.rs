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
use crate::model::id::{EventId, RunId, TriggerId};
use crate::model::name::Name;
use crate::model::run::{LogLine, Run, RunStatus, Stages};
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
    trigger: Name,
    trigger_id: TriggerId,
    event_id: EventId,
    #[serde(flatten)]
    scope: ScopeJson,
    attempt: u32,
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
    stages: Stages,
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
    let filter = RunFilter {
        status: optional("status", query.status.as_deref())?,
        trigger: optional("trigger", query.trigger.as_deref())?,
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
        Self {
            id: run.made.id.clone(),
            status: run.status,
            agent: run.made.agent.clone(),
            trigger: run.made.trigger.clone(),
            trigger_id: run.made.trigger_id.clone(),
            event_id: run.made.event_id.clone(),
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
        Self { summary, prompt: run.made.prompt, stages: run.made.stages }
    }
}

//! What is asked of a job beside its definition: where its schedule stands, what comes next, a fire
//! now, its past slots, and its runs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::author::AuditedStore;
use super::extract::{Body, Segment};
use super::json::{InScope, Listing, Paging};
use super::parameters::{Given, Parameters, Query};
use super::problem::{Problem, admit};
use super::runs::{RunJson, SummaryJson};
use crate::model::id::JobId;
use crate::model::name::Name;
use crate::model::problem::Problems;
use crate::model::run::RunStatus;
use crate::model::schedule::Mode;
use crate::model::time::Time;
use crate::schedule::{self, ByHandError};
use crate::store::runs::{self, RunFilter};
use crate::store::schedules::{Backfilled, SchedulerState, StoredJob};

/// How many fires a preview has unless the client says otherwise, and at most.
const PREVIEW: u32 = 5;
const PREVIEW_MAX: u32 = 1000;

/// The routes below one job.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/jobs/{id}/schedule", get(schedule))
        .route("/api/v1/jobs/{id}/preview", get(preview))
        .route("/api/v1/jobs/{id}/trigger", post(trigger))
        .route("/api/v1/jobs/{id}/backfill", post(backfill))
        .route("/api/v1/jobs/{id}/runs", get(history))
}

#[derive(Debug)]
struct PreviewQuery {
    count: usize,
    scope: InScope,
}

impl Query for PreviewQuery {
    fn read(given: &mut Given) -> Self {
        let count = given.count("count", 1..=PREVIEW_MAX).unwrap_or(PREVIEW);
        Self { count: count as usize, scope: InScope::read(given) }
    }
}

#[derive(Debug)]
struct HistoryQuery {
    status: Option<RunStatus>,
    scope: InScope,
    paging: Paging,
}

impl Query for HistoryQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            status: given.word("status"),
            scope: InScope::read(given),
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
struct ScheduleJson {
    job_id: JobId,
    enabled: bool,
    /// None while the job is disabled.
    state: Option<SchedulerState>,
}

#[derive(Debug, Serialize)]
struct PreviewJson {
    job_id: JobId,
    job: Name,
    enabled: bool,
    mode: Mode,
    expression: String,
    timezone: String,
    jitter_offset_ms: u64,
    next: Vec<NextJson>,
}

#[derive(Debug, Serialize)]
struct NextJson {
    scheduled_at: Time,
    due_at: Time,
    /// The slot on the clocks of the schedule's time zone.
    local: String,
}

#[derive(Debug, Serialize)]
struct BackfilledJson {
    fired: usize,
    skipped: usize,
    limited: usize,
    retry_at: Option<Time>,
}

async fn schedule(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<ScheduleJson>, Problem> {
    let job = find(&api, &id, &scope).await?;
    Ok(Json(ScheduleJson { job_id: job.id, enabled: job.enabled, state: job.state }))
}

async fn preview(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<PreviewQuery>,
) -> Result<Json<PreviewJson>, Problem> {
    let stored = find(&api, &id, &query.scope).await?;
    let schedule::Preview { job, next } = schedule::preview(&stored, query.count, api.clock.now())?;
    let next = next.into_iter().map(|fire| NextJson {
        scheduled_at: fire.scheduled_at,
        due_at: fire.due_at,
        local: job.schedule.local(fire.scheduled_at),
    });
    Ok(Json(PreviewJson {
        next: next.collect(),
        enabled: job.enabled,
        mode: job.schedule.mode(),
        expression: job.schedule.expression().to_owned(),
        timezone: job.schedule.timezone().to_owned(),
        jitter_offset_ms: u64::try_from(job.offset().as_millis()).unwrap_or(u64::MAX),
        job_id: job.id,
        job: job.name,
    }))
}

async fn trigger(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Response, Problem> {
    let stored = find(&api, &id, &scope).await?;
    admit(&api, &stored.scope).await?;
    match schedule::trigger(&store, api.clock, &api.gate, &stored, api.clock.now()).await {
        Ok(run) => {
            api.hub.notify();
            let run = runs::find(&api.store, &stored.scope, &run).await?;
            let run = run.ok_or_else(|| Problem::not_found("run"))?;
            Ok((StatusCode::ACCEPTED, Json(RunJson::new(run, false))).into_response())
        }
        Err(error) => refused(error, &api),
    }
}

async fn backfill(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let range = range(&body)?;
    let stored = find(&api, &id, &scope).await?;
    admit(&api, &stored.scope).await?;
    match schedule::backfill(&store, api.clock, &api.gate, &stored, range, api.clock.now()).await {
        Ok(done) => {
            api.hub.notify();
            let Backfilled { fired, skipped, limited, retry_at } = done;
            let more = u32::try_from(fired.saturating_sub(1)).unwrap_or(u32::MAX);
            api.admission.add(&stored.scope, more).await;
            let json = BackfilledJson { fired, skipped, limited, retry_at };
            Ok((StatusCode::ACCEPTED, Json(json)).into_response())
        }
        Err(error) => refused(error, &api),
    }
}

async fn history(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(query): Parameters<HistoryQuery>,
) -> Result<Json<Listing<SummaryJson>>, Problem> {
    let status = query.status;
    let page = query.paging.request();
    let scope = query.scope.scope();
    let stored = schedule::find(&api.store, &scope, &id).await?;
    let job = stored.map_or_else(|| gone(&id), |stored| Ok(stored.id))?;
    let filter = RunFilter { status, owner_id: Some(job.to_string()), ..RunFilter::default() };
    let page = runs::list(&api.store, &scope, &filter, page).await?;
    Ok(Json(Listing::page(page, |run| SummaryJson::from(&run))))
}

/// The runs of a job that is gone are there still.
fn gone(id: &str) -> Result<JobId, Problem> {
    id.parse().map_err(|_| Problem::not_found("job"))
}

async fn find(api: &Api, id: &str, scope: &InScope) -> Result<StoredJob, Problem> {
    let stored = schedule::find(&api.store, &scope.scope(), id).await?;
    stored.ok_or_else(|| Problem::not_found("job"))
}

/// `{"from": …, "to": …}`.
fn range(body: &Value) -> Result<(Time, Time), Problem> {
    let mut problems = Problems::default();
    let mut instant = |name: &str| {
        let text = match body.get(name) {
            Some(Value::String(text)) => text,
            Some(_) => return problems.take(name, Err("is not text")),
            None => return problems.take(name, Err("is missing")),
        };
        problems.take(name, text.parse::<Time>().map_err(|error| error.to_string()))
    };
    let range = instant("from").zip(instant("to"));
    if let Some(table) = body.as_object() {
        for name in table.keys().filter(|name| !["from", "to"].contains(&name.as_str())) {
            problems.add(name, "is not known here: `from` and `to`");
        }
    }
    range.filter(|_| problems.is_empty()).ok_or_else(|| unprocessable(&problems))
}

/// A limit says when to try again.
fn refused(error: ByHandError, api: &Api) -> Result<Response, Problem> {
    let ByHandError::Limited { retry_at } = error else { return Err(error.into()) };
    let wait = retry_at.since(api.clock.now()).as_millis().div_ceil(1000);
    let mut response = Problem::from(error).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.max(1) as u64));
    Ok(response)
}

fn unprocessable(problems: &Problems) -> Problem {
    let title = "the content is not valid";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title).at(problems)
}

impl From<ByHandError> for Problem {
    fn from(error: ByHandError) -> Self {
        let at = |path: &str| {
            let mut problems = Problems::default();
            problems.add(path, &error);
            unprocessable(&problems)
        };
        match &error {
            ByHandError::Backwards | ByHandError::Future => at("to"),
            ByHandError::TooMany { .. } => at("(range)"),
            ByHandError::Limited { .. } => {
                let title = "the job has reached its fire limit";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "fire_limited", title).detail(error)
            }
            ByHandError::Unreadable(problems) => {
                let title = "the job's definition cannot be read by this version of hillock";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable", title).at(problems)
            }
            ByHandError::Busy(_) => {
                Self::unavailable("component_busy", "a pre-fire hook's component is busy")
            }
            ByHandError::Store(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "API request failed");
                Self::unavailable("store_unavailable", "the host cannot reach its store")
            }
            ByHandError::Defect(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "API request failed");
                Self::unavailable("defect", "the host failed at this")
            }
        }
    }
}

//! Tasks: asked for, looked at, called off and put away.

mod draft;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

use super::author::AuditedStore;
use super::extract::{Body, Segment};
use super::json::{InReach, InScope, Listing, Paging, ScopeJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use super::runs::SummaryJson as RunSummaryJson;
use super::{Api, idempotency, problem};
use crate::model::definition::Priority;
use crate::model::id::{RunId, SessionId, TaskId};
use crate::model::name::Name;
use crate::model::problem::Problems;
use crate::model::run::{Run, SessionRef, Terms};
use crate::model::scope::{Reach, Scope};
use crate::model::session::SessionKey;
use crate::model::task::{Task, TaskStatus};
use crate::model::time::Time;
use crate::store::tasks::{self, Archiving, Created, TaskCanceling, TaskFilter};
use crate::store::{PageRequest, Store, runs};
pub(super) use draft::message;

/// How many of its runs a task is shown with: the latest.
const RUNS_MAX: u32 = 200;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/tasks", get(list).post(create))
        .route("/api/v1/tasks/{id}", get(show))
        .route("/api/v1/tasks/{id}/cancel", post(cancel))
        .route("/api/v1/tasks/{id}/archive", post(archive))
        .route("/api/v1/tasks/{id}/unarchive", post(unarchive))
        .route("/api/v1/tasks/{id}/result", get(result))
}

#[derive(Debug)]
struct ListQuery {
    filter: TaskFilter,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        let reach = InReach::read(given);
        Self {
            filter: TaskFilter {
                status: given.word("status"),
                agent: given.word("agent"),
                session: given.parsed("session", |text| session(&reach.reach(), text)),
                label: given.text("label"),
                archived: given.parsed("archived", archived).unwrap_or(Some(false)),
            },
            reach,
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
struct SummaryJson {
    id: TaskId,
    status: TaskStatus,
    agent: Name,
    label: Option<String>,
    session: Option<SessionKey>,
    session_id: Option<SessionId>,
    #[serde(flatten)]
    scope: ScopeJson,
    priority: Priority,
    run_id: RunId,
    created_at: Time,
    scheduled_at: Option<Time>,
    expires_at: Option<Time>,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    archived_at: Option<Time>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct TaskJson {
    #[serde(flatten)]
    summary: SummaryJson,
    message: String,
    terms: Terms,
    idempotency_key: Option<String>,
    result: Option<Value>,
    /// Oldest first.
    runs: Vec<RunSummaryJson>,
}

#[derive(Debug, Serialize)]
struct CreatedJson {
    #[serde(flatten)]
    task: TaskJson,
    deduplicated: bool,
}

#[derive(Debug, Serialize)]
struct ResultJson {
    id: TaskId,
    status: TaskStatus,
    result: Option<Value>,
    error: Option<String>,
    run_id: RunId,
    ended_at: Option<Time>,
}

async fn create(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<CreatedJson>), Problem> {
    let (scope, now) = (scope.scope(), api.clock.now());
    let (id, known) = (api.clock.task_id(), api.catalog.now());
    let asked = draft::read(body, &headers, scope.clone(), id.clone(), &known, now);
    let asked = asked.map_err(|problems| invalid(&problems))?;
    let (status, id, deduplicated) = match make(&api, &store, asked).await? {
        Created::New => (StatusCode::CREATED, id, false),
        Created::Known(task) => (StatusCode::OK, task.made.id, true),
        Created::Mismatch => return Err(idempotency::mismatch()),
    };
    api.hub.notify();
    let task = shown(&api, find(&api, id.as_str(), &scope).await?).await?;
    Ok((status, Json(CreatedJson { task, deduplicated })))
}

/// Makes a task, unless it is known: whoever asks again needs no room, and no agent that is there.
async fn make(api: &Api, store: &Store, asked: draft::Asked) -> Result<Created, Problem> {
    let draft::Asked { task, hindrances } = asked;
    let _turn = api.turns.take(task.idempotency.as_ref()).await;
    if let Some(known) = tasks::known(store, &task).await? {
        return Ok(known);
    }
    hindrances.unless_any(()).map_err(|problems| invalid(&problems))?;
    let scope = task.scope.clone();
    if let Err(full) = problem::admit(api, &scope).await {
        // Another host may have made it meanwhile.
        return tasks::known(store, &task).await?.ok_or(full);
    }
    let (run_id, command_id) = (api.clock.run_id(), api.clock.command_id());
    let created = tasks::create(store, task, run_id, command_id).await?;
    if !matches!(created, Created::New) {
        api.admission.give_back(&scope).await;
    }
    Ok(created)
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<SummaryJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let page = tasks::list(&api.store, reach, &query.filter, page).await?;
    Ok(Json(Listing::page(page, |task| SummaryJson::from(&task))))
}

/// The session with this identifier, or with this key in the one scope that is looked at.
pub(super) fn session(reach: &Reach, text: &str) -> Result<SessionId, String> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    match reach {
        Reach::One(scope) => Ok(SessionRef::of(scope, text.parse()?).id),
        Reach::All => Err("is not a session's identifier: a key is one workspace's own".to_owned()),
    }
}

/// None for both.
fn archived(text: &str) -> Result<Option<bool>, String> {
    match text {
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        "all" => Ok(None),
        _ => Err(format!("`{text}` is not true, false or all")),
    }
}

async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<TaskJson>, Problem> {
    let task = find(&api, &id, &scope.scope()).await?;
    Ok(Json(shown(&api, task).await?))
}

async fn cancel(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<TaskJson>), Problem> {
    let (scope, task_id) = (scope.scope(), parse(&id)?);
    let canceling = tasks::cancel(&store, &scope, &task_id, api.clock.now()).await?;
    let status = match canceling.ok_or_else(missing)? {
        TaskCanceling::Ended => StatusCode::OK,
        TaskCanceling::Asked => StatusCode::ACCEPTED,
        TaskCanceling::Over => {
            let title = "the task has ended; what has ended does not change";
            return Err(Problem::new(StatusCode::CONFLICT, "task_ended", title));
        }
    };
    // Words to workers may wait, and what waited behind this task.
    api.hub.notify();
    let task = find(&api, &id, &scope).await?;
    Ok((status, Json(shown(&api, task).await?)))
}

async fn archive(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<TaskJson>, Problem> {
    let (scope, task_id) = (scope.scope(), parse(&id)?);
    let archiving = tasks::archive(&store, &scope, &task_id, api.clock.now()).await?;
    match archiving.ok_or_else(missing)? {
        Archiving::Archived => {
            let task = find(&api, &id, &scope).await?;
            Ok(Json(shown(&api, task).await?))
        }
        Archiving::UnderWay => Err(under_way()),
    }
}

async fn unarchive(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<TaskJson>, Problem> {
    let (scope, task_id) = (scope.scope(), parse(&id)?);
    if !tasks::unarchive(&store, &scope, &task_id, api.clock.now()).await? {
        return Err(missing());
    }
    let task = find(&api, &id, &scope).await?;
    Ok(Json(shown(&api, task).await?))
}

/// A task that has not ended has no result yet, and says so: 409, not 404, since it is there.
async fn result(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<ResultJson>, Problem> {
    let task = find(&api, &id, &scope.scope()).await?;
    if !task.status.is_terminal() {
        return Err(under_way().detail(format!("it is {}", task.status)));
    }
    Ok(Json(ResultJson {
        id: task.made.id,
        status: task.status,
        result: task.result,
        error: task.error,
        run_id: task.run_id,
        ended_at: task.ended_at,
    }))
}

fn under_way() -> Problem {
    Problem::new(StatusCode::CONFLICT, "task_under_way", "the task has not ended")
}

fn missing() -> Problem {
    Problem::not_found("task")
}

pub(super) fn parse(id: &str) -> Result<TaskId, Problem> {
    id.parse().map_err(|_| missing())
}

pub(super) fn invalid(problems: &Problems) -> Problem {
    let title = "what was sent is not valid";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", title).at(problems)
}

async fn find(api: &Api, id: &str, scope: &Scope) -> Result<Task, Problem> {
    let id = parse(id)?;
    let not_kept = || Problem::not_kept("task", id.minted_at(), api.clock.now());
    tasks::find(&api.store, scope, &id).await?.ok_or_else(not_kept)
}

async fn shown(api: &Api, task: Task) -> Result<TaskJson, Problem> {
    let page = PageRequest::first(RUNS_MAX);
    let runs = runs::of_task(&api.store, &task.made.scope, &task.made.id, page).await?;
    Ok(TaskJson {
        summary: SummaryJson::from(&task),
        message: task.made.message,
        terms: task.made.terms,
        idempotency_key: task.made.idempotency.map(|once| once.key),
        result: task.result,
        runs: oldest_first(&runs.items),
    })
}

/// Runs as listings have them, in the order they were made.
pub(super) fn oldest_first(runs: &[Run]) -> Vec<RunSummaryJson> {
    runs.iter().rev().map(RunSummaryJson::from).collect()
}

impl From<&Task> for SummaryJson {
    fn from(task: &Task) -> Self {
        let session = task.made.terms.session.clone();
        Self {
            id: task.made.id.clone(),
            status: task.status,
            agent: task.made.agent.clone(),
            label: task.made.label.clone(),
            session: session.as_ref().map(|session| session.key.clone()),
            session_id: session.map(|session| session.id),
            scope: ScopeJson::from(&task.made.scope),
            priority: task.made.priority,
            run_id: task.run_id.clone(),
            created_at: task.made.created_at,
            scheduled_at: task.made.terms.scheduled_at,
            expires_at: task.made.terms.expires_at,
            started_at: task.started_at,
            ended_at: task.ended_at,
            archived_at: task.archived_at,
            error: task.error.clone(),
        }
    }
}

//! Commands: where each of them stands, what it waits for, and what people decide of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::Api;
use super::author::AuditedStore;
use super::extract::Segment;
use super::json::{InReach, InScope, Listing, Paging, ScopeJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use super::waiting::WaitingJson;
use crate::dispatch::waiting;
use crate::model::command::{Command, CommandState, CommandType, OnLost};
use crate::model::definition::Priority;
use crate::model::id::{CommandId, RunId, SessionId, WorkerId};
use crate::model::name::Name;
use crate::model::policy::Policy;
use crate::model::routing::Routing;
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;
use crate::store::commands::{self, Canceling, CommandFilter, Decided, Decision};
use crate::store::workers::{self, Named};

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/commands", get(list))
        .route("/api/v1/commands/{id}", get(show))
        .route("/api/v1/commands/{id}/approve", post(approve))
        .route("/api/v1/commands/{id}/deny", post(deny))
        .route("/api/v1/commands/{id}/cancel", post(cancel))
}

#[derive(Debug)]
struct ListQuery {
    filter: CommandFilter,
    /// Who has it, or had it last: a worker's identifier or name.
    worker: Option<String>,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            filter: CommandFilter {
                state: given.word("state"),
                kind: given.word("type"),
                agent: given.word("agent"),
                priority: given.word("priority"),
                run_id: given.word("run_id"),
                worker_id: None,
            },
            worker: given.text("worker"),
            reach: InReach::read(given),
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
struct CommandJson {
    id: CommandId,
    #[serde(rename = "type")]
    kind: CommandType,
    state: CommandState,
    #[serde(flatten)]
    scope: ScopeJson,
    agent: Option<Name>,
    lane: Option<Name>,
    run_id: Option<RunId>,
    session_id: Option<SessionId>,
    class_id: Option<String>,
    priority: Priority,
    attempt: u32,
    dispatch_attempts: u32,
    on_lost: OnLost,
    worker_id: Option<WorkerId>,
    /// Of the token, people see no more than this.
    token_prefix: Option<String>,
    due_at: Option<Time>,
    expires_at: Option<Time>,
    lease_expires_at: Option<Time>,
    cancel_requested_at: Option<Time>,
    created_at: Time,
    sent_at: Option<Time>,
    acknowledged_at: Option<Time>,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct DetailJson {
    #[serde(flatten)]
    command: CommandJson,
    policy: Option<Policy>,
    routing: Option<Routing>,
    /// None once it is out, or over.
    waiting: Option<WaitingJson>,
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<CommandJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let worker_id = worker(&api, &reach, query.worker.as_deref()).await?;
    let filter = CommandFilter { worker_id, ..query.filter };
    let page = commands::list(&api.store, reach, &filter, page).await?;
    Ok(Json(Listing::page(page, |command| CommandJson::from(&command))))
}

/// The worker that is meant: most serve every workspace, and belong to none.
async fn worker(
    api: &Api,
    reach: &Reach,
    named: Option<&str>,
) -> Result<Option<WorkerId>, Problem> {
    let Some(named) = named else { return Ok(None) };
    // One that is gone is known by its identifier.
    if let Ok(id) = named.parse() {
        return Ok(Some(id));
    }
    let own = match reach {
        Reach::One(scope) if *scope != Scope::Global => Some(scope),
        _ => None,
    };
    for scope in own.into_iter().chain([&Scope::Global]) {
        match workers::find(&api.store, scope, named).await? {
            Named::One(worker) => return Ok(Some(worker.id)),
            Named::Several(one, other) => {
                let reason = format!("is what several are called, {one} and {other}: say which");
                return Err(Problem::parameter("worker", reason));
            }
            Named::Nobody => {}
        }
    }
    let reason =
        format!("no worker is called `{named}`: one that is gone is found by its identifier");
    Err(Problem::parameter("worker", reason))
}

async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<DetailJson>, Problem> {
    Ok(Json(detail(&api, &scope.scope(), &read(&id)?).await?))
}

async fn approve(
    api: State<Arc<Api>>,
    acting: AuditedStore,
    id: Segment,
    scope: Parameters<InScope>,
) -> Result<Json<DetailJson>, Problem> {
    decide(api, acting, id, scope, Decision::Approve).await
}

async fn deny(
    api: State<Arc<Api>>,
    acting: AuditedStore,
    id: Segment,
    scope: Parameters<InScope>,
) -> Result<Json<DetailJson>, Problem> {
    decide(api, acting, id, scope, Decision::Deny).await
}

async fn decide(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    decision: Decision,
) -> Result<Json<DetailJson>, Problem> {
    let (scope, id) = (scope.scope(), read(&id)?);
    let decided = commands::decide(&store, &scope, &id, decision, api.clock.now()).await?;
    match decided.ok_or_else(missing)? {
        Decided::Done => api.hub.notify(),
        Decided::NotBlocked(state) => {
            let title = "the command waits for no decision";
            return Err(Problem::new(StatusCode::CONFLICT, "not_blocked", title)
                .detail(format!("it is {state}")));
        }
    }
    Ok(Json(detail(&api, &scope, &id).await?))
}

async fn cancel(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<DetailJson>), Problem> {
    let (scope, id) = (scope.scope(), read(&id)?);
    let canceling = commands::call_off(&store, &scope, &id, api.clock.now()).await?;
    let status = match canceling.ok_or_else(missing)? {
        Canceling::Ended => StatusCode::OK,
        Canceling::Asked { .. } => {
            // The word to the worker is in the queue.
            api.hub.notify();
            StatusCode::ACCEPTED
        }
        Canceling::Over => {
            let title = "the command has ended; what has ended does not change";
            return Err(Problem::new(StatusCode::CONFLICT, "command_ended", title));
        }
    };
    Ok((status, Json(detail(&api, &scope, &id).await?)))
}

async fn detail(api: &Api, scope: &Scope, id: &CommandId) -> Result<DetailJson, Problem> {
    let command = commands::find(&api.store, scope, id).await?.ok_or_else(missing)?;
    let now = api.clock.now();
    let waiting = waiting::look(&api.store, &api.limits, &command, now).await?;
    let (policy, routing) = match &command.queue {
        Some(queue) => (queue.policy.clone(), Some(queue.routing.clone())),
        None => (None, None),
    };
    let waiting = waiting.map(WaitingJson::from);
    Ok(DetailJson { command: CommandJson::from(&command), policy, routing, waiting })
}

fn read(id: &str) -> Result<CommandId, Problem> {
    id.parse().map_err(|_| missing())
}

fn missing() -> Problem {
    Problem::not_found("command")
}

impl From<&Command> for CommandJson {
    fn from(command: &Command) -> Self {
        let queue = command.queue.as_ref();
        Self {
            id: command.id.clone(),
            kind: command.kind,
            state: command.state,
            scope: ScopeJson::from(&command.scope),
            agent: queue.map(|queue| queue.agent.clone()),
            lane: queue.and_then(|queue| queue.lane.clone()),
            run_id: command.run_id.clone(),
            session_id: command.session_id.clone(),
            class_id: queue.map(|queue| queue.class_id.clone()),
            priority: command.priority,
            attempt: command.attempt,
            dispatch_attempts: command.dispatch_attempts,
            on_lost: command.on_lost,
            worker_id: command.worker_id.clone(),
            token_prefix: command.token_prefix.clone(),
            due_at: command.due_at,
            expires_at: command.expires_at,
            lease_expires_at: command.lease_expires_at,
            cancel_requested_at: command.cancel_requested_at,
            created_at: command.created_at,
            sent_at: command.sent_at,
            acknowledged_at: command.acknowledged_at,
            started_at: command.started_at,
            ended_at: command.ended_at,
            error: command.error.clone(),
        }
    }
}

//! Workers as an administrator sees them, their registration, and the tokens for it.
//!
//! A bootstrap token and a credential are shown once, in the answer that makes them.

mod asked;
mod tokens;

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use super::Api;
use super::auth::{self, AuthError};
use super::author::{AuditedStore, Sent};
use super::extract::{Body, Segment};
use super::json::{InReach, InScope, Listing, Paging, ScopeJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::dispatch::attendance;
use crate::dispatch::protocol::{REGISTER_PATH, Served};
use crate::model::audit::Author;
use crate::model::command::Control;
use crate::model::definition::Agent;
use crate::model::id::WorkerId;
use crate::model::routing::Offer;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::model::worker::{AdminState, Approval, Bearer, Dismissal, Health, Worker};
use crate::store::Store;
use crate::store::workers::{self, Change, Named, NewWorker, Refusal, WorkerFilter};

/// The largest body of a registration, in bytes: it is read before its sender is known.
const REGISTRATION_BYTES_MAX: usize = 16 * 1024;

/// The routes for who has a key.
pub(super) fn routes() -> Router<Arc<Api>> {
    let changes = [
        ("approve", Change::Approve),
        ("reject", Change::Reject),
        ("disable", Change::Disable),
        ("enable", Change::Enable),
        ("drain", Change::Drain),
        ("undrain", Change::Undrain),
        ("revoke", Change::Revoke),
    ];
    let one = Router::new()
        .route("/api/v1/workers", get(list))
        .route("/api/v1/workers/{id}", get(show).patch(patch))
        .route("/api/v1/workers/{id}/rotate", post(rotate))
        .route("/api/v1/workers/{id}/health-check", post(health_check));
    let route = |router: Router<Arc<Api>>, (word, wish): (&str, Change)| {
        let path = format!("/api/v1/workers/{{id}}/{word}");
        router.route(&path, post(change).layer(Extension(wish)))
    };
    changes.into_iter().fold(one, route).merge(tokens::routes())
}

/// The route for who has a bootstrap token or a key.
pub(super) fn registration() -> Router<Arc<Api>> {
    Router::new().route(REGISTER_PATH, post(register))
}

#[derive(Debug)]
struct ListQuery {
    filter: WorkerFilter,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            filter: WorkerFilter {
                health: given.word("health"),
                approval: given.word("approval"),
                admin_state: given.word("admin_state"),
            },
            reach: InReach::read(given),
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
struct WorkerJson {
    id: WorkerId,
    name: String,
    #[serde(flatten)]
    scope: ScopeJson,
    approval: Approval,
    admin_state: AdminState,
    health: Health,
    draining: bool,
    agents: Vec<Served>,
    capacity: u32,
    active: u32,
    offer: Offer,
    credential_prefix: Option<String>,
    registered_at: Time,
    last_heartbeat_at: Option<Time>,
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<WorkerJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let page = workers::list(&api.store, reach, &query.filter, page).await?;
    Ok(Json(Listing::page(page, WorkerJson::from)))
}

async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<WorkerJson>, Problem> {
    Ok(Json(find(&api, &scope.scope(), &id).await?.into()))
}

async fn register(
    State(api): State<Arc<Api>>,
    Sent(place): Sent,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    Body(body): Body<REGISTRATION_BYTES_MAX>,
) -> Result<Response, Response> {
    let scope = scope.scope();
    let id = api.clock.worker_id();
    let admission = auth::admission(&api, &headers, scope, &id).await;
    let (admission, actor) = admission.map_err(AuthError::into_response)?;
    let name = asked::name(&body).map_err(Problem::into_response)?;
    let credential = Bearer::credential(api.clock.random());
    let worker = NewWorker {
        id: id.clone(),
        name,
        credential_hash: credential.hash(),
        credential_prefix: credential.prefix().to_owned(),
    };
    let store = api.store.acting(Author { actor, place });
    let registered = workers::register(&store, worker, admission, api.clock.now()).await;
    let approval = registered
        .map_err(|error| Problem::from(error).into_response())?
        .ok_or_else(|| auth::unauthorized().into_response())?;
    let location = [(LOCATION, format!("/api/v1/workers/{id}"))];
    let made = json!({ "id": id, "credential": credential.expose(), "approval": approval });
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

async fn change(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(wish): Extension<Change>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<WorkerJson>, Problem> {
    let scope = scope.scope();
    let id = find(&api, &scope, &id).await?.id;
    let changed = workers::change(&store, &scope, &id, wish, api.clock.now()).await?;
    changed.map_err(refused)?;
    if let Some(why) = wish.dismissal() {
        attendance::dismiss(&api.store, &api.hub, &id, why, api.clock.now()).await?;
    }
    let worker = find(&api, &scope, id.as_str()).await?;
    api.hub.admit(&id, worker.eligibility());
    Ok(Json(worker.into()))
}

async fn rotate(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Response, Problem> {
    let scope = scope.scope();
    let id = find(&api, &scope, &id).await?.id;
    let credential = Bearer::credential(api.clock.random());
    let (hash, prefix, now) = (credential.hash(), credential.prefix(), api.clock.now());
    let rotated = workers::rotate(&store, &scope, &id, hash, prefix, now).await?;
    rotated.map_err(refused)?;
    attendance::dismiss(&api.store, &api.hub, &id, Dismissal::Rotated, now).await?;
    Ok(Json(json!({ "id": id, "credential": credential.expose() })).into_response())
}

async fn health_check(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Response, Problem> {
    tell(&api, &store, &scope.scope(), &id, Control::HealthCheck).await
}

async fn patch(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let (scope, capacity) = (scope.scope(), asked::capacity(&body)?);
    let control = Control::ConfigUpdate { capacity: Some(capacity) };
    tell(&api, &store, &scope, &id, control).await
}

/// Queues a word to the worker, which has an answer when it says so.
async fn tell(
    api: &Api,
    store: &Store,
    scope: &Scope,
    id: &str,
    control: Control,
) -> Result<Response, Problem> {
    let worker = find(api, scope, id).await?;
    if worker.admin_state == AdminState::Revoked {
        return Err(refused(Refusal::Revoked));
    }
    let (id, now) = (api.clock.command_id(), api.clock.now());
    workers::tell(store, scope, &worker.id, &id, control, now).await?;
    api.hub.notify();
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": worker.id, "command_id": id }))).into_response())
}

async fn find(api: &Api, scope: &Scope, named: &str) -> Result<Worker, Problem> {
    match workers::find(&api.store, scope, named).await? {
        Named::One(worker) => Ok(*worker),
        Named::Nobody => Err(Problem::not_found("worker")),
        Named::Several(one, other) => {
            let title = "several workers have this name";
            Err(Problem::new(StatusCode::CONFLICT, "ambiguous", title)
                .detail(format!("{one} and {other} are two of them: say which")))
        }
    }
}

fn refused(refusal: Refusal) -> Problem {
    let conflict = |code, title| Problem::new(StatusCode::CONFLICT, code, title);
    match refusal {
        Refusal::Missing => Problem::not_found("worker"),
        Refusal::Revoked => conflict("worker_revoked", "the worker was revoked, and stays so"),
        Refusal::NoCredential => {
            conflict("no_credential", "the worker came with an API key: there is nothing to rotate")
        }
    }
}

impl From<Worker> for WorkerJson {
    fn from(worker: Worker) -> Self {
        let served = |agent: Agent| Served {
            workspace_id: agent.scope.workspace_id().to_owned(),
            name: agent.name,
        };
        Self {
            scope: ScopeJson::from(&worker.scope),
            id: worker.id,
            name: worker.name,
            approval: worker.approval,
            admin_state: worker.admin_state,
            health: worker.health,
            draining: worker.draining,
            agents: worker.agents.into_iter().map(served).collect(),
            capacity: worker.capacity,
            active: worker.active,
            offer: worker.offer,
            credential_prefix: worker.credential_prefix,
            registered_at: worker.registered_at,
            last_heartbeat_at: worker.last_heartbeat_at,
        }
    }
}

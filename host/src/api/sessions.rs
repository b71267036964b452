//! Sessions: conversations and their runs.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Api;
use super::extract::Segment;
use super::json::{InReach, InScope, Listing, Paging, ScopeJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use super::runs::SummaryJson as RunSummaryJson;
use super::tasks::oldest_first;
use crate::model::id::{CommandId, RunId, SessionId, WorkerId};
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::session::{Session, SessionKey, SessionState};
use crate::model::time::Time;
use crate::store::sessions::{self, SessionFilter};
use crate::store::{PageRequest, runs};

/// How many of its runs a session is shown with: the latest.
const RUNS_MAX: u32 = 200;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new().route("/api/v1/sessions", get(list)).route("/api/v1/sessions/{id}", get(show))
}

#[derive(Debug)]
struct ListQuery {
    filter: SessionFilter,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            filter: SessionFilter { state: given.word("state"), agent: given.word("agent") },
            reach: InReach::read(given),
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
struct LeaseJson {
    owner: String,
    worker_id: WorkerId,
    command_id: CommandId,
    expires_at: Time,
}

#[derive(Debug, Serialize)]
struct SummaryJson {
    id: SessionId,
    key: SessionKey,
    agent: Name,
    state: SessionState,
    state_at: Time,
    /// It has been starting or stopping for longer than it should.
    stuck: bool,
    #[serde(flatten)]
    scope: ScopeJson,
    lease: Option<LeaseJson>,
    last_run_id: Option<RunId>,
    created_at: Time,
}

#[derive(Debug, Serialize)]
struct SessionJson {
    #[serde(flatten)]
    summary: SummaryJson,
    /// Oldest first.
    runs: Vec<RunSummaryJson>,
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<SummaryJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let page = sessions::list(&api.store, reach, &query.filter, page).await?;
    let now = api.clock.now();
    Ok(Json(Listing::page(page, |session| SummaryJson::new(session, now))))
}

async fn show(
    State(api): State<Arc<Api>>,
    Segment(name): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<SessionJson>, Problem> {
    let scope = scope.scope();
    let session = find(&api, &scope, &name).await?.ok_or_else(|| Problem::not_found("session"))?;
    let page = PageRequest::first(RUNS_MAX);
    let runs = runs::in_session(&api.store, &scope, &session.id, page).await?;
    let runs = oldest_first(&runs.items);
    let summary = SummaryJson::new(session, api.clock.now());
    Ok(Json(SessionJson { summary, runs }))
}

/// The session with this identifier, or which its users call this.
async fn find(api: &Api, scope: &Scope, name: &str) -> Result<Option<Session>, Problem> {
    if let Ok(id) = name.parse()
        && let Some(session) = sessions::find(&api.store, scope, &id).await?
    {
        return Ok(Some(session));
    }
    match name.parse() {
        Ok(key) => Ok(sessions::find_by_key(&api.store, scope, &key).await?),
        Err(_) => Ok(None),
    }
}

impl SummaryJson {
    fn new(session: Session, now: Time) -> Self {
        let stuck = sessions::is_stuck(&session, now);
        let lease = session.lease.map(|lease| LeaseJson {
            owner: lease.owner(),
            worker_id: lease.worker_id,
            command_id: lease.command_id,
            expires_at: lease.expires_at,
        });
        Self {
            id: session.id,
            key: session.key,
            agent: session.agent,
            state: session.state,
            state_at: session.state_at,
            stuck,
            scope: ScopeJson::from(&session.scope),
            lease,
            last_run_id: session.last_run_id,
            created_at: session.created_at,
        }
    }
}

//! Sessions: conversations and their runs.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::Api;
use super::extract::{Parameters, Segment};
use super::json::{InScope, Listing, Paging, ScopeJson, optional};
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

#[derive(Debug, Deserialize)]
struct ListQuery {
    state: Option<String>,
    agent: Option<String>,
    #[serde(flatten)]
    scope: InScope,
    #[serde(flatten)]
    paging: Paging,
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
    let filter = SessionFilter {
        state: optional("state", query.state.as_deref())?,
        agent: optional("agent", query.agent.as_deref())?,
    };
    let (reach, page) = (query.scope.reach()?, query.paging.request()?);
    let page = sessions::list(&api.store, reach, &filter, page).await?;
    let now = api.clock.now();
    Ok(Json(Listing::page(page, |session| SummaryJson::new(session, now))))
}

async fn show(
    State(api): State<Arc<Api>>,
    Segment(name): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<SessionJson>, Problem> {
    let scope = scope.scope()?;
    let session = find(&api, &scope, &name).await?.ok_or_else(|| Problem::not_found("session"))?;
    let page = PageRequest::new(RUNS_MAX, None);
    let page = page.map_err(|reason| Problem::parameter("cursor", reason))?;
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

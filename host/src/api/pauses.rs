//! Pauses: nothing more of a workspace, or of the whole host, is handed to workers until it is
//! resumed. Doing either again changes nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

use super::author::AuditedStore;
use super::extract::BodyIfAny;
use super::json::{InReach, ScopeJson};
use super::parameters::Parameters;
use super::problem::Problem;
use super::{Api, tasks};
use crate::config::definitions::fields::{Fields, some_text};
use crate::model::pause::{Pause, REASON_BYTES_MAX};
use crate::model::problem::Problems;
use crate::model::scope::Reach;
use crate::model::time::Time;
use crate::store::commands;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/pause", get(show).post(pause))
        .route("/api/v1/resume", post(resume))
}

#[derive(Debug, Serialize)]
struct StandJson {
    #[serde(flatten)]
    scope: ScopeJson,
    /// Nothing of it is handed out, by its own pause or the whole host's.
    paused: bool,
    /// Of its own pause.
    paused_at: Option<Time>,
    reason: Option<String>,
    /// The whole host's pause.
    host: Option<PauseJson>,
    /// Who is paused by itself, where the whole host is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspaces: Option<Vec<OwnJson>>,
}

#[derive(Debug, Serialize)]
struct PauseJson {
    paused_at: Time,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct OwnJson {
    #[serde(flatten)]
    scope: ScopeJson,
    #[serde(flatten)]
    pause: PauseJson,
}

async fn show(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<InReach>,
) -> Result<Json<StandJson>, Problem> {
    stand(&api, &query.reach()).await
}

async fn pause(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Parameters(query): Parameters<InReach>,
    BodyIfAny(body): BodyIfAny,
) -> Result<Json<StandJson>, Problem> {
    let (reach, reason) = (query.reach(), reason(body)?);
    commands::pause(&store, reach.clone(), reason, api.clock.now()).await?;
    stand(&api, &reach).await
}

async fn resume(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Parameters(query): Parameters<InReach>,
) -> Result<Json<StandJson>, Problem> {
    let reach = query.reach();
    commands::resume(&store, reach.clone(), api.clock.now()).await?;
    api.hub.notify();
    stand(&api, &reach).await
}

async fn stand(api: &Api, reach: &Reach) -> Result<Json<StandJson>, Problem> {
    Ok(Json(StandJson::of(reach, commands::pauses(&api.store).await?)))
}

/// Why it is paused, if that is said.
fn reason(body: Value) -> Result<Option<String>, Problem> {
    let mut problems = Problems::default();
    let reason = Fields::open("pause", body, &mut problems).and_then(|mut fields| {
        let reason = fields.optional("reason", line);
        fields.close();
        reason
    });
    reason.filter(|_| problems.is_empty()).ok_or_else(|| tasks::invalid(&problems))
}

fn line(value: &Value) -> Result<String, String> {
    let line = some_text(value)?;
    let sound = line.len() <= REASON_BYTES_MAX && !line.chars().any(char::is_control);
    sound.then_some(line).ok_or_else(|| {
        format!("is longer than {REASON_BYTES_MAX} bytes, or not of printable characters")
    })
}

impl StandJson {
    /// How a workspace or the whole host stands, by the pauses that are in force.
    fn of(reach: &Reach, pauses: Vec<Pause>) -> Self {
        let find = |reach: &Reach| pauses.iter().find(|pause| pause.reach == *reach);
        let (own, host) = (find(reach), find(&Reach::All));
        Self {
            scope: ScopeJson::from(reach),
            paused: own.or(host).is_some(),
            paused_at: own.map(|pause| pause.since),
            reason: own.and_then(|pause| pause.reason.clone()),
            host: host.cloned().map(PauseJson::from),
            workspaces: reach.pick(None, Some(())).map(|()| OwnJson::all(&pauses)),
        }
    }
}

impl OwnJson {
    /// Those of single workspaces and of the global scope.
    fn all(pauses: &[Pause]) -> Vec<Self> {
        let own = |pause: &&Pause| pause.reach != Reach::All;
        let row = |pause: &Pause| Self {
            scope: ScopeJson::from(&pause.reach),
            pause: PauseJson::from(pause.clone()),
        };
        pauses.iter().filter(own).map(row).collect()
    }
}

impl From<Pause> for PauseJson {
    fn from(pause: Pause) -> Self {
        Self { paused_at: pause.since, reason: pause.reason }
    }
}

//! Controllers: how the background loops fare, and passes at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::Api;
use super::author::AuditedStore;
use super::extract::Segment;
use super::json::InScope;
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::controllers::{Ran, RunError};
use crate::model::controller::{Controller, ControllerName, Items, Pass, PassResult};
use crate::model::id::ReplicaId;
use crate::model::time::Time;
use crate::store::audit;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/controllers", get(list))
        .route("/api/v1/controllers/{id}/run", post(run))
}

#[derive(Debug, Serialize)]
struct ControllersJson {
    /// The replica that answers.
    replica: ReplicaId,
    items: Vec<ControllerJson>,
}

#[derive(Debug, Serialize)]
struct ControllerJson {
    name: ControllerName,
    what: &'static str,
    interval_ms: u128,
    /// Whether the replica that answers drives it; another may all the same.
    enabled: bool,
    /// The replica that has a pass in hand.
    holder: Option<ReplicaId>,
    next_at: Option<Time>,
    last: Option<PassJson>,
    /// The last pass that found something to do.
    worked: Option<WorkedJson>,
    passes: u64,
    failures: u64,
}

#[derive(Debug, Serialize)]
struct WorkedJson {
    at: Time,
    items: Items,
}

#[derive(Debug, Serialize)]
struct PassJson {
    at: Time,
    replica: ReplicaId,
    result: PassResult,
    error: Option<String>,
    items: Items,
}

#[derive(Debug)]
struct RunQuery {
    dry_run: bool,
}

impl Query for RunQuery {
    fn read(given: &mut Given) -> Self {
        let _ = InScope::read(given);
        Self { dry_run: given.flag("dry_run").unwrap_or(false) }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RanJson {
    Pass(PassJson),
    Rehearsal { dry_run: bool, items: Items },
}

async fn list(
    State(api): State<Arc<Api>>,
    _: Parameters<InScope>,
) -> Result<Json<ControllersJson>, Problem> {
    let controllers = api.controllers.list().await?.into_iter();
    let items = controllers.map(|(name, interval, standing)| ControllerJson {
        name,
        what: name.what(),
        interval_ms: interval.as_millis(),
        enabled: api.controllers.is_enabled(name),
        ..standing.map_or_else(|| ControllerJson::new(name), ControllerJson::from)
    });
    let items = items.collect();
    Ok(Json(ControllersJson { replica: api.controllers.replica().clone(), items }))
}

async fn run(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(name): Segment,
    Parameters(query): Parameters<RunQuery>,
) -> Result<Json<RanJson>, Problem> {
    let name: ControllerName =
        name.parse().map_err(|reason: String| Problem::not_found("controller").detail(reason))?;
    Ok(Json(match api.controllers.run(name, query.dry_run).await? {
        Ran::Pass(pass) => {
            audit::note_ordered(&store, name, api.clock.now()).await?;
            RanJson::Pass(pass.into())
        }
        Ran::Rehearsal(items) => RanJson::Rehearsal { dry_run: true, items },
    }))
}

impl ControllerJson {
    /// One that has had no pass.
    fn new(name: ControllerName) -> Self {
        Self {
            name,
            what: name.what(),
            interval_ms: 0,
            enabled: true,
            holder: None,
            next_at: None,
            last: None,
            worked: None,
            passes: 0,
            failures: 0,
        }
    }
}

impl From<Controller> for ControllerJson {
    fn from(controller: Controller) -> Self {
        Self {
            holder: controller.holder.map(|holder| holder.replica),
            next_at: Some(controller.next_at),
            last: controller.last.map(PassJson::from),
            worked: controller.worked.map(|(at, items)| WorkedJson { at, items }),
            passes: controller.passes,
            failures: controller.failures,
            ..Self::new(controller.name)
        }
    }
}

impl From<Pass> for PassJson {
    fn from(pass: Pass) -> Self {
        let Pass { at, replica, result, error, items } = pass;
        Self { at, replica, result, error, items }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        let title = "the controller cannot have a pass now";
        match error {
            RunError::Store(error) => error.into(),
            RunError::Absent => Self::not_found("controller").detail(error),
            RunError::Held(_) => {
                Self::new(StatusCode::CONFLICT, "controller_held", title).detail(error).retry()
            }
            RunError::Busy => Self::unavailable("controller_busy", title).detail(error),
            RunError::NoRehearsal => Self::parameter("dry_run", error),
            RunError::Rehearsal(_) => {
                tracing::error!(%error, "controller dry run failed");
                Self::unavailable("store_unavailable", title)
            }
        }
    }
}

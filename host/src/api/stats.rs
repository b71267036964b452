//! How many commands a workspace has, state by state.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::json::InReach;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::model::scope::Reach;
use crate::store::commands::{self, Stats};

#[derive(Debug, Serialize)]
pub(super) struct StatsJson {
    total: u64,
    blocked: u64,
    pending: u64,
    /// With those that a worker has and has not begun.
    running: u64,
    completed: u64,
    failed: u64,
    canceled: u64,
    expired: u64,
    /// How many may wait, pending or blocked, before clients hear 429 and events wait.
    pending_max: u32,
    /// The same of the whole host.
    host_pending_max: u32,
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<InReach>,
) -> Result<Json<StatsJson>, Problem> {
    let reach = query.reach();
    let stats = commands::stats(&api.store, reach.clone()).await?;
    let host_pending_max = api.limits.queue.pending_max;
    let pending_max = match &reach {
        Reach::One(scope) => api.limits.queue.pending_max(scope).min(host_pending_max),
        Reach::All => host_pending_max,
    };
    let Stats { total, blocked, pending, running, completed, failed, canceled, expired } = stats;
    Ok(Json(StatsJson {
        total,
        blocked,
        pending,
        running,
        completed,
        failed,
        canceled,
        expired,
        pending_max,
        host_pending_max,
    }))
}

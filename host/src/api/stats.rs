//! How many commands a workspace has, state by state.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::extract::Parameters;
use super::json::InScope;
use super::problem::Problem;
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
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<StatsJson>, Problem> {
    let stats = commands::stats(&api.store, &scope.scope()?).await?;
    let Stats { total, blocked, pending, running, completed, failed, canceled, expired } = stats;
    let stats =
        StatsJson { total, blocked, pending, running, completed, failed, canceled, expired };
    Ok(Json(stats))
}

//! Whether the host lives, and whether it takes requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::problem::Problem;

pub(super) async fn live() -> StatusCode {
    StatusCode::OK
}

pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<StatusCode, Problem> {
    if api.draining.is_cancelled() {
        return Err(Problem::unavailable("draining", "the host is stopping"));
    }
    api.store.ping().await?;
    Ok(StatusCode::OK)
}

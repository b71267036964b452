//! The configuration, read again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::author::Acting;
use super::problem::Problem;
use crate::controllers::{ReloadError, Reloaded};
use crate::store::definitions::Counts;

#[derive(Debug, Serialize)]
pub(super) struct ReloadedJson {
    #[serde(flatten)]
    counts: Counts,
    restart_needed: Vec<&'static str>,
}

pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    Acting(store): Acting,
) -> Result<Json<ReloadedJson>, Problem> {
    let Reloaded { counts, restart_needed } = api.registrar.reload(&store).await?;
    Ok(Json(ReloadedJson { counts, restart_needed }))
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Store(error) => error.into(),
            ReloadError::Config { error, restart_needed } => {
                let title = "the configuration has errors; nothing has changed";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let problem =
                    Self::new(status, "invalid_configuration", title).at(&error.problems());
                if restart_needed.is_empty() {
                    return problem;
                }
                let sections = restart_needed.join(", ");
                problem.detail(format!("what has changed in {sections} takes a restart"))
            }
        }
    }
}

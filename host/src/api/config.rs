//! The configuration, read again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;
use super::author::AuditedStore;
use super::json::InScope;
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::controllers::{ReloadError, Reloaded};
use crate::model::problem::{Problem as Warning, Problems};
use crate::store::definitions::{Counts, LeftBehind};

#[derive(Debug, Serialize)]
pub(super) struct ReloadedJson {
    #[serde(flatten)]
    counts: Counts,
    restart_needed: Vec<&'static str>,
    /// Who names what is configured no more.
    left_behind: Vec<LeftBehind>,
    /// What is no error, and may not be meant so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Debug)]
pub(super) struct ReloadQuery {
    /// Whether others may be left without what they name.
    force: bool,
}

impl Query for ReloadQuery {
    fn read(given: &mut Given) -> Self {
        let _ = InScope::read(given);
        Self { force: given.flag("force").unwrap_or(false) }
    }
}

pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Parameters(query): Parameters<ReloadQuery>,
) -> Result<Json<ReloadedJson>, Problem> {
    let reloaded = api.registrar.reload(&store, query.force).await?;
    let Reloaded { counts, restart_needed, left_behind, warnings } = reloaded;
    let warnings = warnings.iter().cloned().collect();
    Ok(Json(ReloadedJson { counts, restart_needed, left_behind, warnings }))
}

fn in_use(left_behind: &[LeftBehind]) -> Problem {
    let mut problems = Problems::default();
    for LeftBehind { dependant, names, .. } in left_behind {
        let path = format!("{}.{}", dependant.kind, dependant.name);
        problems.add(path, format!("names the {names}, which is configured no more"));
    }
    let title = "others name what is configured no more; nothing has changed";
    Problem::new(StatusCode::CONFLICT, "in_use", title)
        .detail("with force=true it is taken all the same, and runs for an agent that is gone fail")
        .at(&problems)
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Store(error) => error.into(),
            ReloadError::InUse(left_behind) => in_use(&left_behind),
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

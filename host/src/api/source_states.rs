//! How observers and extensions fare: when they look, and why they failed.
//!
//! What they remember is their component's own, and is not shown.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::Api;
use super::author::AuditedStore;
use super::extract::Segment;
use super::json::{InScope, ScopeJson};
use super::parameters::Parameters;
use super::problem::Problem;
use crate::model::definition::DefinitionKind;
use crate::model::time::Time;
use crate::store::definitions::{self, Stored};
use crate::store::source_states::{self, SourceState};

/// The routes of both kinds.
pub(super) fn routes() -> Router<Arc<Api>> {
    let of_kind = |kind: DefinitionKind| {
        let path = format!("/api/v1/{}/{{id}}/state", kind.plural());
        Router::new().route(&path, get(show)).layer(Extension(kind))
    };
    of_kind(DefinitionKind::Observer)
        .merge(of_kind(DefinitionKind::Extension))
        .route("/api/v1/extensions/{id}/poll", post(poll))
}

#[derive(Debug, Serialize)]
struct SourceStateJson {
    id: String,
    name: String,
    #[serde(flatten)]
    scope: ScopeJson,
    enabled: bool,
    /// Whether it has come to a place to go on from.
    cursor: bool,
    /// None for what is off, and for what is told instead of looking.
    next_at: Option<Time>,
    last_at: Option<Time>,
    /// Since it last went well.
    failures: u32,
    last_error: Option<String>,
}

async fn show(
    State(api): State<Arc<Api>>,
    Extension(kind): Extension<DefinitionKind>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<SourceStateJson>, Problem> {
    let found = definitions::find(&api.store, kind, &scope.scope(), &id).await?;
    let definition = found.ok_or_else(|| Problem::not_found(kind.as_str()))?;
    let state = source_states::find(&api.store, &definition.id).await?;
    Ok(Json(SourceStateJson::new(&definition, state)))
}

/// Has an extension poll now; that is up to the replica that looks first.
async fn poll(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<SourceStateJson>), Problem> {
    let kind = DefinitionKind::Extension;
    let found = definitions::find(&api.store, kind, &scope.scope(), &id).await?;
    let definition = found.ok_or_else(|| Problem::not_found(kind.as_str()))?;
    if !definition.is_enabled() {
        let title = "the extension is switched off";
        return Err(Problem::new(StatusCode::CONFLICT, "disabled", title));
    }
    source_states::hasten(&store, &definition, api.clock.now()).await?;
    let state = source_states::find(&api.store, &definition.id).await?;
    Ok((StatusCode::ACCEPTED, Json(SourceStateJson::new(&definition, state))))
}

impl SourceStateJson {
    fn new(definition: &Stored, state: Option<SourceState>) -> Self {
        let enabled = definition.is_enabled();
        let state = state.as_ref();
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            scope: ScopeJson::from(&definition.scope),
            enabled,
            cursor: state.is_some_and(|state| state.cursor.is_some()),
            next_at: state.and_then(|state| state.next_at).filter(|_| enabled),
            last_at: state.and_then(|state| state.last_at),
            failures: state.map_or(0, |state| state.failures),
            last_error: state.and_then(|state| state.last_error.clone()),
        }
    }
}

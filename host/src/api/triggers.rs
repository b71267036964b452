//! Triggers, as they are defined.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::extract::{Parameters, Segment};
use super::json::{InScope, Listing, ScopeJson};
use super::problem::Problem;
use crate::model::definition::{Filter, Trigger};
use crate::model::id::TriggerId;
use crate::model::name::{Name, Slug};
use crate::model::scope::Scope;

#[derive(Debug, Serialize)]
pub(super) struct TriggerJson {
    id: TriggerId,
    name: Name,
    #[serde(flatten)]
    scope: ScopeJson,
    event: String,
    endpoint: Option<Slug>,
    filter: Option<FilterJson>,
    template: Name,
    prompt: String,
    agent: Name,
    enabled: bool,
}

#[derive(Debug, Serialize)]
struct FilterJson {
    component: Name,
    config: Value,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<Listing<TriggerJson>>, Problem> {
    let scope = scope.scope()?;
    Ok(Json(Listing::all(of(&api, &scope).map(TriggerJson::from).collect())))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Segment(name): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<TriggerJson>, Problem> {
    let scope = scope.scope()?;
    let found = of(&api, &scope).find(|trigger| trigger.name.as_str() == name);
    found.map(TriggerJson::from).map(Json).ok_or_else(|| Problem::not_found("trigger"))
}

fn of<'a>(api: &'a Api, scope: &'a Scope) -> impl Iterator<Item = &'a Trigger> {
    api.definitions.triggers.iter().filter(move |trigger| trigger.scope == *scope)
}

impl From<&Trigger> for TriggerJson {
    fn from(trigger: &Trigger) -> Self {
        Self {
            id: trigger.id.clone(),
            name: trigger.name.clone(),
            scope: ScopeJson::from(&trigger.scope),
            event: trigger.event.to_string(),
            endpoint: trigger.endpoint.clone(),
            filter: trigger.filter.as_ref().map(FilterJson::from),
            template: trigger.template.clone(),
            prompt: trigger.prompt.clone(),
            agent: trigger.agent.clone(),
            enabled: trigger.enabled,
        }
    }
}

impl From<&Filter> for FilterJson {
    fn from(filter: &Filter) -> Self {
        let config = serde_json::from_str(&filter.config).unwrap_or_default();
        Self { component: filter.component.clone(), config }
    }
}

//! Definitions on the wire: what the host knows of one, then its author's own words.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::json::ScopeJson;
use crate::controllers::Registrar;
use crate::model::definition::{Definition, DefinitionKind, DefinitionSource, Endpoint};
use crate::model::id::WebhookId;
use crate::model::problem::{Problem, Problems};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::definitions::Stored;

#[derive(Debug, Serialize)]
pub(super) struct DefinitionJson {
    id: String,
    name: String,
    #[serde(flatten)]
    scope: ScopeJson,
    /// Not `source`: endpoints have one of their own, the component that reads requests.
    defined_by: DefinitionSource,
    /// Where configuration has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    defined_at: Option<String>,
    enabled: bool,
    own_enabled: bool,
    overlay: bool,
    revision: i64,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookJson>,
    /// Of triggers and jobs, as far as their runs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fired_at: Option<Time>,
    /// What is no error, and may not be meant so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
    #[serde(flatten)]
    spec: Map<String, Value>,
}

/// Where senders find it.
#[derive(Debug, Serialize)]
struct WebhookJson {
    id: WebhookId,
    path: String,
}

impl DefinitionJson {
    pub(super) fn new(stored: Stored, registrar: &Registrar) -> Self {
        let webhook = webhook(&stored, registrar);
        let defined_at = match stored.source {
            DefinitionSource::Config => registrar.place(&stored.id),
            DefinitionSource::Package | DefinitionSource::Dynamic => None,
        };
        Self {
            scope: ScopeJson::from(&stored.scope),
            enabled: stored.is_enabled(),
            own_enabled: stored.own_enabled,
            overlay: stored.overlay.is_some(),
            defined_by: stored.source,
            defined_at,
            revision: stored.revision,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            webhook,
            last_fired_at: None,
            warnings: Vec::new(),
            spec: own_words(stored.spec),
            id: stored.id,
            name: stored.name,
        }
    }
}

impl DefinitionJson {
    /// The same, with when it last fired.
    pub(super) fn fired(self, last_fired_at: Option<Time>) -> Self {
        Self { last_fired_at, ..self }
    }

    /// The same, with what may not be meant as it is.
    pub(super) fn with_warnings(self, warnings: &Problems) -> Self {
        Self { warnings: warnings.iter().cloned().collect(), ..self }
    }
}

/// The spec without what stands beside it already.
fn own_words(spec: Value) -> Map<String, Value> {
    let Value::Object(mut table) = spec else { return Map::new() };
    for known in ["name", "workspace", "enabled"] {
        table.remove(known);
    }
    table
}

fn webhook(stored: &Stored, registrar: &Registrar) -> Option<WebhookJson> {
    if !matches!(stored.kind, DefinitionKind::Endpoint | DefinitionKind::Trigger) {
        return None;
    }
    let endpoint = match stored.definition(registrar.folder()).ok()? {
        Definition::Endpoint(endpoint) | Definition::Trigger(_, Some(endpoint)) => endpoint,
        _ => return None,
    };
    let path = endpoint.path();
    let Endpoint { id, .. } = endpoint;
    Some(WebhookJson { id, path })
}

/// The URL of a definition, below the host's.
pub(super) fn location(stored: &Stored) -> String {
    let (plural, id) = (stored.kind.plural(), &stored.id);
    match &stored.scope {
        Scope::Global => format!("/api/v1/{plural}/{id}"),
        Scope::Workspace(name) => format!("/api/v1/{plural}/{id}?workspace={name}"),
    }
}

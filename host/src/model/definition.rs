//! What operators define: endpoints, triggers, agents and the plugins they name.

use std::path::PathBuf;

use super::id::{TriggerId, WebhookId};
use super::name::{Kind, KindPattern, Name, Slug};
use super::scope::Scope;
use super::secret::SecretRef;

/// The greatest body an endpoint accepts unless it says otherwise, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest prompt, in bytes.
pub const PROMPT_BYTES_MAX: usize = 256 * 1024;

/// A webhook endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its stable identifier.
    pub id: WebhookId,
    /// Whose it is.
    pub scope: Scope,
    /// Its place in the URL.
    pub slug: Slug,
    /// The source component that reads its requests.
    pub source: Name,
    /// The secrets that verify them, any one of which will do; none when the endpoint declares
    /// `verification = "none"`.
    pub secrets: Vec<SecretRef>,
    /// The greatest body it accepts, in bytes.
    pub body_bytes_max: usize,
    /// Whether it answers at all.
    pub enabled: bool,
    /// What the source component is told, as JSON text.
    pub config: String,
}

impl Endpoint {
    /// Its path below the host's address.
    pub fn path(&self) -> String {
        match &self.scope {
            Scope::Global => format!("/webhooks/{}", self.slug),
            Scope::Workspace(name) => format!("/webhooks/{name}/{}", self.slug),
        }
    }
}

/// A filter component and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The component.
    pub component: Name,
    /// Its configuration, as JSON text.
    pub config: String,
}

/// A standing rule: which events make which agent do what.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its identifier, the same at every start.
    pub id: TriggerId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
    /// The kinds of event it considers.
    pub event: KindPattern,
    /// The one endpoint it listens to; any when absent.
    pub endpoint: Option<Slug>,
    /// What an event must satisfy; everything passes when absent.
    pub filter: Option<Filter>,
    /// The template component.
    pub template: Name,
    /// The template that makes the prompt.
    pub prompt: String,
    /// Who does the work.
    pub agent: Name,
    /// Whether it fires.
    pub enabled: bool,
}

impl Trigger {
    /// Whether the trigger considers an event of this scope, kind and endpoint at all.
    pub fn considers(&self, scope: &Scope, kind: &Kind, endpoint: &Slug) -> bool {
        self.scope == *scope
            && self.event.matches(kind)
            && self.endpoint.as_ref().is_none_or(|wanted| wanted == endpoint)
    }
}

/// A named profile that says who should do the work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Agent {
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
}

/// A component of the operator's own.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The name that endpoints and triggers call it by.
    pub name: Name,
    /// Its version, for the record.
    pub version: String,
    /// The `.wasm` file.
    pub path: PathBuf,
}

/// Everything defined, complete and consistent.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// The agents.
    pub agents: Vec<Agent>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// The plugins.
    pub plugins: Vec<Plugin>,
}

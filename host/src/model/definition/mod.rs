//! What operators define: agents, endpoints, triggers, jobs, hooks, observers, extensions, and the
//! plugins they name.

mod firing;
mod job;
mod profile;
mod sources;
mod trigger;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::envelope::Event;
use super::id::{AgentId, TriggerId, WebhookId};
use super::name::{Name, Slug};
use super::scope::Scope;
use super::secret::SecretRef;
use super::words::words;
pub use firing::{
    BACKOFF_MAX, Batching, CatchUp, DEFERRED_MAX, FireLimit, Over, Overlap, Priority, Retry,
    Untrusted,
};
pub use job::{Assignment, CATCH_UP_MAX, Job, MISFIRE_GRACE, Work};
pub use profile::{Demands, Profile};
pub use sources::{Extension, Hook, Observer, OnError, Point, Watch};
pub use trigger::{Filter, Overlooked, Trigger};

/// The greatest body an endpoint accepts unless it says otherwise, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest prompt, in bytes.
pub const PROMPT_BYTES_MAX: usize = 256 * 1024;

/// Why a prompt is none that an agent could be asked; none when it is one.
pub fn prompt_fault(prompt: &str) -> Option<String> {
    if prompt.trim().is_empty() {
        return Some("the prompt is empty".to_owned());
    }
    let bytes = prompt.len();
    (bytes > PROMPT_BYTES_MAX)
        .then(|| format!("the prompt has {bytes} bytes, more than {PROMPT_BYTES_MAX}"))
}

/// A sort of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// See [`Agent`].
    Agent,
    /// See [`Endpoint`].
    Endpoint,
    /// See [`Trigger`].
    Trigger,
    /// See [`Job`].
    Job,
    /// See [`Hook`].
    Hook,
    /// See [`Observer`].
    Observer,
    /// See [`Extension`].
    Extension,
}

impl DefinitionKind {
    /// Every kind: its word, and the word for many of them.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Agent, "agent", "agents"),
        (Self::Endpoint, "endpoint", "endpoints"),
        (Self::Trigger, "trigger", "triggers"),
        (Self::Job, "job", "jobs"),
        (Self::Hook, "hook", "hooks"),
        (Self::Observer, "observer", "observers"),
        (Self::Extension, "extension", "extensions"),
    ];

    /// The word in the store and in errors.
    pub fn as_str(self) -> &'static str {
        self.words().1
    }

    /// The word for a list of them: in TOML and in URLs.
    pub fn plural(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> &'static (Self, &'static str, &'static str) {
        &Self::ALL[self as usize]
    }
}

impl fmt::Display for DefinitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DefinitionKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word, _)| *word == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| format!("`{text}` is not a kind of definition"))
    }
}

/// Where a definition comes from, which decides who may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionSource {
    /// The host's configuration.
    Config,
    /// A package.
    Package,
    /// The API or the command line.
    Dynamic,
}

impl DefinitionSource {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Package => "package",
            Self::Dynamic => "dynamic",
        }
    }
}

impl FromStr for DefinitionSource {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "config" => Ok(Self::Config),
            "package" => Ok(Self::Package),
            "dynamic" => Ok(Self::Dynamic),
            _ => Err(format!("`{text}` is not a source: config, package or dynamic")),
        }
    }
}

/// One definition.
#[derive(Clone, Debug)]
pub enum Definition {
    /// An agent.
    Agent(Profile),
    /// An endpoint.
    Endpoint(Endpoint),
    /// A trigger, with the endpoint that it declares for itself.
    Trigger(Trigger, Option<Endpoint>),
    /// A job.
    Job(Job),
    /// A hook.
    Hook(Hook),
    /// An observer.
    Observer(Observer),
    /// An extension.
    Extension(Extension),
}

impl Definition {
    /// Whether it is switched on. An agent always is.
    pub fn is_enabled(&self) -> bool {
        match self {
            Self::Agent(_) => true,
            Self::Endpoint(endpoint) => endpoint.enabled,
            Self::Trigger(trigger, _) => trigger.enabled,
            Self::Job(job) => job.enabled,
            Self::Hook(hook) => hook.enabled,
            Self::Observer(observer) => observer.enabled,
            Self::Extension(extension) => extension.enabled,
        }
    }

    /// The components that it names.
    pub fn components(&self) -> Vec<&Name> {
        match self {
            Self::Agent(_) | Self::Job(_) => Vec::new(),
            Self::Endpoint(endpoint) => vec![&endpoint.source],
            Self::Trigger(trigger, own) => {
                let filter = trigger.filter.as_ref().map(|filter| &filter.component);
                let source = own.as_ref().map(|endpoint| &endpoint.source);
                std::iter::once(&trigger.template).chain(filter).chain(source).collect()
            }
            Self::Hook(hook) => vec![&hook.component],
            Self::Observer(observer) => vec![&observer.component],
            Self::Extension(extension) => vec![&extension.component],
        }
    }

    /// Switches it on or off; an agent cannot be.
    pub fn set_enabled(&mut self, enabled: bool) {
        match self {
            Self::Agent(_) => {}
            Self::Endpoint(endpoint) => endpoint.enabled = enabled,
            Self::Trigger(trigger, _) => trigger.enabled = enabled,
            Self::Job(job) => job.enabled = enabled,
            Self::Hook(hook) => hook.enabled = enabled,
            Self::Observer(observer) => observer.enabled = enabled,
            Self::Extension(extension) => extension.enabled = enabled,
        }
    }
}

/// Who should do the work: a name, below which a [`Profile`] says how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Agent {
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
}

impl Agent {
    /// Its identifier when it comes from configuration.
    pub fn id(&self) -> AgentId {
        AgentId::derive(&self.scope, self.name.as_str())
    }
}

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
    /// What becomes of a delivery that reads like an earlier one and is called otherwise.
    pub replay: Replay,
    /// The trigger that declares it for itself: only that one fires for its events.
    pub owner: Option<TriggerId>,
}

words! {
    /// What becomes of a delivery that reads like an earlier one, where its name is not signed: a
    /// sender may have said the same twice, or somebody sends again what he has overheard.
    #[derive(Default)]
    Replay ("a way to treat replays") {
        /// It is an event, and says which one it reads like.
        #[default]
        Mark = "mark",
        /// It is refused.
        Refuse = "refuse",
    }
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

/// A component of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The name that endpoints and triggers call it by.
    pub name: Name,
    /// Its version, for the record.
    pub version: String,
    /// The `.wasm` file.
    pub path: PathBuf,
}

/// Everything defined but the jobs, which stay in the store until they are due: complete,
/// consistent, and with every definition switched on or off as it is in effect.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// The agents.
    pub agents: Vec<Profile>,
    /// The endpoints, those that triggers declare for themselves among them.
    pub endpoints: Vec<Endpoint>,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// The hooks, by name.
    pub hooks: Vec<Hook>,
    /// The observers.
    pub observers: Vec<Observer>,
    /// The extensions.
    pub extensions: Vec<Extension>,
    /// Which endpoint belongs to which trigger alone.
    pub owners: HashMap<WebhookId, TriggerId>,
    /// How long commands wait for a worker where nobody says so, by the host's configuration.
    pub queue_timeout: Option<Duration>,
}

impl Definitions {
    /// The trigger that an event's endpoint belongs to alone, if it does.
    pub fn owner_of(&self, event: &Event) -> Option<&TriggerId> {
        self.owners.get(&event.endpoint()?.webhook_id)
    }

    /// Adds one definition; jobs are left out.
    pub fn add(&mut self, definition: Definition) {
        match definition {
            Definition::Agent(profile) => self.agents.push(profile),
            Definition::Endpoint(endpoint) => self.endpoints.push(endpoint),
            Definition::Trigger(trigger, endpoint) => {
                if let Some(endpoint) = endpoint {
                    self.owners.insert(endpoint.id.clone(), trigger.id.clone());
                    self.endpoints.push(endpoint);
                }
                self.triggers.push(trigger);
            }
            Definition::Job(_) => {}
            Definition::Hook(hook) => {
                let place = self.hooks.partition_point(|other| other.name < hook.name);
                self.hooks.insert(place, hook);
            }
            Definition::Observer(observer) => self.observers.push(observer),
            Definition::Extension(extension) => self.extensions.push(extension),
        }
    }
}

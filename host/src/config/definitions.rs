//! The definitions in `hillock.toml`: agents, endpoints, triggers and plugins, each parsed, then
//! held against the others.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::definition::{
    Agent, BODY_BYTES_MAX, Definitions, Endpoint, Filter, PROMPT_BYTES_MAX, Plugin, Trigger,
};
use crate::model::id::{TriggerId, WebhookId};
use crate::model::name::{Name, Slug};
use crate::model::problem::Problems;
use crate::model::scope::Scope;
use crate::model::secret::SecretRef;

/// The greatest `body_max` an endpoint may ask for, in bytes: a body is held in memory.
const BODY_BYTES_CEILING: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentEntry {
    name: String,
    #[serde(default)]
    workspace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointEntry {
    slug: String,
    #[serde(default)]
    workspace: String,
    #[serde(default = "generic")]
    source: String,
    secret_ref: Option<String>,
    secret_refs: Option<Vec<String>>,
    verification: Option<String>,
    body_max: Option<usize>,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    config: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerEntry {
    name: String,
    #[serde(default)]
    workspace: String,
    event: String,
    endpoint: Option<String>,
    filter: Option<toml::Table>,
    #[serde(default = "handlebars")]
    template: String,
    prompt: String,
    agent: String,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginEntry {
    name: String,
    path: PathBuf,
    #[serde(default = "unversioned")]
    version: String,
}

fn yes() -> bool {
    true
}
fn generic() -> String {
    "generic".to_owned()
}
fn handlebars() -> String {
    "handlebars".to_owned()
}
fn unversioned() -> String {
    "0.0.0".to_owned()
}

/// The entries as they stand in the file.
pub(super) struct Entries {
    pub(super) agents: Vec<AgentEntry>,
    pub(super) endpoints: Vec<EndpointEntry>,
    pub(super) triggers: Vec<TriggerEntry>,
    pub(super) plugins: Vec<PluginEntry>,
}

impl Entries {
    /// Everything that could be parsed; what could not is in `problems`.
    pub(super) fn into_definitions(self, folder: &Path, problems: &mut Problems) -> Definitions {
        let agents = each("agents", self.agents, |path, entry| entry.into_agent(path, problems));
        let endpoints = each("endpoints", self.endpoints, |path, entry| {
            entry.into_endpoint(path, folder, problems)
        });
        let triggers =
            each("triggers", self.triggers, |path, entry| entry.into_trigger(path, problems));
        let plugins =
            each("plugins", self.plugins, |path, entry| entry.into_plugin(path, folder, problems));
        unique("agents", "name", &agents, |agent| agent.clone(), problems);
        unique("endpoints", "slug", &endpoints, |e| (e.scope.clone(), e.slug.clone()), problems);
        unique("triggers", "name", &triggers, |t| (t.scope.clone(), t.name.clone()), problems);
        unique("plugins", "name", &plugins, |plugin| plugin.name.clone(), problems);
        for (path, trigger) in &triggers {
            resolve(path, trigger, &agents, &endpoints, problems);
        }
        Definitions {
            agents: without_paths(agents),
            endpoints: without_paths(endpoints),
            triggers: without_paths(triggers),
            plugins: without_paths(plugins),
        }
    }
}

/// A definition with the path of its entry, for what is still to be said of it.
type Placed<T> = (String, T);

fn each<E, T>(
    list: &str,
    entries: Vec<E>,
    mut parse: impl FnMut(&str, E) -> Option<T>,
) -> Vec<Placed<T>> {
    let parse = |(i, entry)| {
        let path = format!("{list}[{i}]");
        parse(&path, entry).map(|parsed| (path, parsed))
    };
    entries.into_iter().enumerate().filter_map(parse).collect()
}

fn without_paths<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|(_, definition)| definition).collect()
}

fn unique<T, K: Hash + Eq>(
    list: &str,
    field: &str,
    placed: &[Placed<T>],
    key: impl Fn(&T) -> K,
    problems: &mut Problems,
) {
    let mut seen = HashSet::new();
    for (path, definition) in placed {
        if !seen.insert(key(definition)) {
            problems.add(format!("{path}.{field}"), format!("stands twice among the {list}"));
        }
    }
}

fn resolve(
    path: &str,
    trigger: &Trigger,
    agents: &[Placed<Agent>],
    endpoints: &[Placed<Endpoint>],
    problems: &mut Problems,
) {
    let Trigger { scope, agent, endpoint, .. } = trigger;
    if !agents.iter().any(|(_, known)| known.name == *agent && known.scope == *scope) {
        problems.add(format!("{path}.agent"), format!("there is no agent `{agent}` ({scope})"));
    }
    let Some(slug) = endpoint else { return };
    if !endpoints.iter().any(|(_, known)| known.slug == *slug && known.scope == *scope) {
        problems
            .add(format!("{path}.endpoint"), format!("there is no endpoint `{slug}` ({scope})"));
    }
}

/// A field's value, or a problem at its path.
fn field<T, E: Display>(
    path: &str,
    name: &str,
    parsed: Result<T, E>,
    problems: &mut Problems,
) -> Option<T> {
    problems.take(&format!("{path}.{name}"), parsed)
}

impl AgentEntry {
    fn into_agent(self, path: &str, problems: &mut Problems) -> Option<Agent> {
        let name = field(path, "name", self.name.parse(), problems);
        let scope = field(path, "workspace", Scope::parse(&self.workspace), problems);
        Some(Agent { scope: scope?, name: name? })
    }
}

impl EndpointEntry {
    fn into_endpoint(self, path: &str, folder: &Path, problems: &mut Problems) -> Option<Endpoint> {
        let secrets = self.secrets(path, folder, problems);
        let body_bytes_max = field(path, "body_max", self.body_bytes_max(), problems);
        let config = field(path, "config", serde_json::to_string(&self.config), problems);
        let slug = field(path, "slug", parse_slug(&self.slug), problems);
        let scope = field(path, "workspace", Scope::parse(&self.workspace), problems);
        let source = field(path, "source", self.source.parse(), problems);
        let (scope, slug) = (scope?, slug?);
        Some(Endpoint {
            id: WebhookId::derive(&scope, slug.as_str()),
            scope,
            slug,
            source: source?,
            secrets,
            body_bytes_max: body_bytes_max?,
            enabled: self.enabled,
            config: config?,
        })
    }

    fn secrets(&self, path: &str, folder: &Path, problems: &mut Problems) -> Vec<SecretRef> {
        let one = self.secret_ref.iter().map(|text| ("secret_ref".to_owned(), text));
        let many = self.secret_refs.iter().flatten().enumerate();
        let many = many.map(|(i, text)| (format!("secret_refs[{i}]"), text));
        let refs: Vec<SecretRef> = one
            .chain(many)
            .filter_map(|(name, text)| field(path, &name, text.parse(), problems))
            .map(|secret| below(folder, secret))
            .collect();
        if self.secret_ref.is_some() && self.secret_refs.is_some() {
            problems
                .add(format!("{path}.secret_refs"), "stands beside secret_ref: give one of them");
        }
        let named = self.secret_ref.iter().chain(self.secret_refs.iter().flatten()).count() > 0;
        match (self.verification.as_deref(), named) {
            (None, true) | (Some("none"), false) => {}
            (None, false) => problems.add(
                format!("{path}.secret_ref"),
                "is missing: name a secret, or say verification = \"none\" to accept anything",
            ),
            (Some("none"), true) => problems.add(
                format!("{path}.verification"),
                "is \"none\" beside a secret: a secret is never optional",
            ),
            (Some(other), _) => problems.add(
                format!("{path}.verification"),
                format!(
                    "`{other}` is not known: only \"none\" is, for an endpoint without a secret"
                ),
            ),
        }
        refs
    }

    fn body_bytes_max(&self) -> Result<usize, String> {
        match self.body_max.unwrap_or(BODY_BYTES_MAX) {
            bytes @ 1..=BODY_BYTES_CEILING => Ok(bytes),
            bytes => Err(format!("{bytes} bytes do not lie between 1 and {BODY_BYTES_CEILING}")),
        }
    }
}

fn below(folder: &Path, secret: SecretRef) -> SecretRef {
    match secret {
        SecretRef::File(path) => SecretRef::File(folder.join(path)),
        SecretRef::Env(_) => secret,
    }
}

/// A slug that cannot be taken for an endpoint's identifier, which stands in the same place.
fn parse_slug(text: &str) -> Result<Slug, String> {
    if text.parse::<WebhookId>().is_ok() {
        return Err(format!("`{text}` has the form of a webhook's identifier"));
    }
    text.parse().map_err(|reason: crate::model::name::InvalidName| reason.to_string())
}

impl TriggerEntry {
    fn into_trigger(self, path: &str, problems: &mut Problems) -> Option<Trigger> {
        let filter = self.filter.and_then(|table| parse_filter(path, table, problems));
        let endpoint = self.endpoint.map(|slug| field(path, "endpoint", slug.parse(), problems));
        let prompt = field(path, "prompt", parse_prompt(self.prompt), problems);
        let name: Option<Name> = field(path, "name", self.name.parse(), problems);
        let scope = field(path, "workspace", Scope::parse(&self.workspace), problems);
        let event = field(path, "event", self.event.parse(), problems);
        let template = field(path, "template", self.template.parse(), problems);
        let agent = field(path, "agent", self.agent.parse(), problems);
        let (scope, name) = (scope?, name?);
        Some(Trigger {
            id: TriggerId::derive(&scope, name.as_str()),
            scope,
            name,
            event: event?,
            endpoint: match endpoint {
                Some(parsed) => Some(parsed?),
                None => None,
            },
            filter,
            template: template?,
            prompt: prompt?,
            agent: agent?,
            enabled: self.enabled,
        })
    }
}

fn parse_prompt(prompt: String) -> Result<String, String> {
    match prompt.len() {
        _ if prompt.trim().is_empty() => Err("is empty: an agent needs something to do".to_owned()),
        bytes if bytes > PROMPT_BYTES_MAX => {
            Err(format!("has {bytes} bytes, more than {PROMPT_BYTES_MAX}"))
        }
        _ => Ok(prompt),
    }
}

/// `{ component = "…", config = … }` names a component; any other table is for `match`.
fn parse_filter(path: &str, mut table: toml::Table, problems: &mut Problems) -> Option<Filter> {
    let path = format!("{path}.filter");
    let (component, config) = match table.remove("component") {
        Some(toml::Value::String(component)) => {
            let config = table.remove("config").unwrap_or_else(|| toml::Table::new().into());
            if let Some(key) = table.keys().next() {
                problems.add(format!("{path}.{key}"), "only `component` and `config` stand here");
            }
            (component, config)
        }
        Some(_) => {
            problems.add(format!("{path}.component"), "is not a component's name");
            return None;
        }
        None => ("match".to_owned(), flat(table).into()),
    };
    let config = field(&path, "config", serde_json::to_string(&config), problems);
    let component = field(&path, "component", component.parse(), problems);
    Some(Filter { component: component?, config: config? })
}

/// Tables within a table as dotted keys, so that `data.action = "opened"` says what it seems to.
fn flat(table: toml::Table) -> toml::Table {
    let mut paths = toml::Table::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                paths.extend(flat(inner).into_iter().map(|(rest, v)| (format!("{key}.{rest}"), v)));
            }
            scalar => {
                paths.insert(key, scalar);
            }
        }
    }
    paths
}

impl PluginEntry {
    fn into_plugin(self, path: &str, folder: &Path, problems: &mut Problems) -> Option<Plugin> {
        let name = field(path, "name", self.name.parse(), problems);
        if self.version.is_empty() || self.version.len() > 64 {
            problems.add(format!("{path}.version"), "must have 1 to 64 characters");
        }
        Some(Plugin { name: name?, version: self.version, path: folder.join(self.path) })
    }
}

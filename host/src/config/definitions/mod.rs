//! Definitions as their authors write them, in TOML or through the API: one JSON table each, parsed
//! into the types of `model`, then held against each other.

mod agent;
mod broken;
mod demands;
mod endpoint;
pub(crate) mod fields;
mod firing;
mod job;
mod sources;
#[cfg(test)]
mod tests;
mod trigger;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::definition::{
    Definition, DefinitionKind, Definitions, Endpoint, PROMPT_BYTES_MAX, Plugin,
};
use crate::model::name::{Name, Slug};
use crate::model::problem::Problems;
use crate::model::scope::Scope;
pub use broken::Broken;
use fields::{Fields, some_text, text, word};

/// A definition as its author wrote it, with what it was parsed to.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Where it stands: `triggers[0]`, or `automations.d/nightly.toml: jobs[2]`.
    pub path: String,
    /// What it is.
    pub kind: DefinitionKind,
    /// Its own words. Its scope and name are in them.
    pub spec: Value,
    /// What they mean.
    pub definition: Definition,
}

impl Declared {
    /// Whose it is.
    pub fn scope(&self) -> &Scope {
        match &self.definition {
            Definition::Agent(profile) => &profile.agent.scope,
            Definition::Endpoint(endpoint) => &endpoint.scope,
            Definition::Trigger(trigger, _) => &trigger.scope,
            Definition::Job(job) => &job.scope,
            Definition::Hook(hook) => &hook.scope,
            Definition::Observer(observer) => &observer.scope,
            Definition::Extension(extension) => &extension.scope,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match &self.definition {
            Definition::Agent(profile) => profile.agent.name.as_str(),
            Definition::Endpoint(endpoint) => endpoint.slug.as_str(),
            Definition::Trigger(trigger, _) => trigger.name.as_str(),
            Definition::Job(job) => job.name.as_str(),
            Definition::Hook(hook) => hook.name.as_str(),
            Definition::Observer(observer) => observer.name.as_str(),
            Definition::Extension(extension) => extension.name.as_str(),
        }
    }

    /// Its identifier.
    pub fn id(&self) -> String {
        match &self.definition {
            Definition::Agent(profile) => profile.agent.id().into(),
            Definition::Endpoint(endpoint) => endpoint.id.clone().into(),
            Definition::Trigger(trigger, _) => trigger.id.clone().into(),
            Definition::Job(job) => job.id.clone().into(),
            Definition::Hook(hook) => hook.id.clone().into(),
            Definition::Observer(observer) => observer.id.clone().into(),
            Definition::Extension(extension) => extension.id.clone().into(),
        }
    }
}

/// Parses one definition. Relative paths in it are below `folder`. `id` is its identifier when it
/// has one that is not made of its scope and name.
///
/// None, and at least one problem below `path`, when anything is wrong with it.
pub fn parse(
    kind: DefinitionKind,
    path: &str,
    spec: &Value,
    id: Option<&str>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<Definition> {
    fn known<T: std::str::FromStr>(id: Option<&str>) -> Option<T> {
        id.and_then(|id| id.parse().ok())
    }
    let mut own = Problems::default();
    let fields = Fields::open(path, spec.clone(), &mut own);
    let parsed = fields.and_then(|fields| match kind {
        DefinitionKind::Agent => agent::parse(fields).map(Definition::Agent),
        DefinitionKind::Endpoint => {
            endpoint::parse(fields, known(id), folder).map(Definition::Endpoint)
        }
        DefinitionKind::Trigger => trigger::parse(fields, known(id), folder)
            .map(|(trigger, endpoint)| Definition::Trigger(trigger, endpoint)),
        DefinitionKind::Job => job::parse(fields, known(id)).map(Definition::Job),
        DefinitionKind::Hook => sources::hook(fields, known(id)).map(Definition::Hook),
        DefinitionKind::Observer => {
            sources::observer(fields, known(id), folder).map(Definition::Observer)
        }
        DefinitionKind::Extension => {
            sources::extension(fields, known(id), folder).map(Definition::Extension)
        }
    });
    let sound = own.is_empty();
    problems.append(own);
    parsed.filter(|_| sound)
}

/// What is left of a definition that cannot be parsed because of these faults, to look for others.
pub fn broken(
    kind: DefinitionKind,
    path: &str,
    spec: &Value,
    faults: &Problems,
    folder: &Path,
) -> Option<Broken> {
    Broken::of(kind, path, spec, faults, folder)
}

/// Everything that a folder of configuration declares: what is sound, and what is left of the rest.
/// What they name is looked for among them if they are all that there is.
pub(super) fn parse_all(
    lists: Vec<(DefinitionKind, String, Vec<Value>)>,
    folder: &Path,
    complete: bool,
    problems: &mut Problems,
) -> (Vec<Declared>, Vec<Broken>) {
    let (mut declared, mut rest) = (Vec::new(), Vec::new());
    for (kind, prefix, specs) in lists {
        for (i, spec) in specs.into_iter().enumerate() {
            let path = format!("{prefix}{}[{i}]", kind.plural());
            let mut faults = Problems::default();
            match parse(kind, &path, &spec, None, folder, &mut faults) {
                Some(definition) => declared.push(Declared { path, kind, spec, definition }),
                None => rest.extend(broken(kind, &path, &spec, &faults, folder)),
            }
            problems.append(faults);
        }
    }
    let named = rest.iter().filter(|broken| broken.is_named()).map(|broken| &broken.declared);
    let all: Vec<Declared> = declared.iter().chain(named).cloned().collect();
    unique(&all, problems);
    if complete {
        resolve_all(&declared, &rest, &snapshot(&all), problems);
    }
    (declared, rest)
}

fn resolve_all(
    declared: &[Declared],
    rest: &[Broken],
    known: &Definitions,
    problems: &mut Problems,
) {
    for one in declared {
        resolve(&one.path, &one.definition, known, problems);
    }
    for broken in rest {
        let (one, mut found) = (&broken.declared, Problems::default());
        resolve(&one.path, &one.definition, known, &mut found);
        problems.append(broken.meant(found));
    }
}

/// What is declared, as the host works with it.
pub fn snapshot(declared: &[Declared]) -> Definitions {
    let mut definitions = Definitions::default();
    for one in declared {
        definitions.add(one.definition.clone());
    }
    definitions
}

fn unique(declared: &[Declared], problems: &mut Problems) {
    let mut seen = HashSet::new();
    let mut slugs = HashSet::new();
    for one in declared {
        let field = if one.kind == DefinitionKind::Endpoint { "slug" } else { "name" };
        if !seen.insert((one.kind, one.scope(), one.name())) {
            let reason = format!("stands twice among the {}", one.kind.plural());
            problems.add(format!("{}.{field}", one.path), reason);
        }
        let (slug, field) = match &one.definition {
            Definition::Endpoint(endpoint) => (&endpoint.slug, "slug"),
            Definition::Trigger(_, Some(endpoint)) => (&endpoint.slug, "endpoint_slug"),
            _ => continue,
        };
        if !slugs.insert((one.scope(), slug)) && one.kind == DefinitionKind::Trigger {
            problems.add(format!("{}.{field}", one.path), "stands twice among the endpoints");
        }
    }
}

/// Notes what a definition names and `known` does not have.
pub fn resolve(path: &str, definition: &Definition, known: &Definitions, problems: &mut Problems) {
    let mut agent = |scope: &Scope, name: &Name| {
        if known.profile(scope, name).is_none() {
            problems.add(format!("{path}.agent"), format!("there is no agent `{name}` ({scope})"));
        }
    };
    match definition {
        Definition::Trigger(trigger, own) => {
            agent(&trigger.scope, &trigger.agent);
            if let (None, Some(slug)) = (own, &trigger.endpoint) {
                endpoint(path, &trigger.scope, slug, &known.endpoints, problems);
            }
        }
        Definition::Job(job) => agent(&job.scope, &job.agent),
        _ => {}
    }
}

fn endpoint(
    path: &str,
    scope: &Scope,
    slug: &Slug,
    endpoints: &[Endpoint],
    problems: &mut Problems,
) {
    match endpoints.iter().find(|known| known.slug == *slug && known.scope == *scope) {
        Some(Endpoint { owner: None, .. }) => {}
        Some(_) => problems.add(
            format!("{path}.endpoint"),
            format!("`{slug}` belongs to another trigger, which declares it"),
        ),
        None => problems
            .add(format!("{path}.endpoint"), format!("there is no endpoint `{slug}` ({scope})")),
    }
}

/// The plugins, which are the host's own and no definitions.
pub(super) fn plugins(specs: Vec<Value>, folder: &Path, problems: &mut Problems) -> Vec<Plugin> {
    let mut plugins: Vec<Plugin> = Vec::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let path = format!("plugins[{i}]");
        let Some(fields) = Fields::open(&path, spec, problems) else { continue };
        let Some(plugin) = plugin(fields, folder) else { continue };
        if plugins.iter().any(|other| other.name == plugin.name) {
            problems.add(format!("{path}.name"), "stands twice among the plugins");
        }
        plugins.push(plugin);
    }
    plugins
}

fn plugin(mut fields: Fields<'_>, folder: &Path) -> Option<Plugin> {
    let name = fields.required("name", word);
    let path = fields.required("path", some_text);
    let version = fields.or("version", "0.0.0".to_owned(), |value| {
        Some(text(value)?)
            .filter(|version| (1..=64).contains(&version.len()))
            .ok_or_else(|| "must have 1 to 64 characters".to_owned())
    });
    fields.close();
    Some(Plugin { name: name?, version: version?, path: folder.join(PathBuf::from(path?)) })
}

/// `workspace`; the global scope when there is none.
fn scope(fields: &mut Fields<'_>) -> Option<Scope> {
    fields.or("workspace", Scope::Global, |value| {
        Scope::parse(&text(value)?).map_err(|reason| reason.to_string())
    })
}

fn prompt(value: &Value) -> Result<String, String> {
    let prompt = text(value)?;
    match prompt.len() {
        _ if prompt.trim().is_empty() => Err("is empty: an agent needs something to do".to_owned()),
        bytes if bytes > PROMPT_BYTES_MAX => {
            Err(format!("has {bytes} bytes, more than {PROMPT_BYTES_MAX}"))
        }
        _ => Ok(prompt),
    }
}

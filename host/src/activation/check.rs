//! Definitions, held against the components they name.

use std::fmt;
use std::sync::Arc;

use crate::config::definitions::{Broken, Declared};
use crate::model::definition::{Definition, Definitions, Endpoint, Hook, Trigger};
use crate::model::name::Name;
use crate::model::near::guess;
use crate::model::problem::{Problem, Problems};
use crate::model::prompts::Prompts;
use crate::model::redaction::Redaction;
use crate::model::scope::Scope;
use crate::sandbox::{Kind, Sandbox, SandboxError};

/// What asks components about definitions.
#[derive(Clone, Debug)]
pub struct Checker(Arc<Sandbox>);

impl Checker {
    /// Asks these components.
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        Self(sandbox)
    }

    /// From now on, what they say when they crash is told without what this one knows.
    pub fn redact(&self, redaction: Redaction) {
        self.0.redact(redaction);
    }

    /// Everything that they find wrong with what is declared, and with the partials that it puts
    /// into prompts.
    pub async fn problems(&self, declared: &[Declared], prompts: &Prompts) -> Problems {
        let mut problems = Problems::default();
        report("prompts", self.0.check_prompts(prompts).await, &mut problems);
        for one in declared {
            definition(&one.path, &one.definition, prompts, &self.0, &mut problems).await;
        }
        problems
    }

    /// Everything that they find wrong with a trigger's prompt, with these partials in it.
    pub async fn prompt_problems(&self, path: &str, one: &Trigger, prompts: &Prompts) -> Problems {
        let mut problems = Problems::default();
        template(path, one, prompts, &self.0, &mut problems).await;
        problems
    }

    /// The partials that are in effect.
    pub fn prompts(&self) -> Arc<Prompts> {
        self.0.prompts()
    }

    /// Brings others into effect.
    pub fn replace_prompts(&self, prompts: Prompts) {
        self.0.replace_prompts(prompts);
    }

    /// The components that definitions name and that are not there.
    pub fn absent(&self, definitions: &Definitions) -> Problems {
        let mut absent = Problems::default();
        let mut look = |what: &str, name: &dyn fmt::Display, component: &Name| {
            if self.0.kinds(component).is_none() {
                absent.add(
                    format!("the {what} `{name}`"),
                    format!("`{component}`, which is not there"),
                );
            }
        };
        for endpoint in &definitions.endpoints {
            look("endpoint", &endpoint.slug, &endpoint.source);
        }
        for trigger in &definitions.triggers {
            look("trigger", &trigger.name, &trigger.template);
            if let Some(filter) = &trigger.filter {
                look("trigger", &trigger.name, &filter.component);
            }
        }
        for hook in &definitions.hooks {
            look("hook", &hook.name, &hook.component);
        }
        for observer in &definitions.observers {
            look("observer", &observer.name, &observer.component);
        }
        for extension in &definitions.extensions {
            look("extension", &extension.name, &extension.component);
        }
        absent
    }

    /// The same, of what is left of definitions that are wrong already.
    pub async fn problems_beside(&self, broken: &[Broken], prompts: &Prompts) -> Problems {
        let mut all = Problems::default();
        for broken in broken {
            let one = &broken.declared;
            let mut found = Problems::default();
            definition(&one.path, &one.definition, prompts, &self.0, &mut found).await;
            all.append(broken.meant(found));
        }
        all
    }
}

/// Notes what components find wrong with one definition.
pub async fn definition(
    path: &str,
    definition: &Definition,
    prompts: &Prompts,
    sandbox: &Sandbox,
    problems: &mut Problems,
) {
    match definition {
        Definition::Endpoint(endpoint) => source(path, endpoint, sandbox, problems),
        Definition::Trigger(trigger, own) => {
            if let Some(endpoint) = own {
                source(path, endpoint, sandbox, problems);
            }
            filter(path, trigger, sandbox, problems).await;
            template(path, trigger, prompts, sandbox, problems).await;
        }
        Definition::Hook(one) => hook(path, one, sandbox, problems).await,
        Definition::Observer(one) => {
            let told = Told { component: &one.component, config: &one.config, scope: &one.scope };
            source_component(path, told, Kind::ObserverSource, sandbox, problems).await;
        }
        Definition::Extension(one) => {
            let told = Told { component: &one.component, config: &one.config, scope: &one.scope };
            source_component(path, told, Kind::ExtensionSource, sandbox, problems).await;
        }
        Definition::Agent(_) | Definition::Job(_) => {}
    }
}

/// A component, and what it is told.
struct Told<'d> {
    component: &'d Name,
    config: &'d str,
    scope: &'d Scope,
}

/// The points of a hook are all synchronous, or none is.
async fn hook(path: &str, hook: &Hook, sandbox: &Sandbox, problems: &mut Problems) {
    let pre_fire = hook.points.iter().any(|point| point.is_pre_fire());
    let kind = if pre_fire { Kind::PreFireHook } else { Kind::HookSource };
    let told = Told { component: &hook.component, config: &hook.config, scope: &hook.scope };
    source_component(path, told, kind, sandbox, problems).await;
}

async fn source_component(
    path: &str,
    told: Told<'_>,
    kind: Kind,
    sandbox: &Sandbox,
    problems: &mut Problems,
) {
    let Told { component, config, scope } = told;
    if expect(sandbox, &format!("{path}.component"), component, kind, problems) {
        let found = sandbox.check_config(kind, component, config, scope).await;
        report(&format!("{path}.config"), found, problems);
    }
}

fn source(path: &str, endpoint: &Endpoint, sandbox: &Sandbox, problems: &mut Problems) {
    let path = format!("{path}.source");
    expect(sandbox, &path, &endpoint.source, Kind::WebhookSource, problems);
}

async fn filter(path: &str, trigger: &Trigger, sandbox: &Sandbox, problems: &mut Problems) {
    let Some(filter) = &trigger.filter else { return };
    let path = format!("{path}.filter");
    if expect(sandbox, &path, &filter.component, Kind::Filter, problems) {
        let found = sandbox.check_filter(&filter.component, &filter.config, &trigger.scope).await;
        report(&path, found, problems);
    }
}

async fn template(
    path: &str,
    trigger: &Trigger,
    prompts: &Prompts,
    sandbox: &Sandbox,
    problems: &mut Problems,
) {
    let template = &trigger.template;
    if expect(sandbox, &format!("{path}.template"), template, Kind::PromptTemplate, problems) {
        let Trigger { prompt, scope, .. } = trigger;
        let found = sandbox.check_template(template, prompt, prompts, scope).await;
        report(&format!("{path}.prompt"), found, problems);
    }
}

/// Whether there is such a component of this kind; a problem when there is none.
fn expect(sandbox: &Sandbox, path: &str, name: &Name, kind: Kind, problems: &mut Problems) -> bool {
    match sandbox.kinds(name) {
        Some(kinds) if kinds.contains(&kind) => return true,
        Some(_) => problems.add(path, format!("`{name}` is not a {}", kind.as_str())),
        None => {
            let guess = guess(sandbox.names().map(Name::as_str), name.as_str());
            problems.add(path, format!("there is no component `{name}`{guess}"));
        }
    }
    false
}

fn report(path: &str, found: Result<Vec<Problem>, SandboxError>, problems: &mut Problems) {
    match found {
        Ok(found) => {
            for Problem { path: below, reason } in found {
                let dot = if below.is_empty() { "" } else { "." };
                problems.add(format!("{path}{dot}{below}"), reason);
            }
        }
        Err(error) => problems.add(path, error),
    }
}

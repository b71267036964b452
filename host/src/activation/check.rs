//! Definitions, held against the components they name.

use crate::model::definition::{Definitions, Endpoint, Trigger};
use crate::model::name::Name;
use crate::model::problem::{Problem, Problems};
use crate::sandbox::{Kind, Sandbox, SandboxError};

/// Everything that components find wrong with the definitions.
pub async fn problems(definitions: &Definitions, sandbox: &Sandbox) -> Problems {
    let mut problems = Problems::default();
    for (i, Endpoint { source, .. }) in definitions.endpoints.iter().enumerate() {
        expect(
            sandbox,
            &format!("endpoints[{i}].source"),
            source,
            Kind::WebhookSource,
            &mut problems,
        );
    }
    for (i, trigger) in definitions.triggers.iter().enumerate() {
        filter(&format!("triggers[{i}]"), trigger, sandbox, &mut problems).await;
        template(&format!("triggers[{i}]"), trigger, sandbox, &mut problems).await;
    }
    problems
}

async fn filter(path: &str, trigger: &Trigger, sandbox: &Sandbox, problems: &mut Problems) {
    let Some(filter) = &trigger.filter else { return };
    let path = format!("{path}.filter");
    if expect(sandbox, &path, &filter.component, Kind::Filter, problems) {
        let found = sandbox.check_filter(&filter.component, &filter.config, &trigger.scope).await;
        report(&path, found, problems);
    }
}

async fn template(path: &str, trigger: &Trigger, sandbox: &Sandbox, problems: &mut Problems) {
    let template = &trigger.template;
    if expect(sandbox, &format!("{path}.template"), template, Kind::PromptTemplate, problems) {
        let found = sandbox.check_template(template, &trigger.prompt, &trigger.scope).await;
        report(&format!("{path}.prompt"), found, problems);
    }
}

/// Whether there is such a component of this kind; a problem when there is none.
fn expect(sandbox: &Sandbox, path: &str, name: &Name, kind: Kind, problems: &mut Problems) -> bool {
    match sandbox.kinds(name) {
        Some(kinds) if kinds.contains(&kind) => return true,
        Some(_) => problems.add(path, format!("`{name}` is not a {}", kind.as_str())),
        None => problems.add(path, format!("there is no component `{name}`")),
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

//! A definition that is wrong in some places, without these places: what else is wrong with it is
//! found all the same, so that nobody has to mend one fault to hear of the next.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Declared, parse};
use crate::model::definition::{Definition, DefinitionKind};
use crate::model::problem::{Problem, Problems};

/// What is left of a definition. It is good for looking at and nothing else.
#[derive(Clone, Debug)]
pub struct Broken {
    /// As it would be without its faults.
    pub declared: Declared,
    /// The paths at which it says what its author did not.
    pub unsaid: Vec<String>,
}

/// Fields that only make sense together.
const TOGETHER: &[(DefinitionKind, &[&str])] = &[
    (DefinitionKind::Endpoint, &["secret_ref", "secret_refs", "verification"]),
    (DefinitionKind::Trigger, &["endpoint", "endpoint_slug", "webhook_secret_ref", "source"]),
    (DefinitionKind::Trigger, &["debounce", "batch"]),
    (DefinitionKind::Job, &["task", "prompt", "retry"]),
    (DefinitionKind::Hook, &["points", "on_error", "component", "config"]),
    (DefinitionKind::Observer, &["watch", "folders", "debounce", "agent", "interval"]),
    (DefinitionKind::Extension, &["component", "config"]),
];

/// The most fields that are left out before there is nothing worth looking at.
const LEFT_OUT_MAX: usize = 32;

impl Broken {
    /// What is left of a definition without its faults; none where that is nothing.
    pub(super) fn of(
        kind: DefinitionKind,
        path: &str,
        spec: &Value,
        faults: &Problems,
        folder: &Path,
    ) -> Option<Self> {
        let mut fields = spec.as_object()?.clone();
        let mut left_out = fields_of(path, faults);
        for (of, together) in TOGETHER {
            if *of == kind && together.iter().any(|field| left_out.iter().any(|out| out == field)) {
                left_out.extend(together.iter().map(|&field| field.to_owned()));
            }
        }
        if left_out.len() > LEFT_OUT_MAX {
            return None;
        }
        for field in &left_out {
            fields.remove(field);
        }
        for (field, value) in needed(kind, &fields) {
            if !fields.contains_key(field) {
                left_out.push(field.to_owned());
                fields.insert(field.to_owned(), value);
            }
        }
        let spec = Value::Object(fields);
        let definition = parse(kind, path, &spec, None, folder, &mut Problems::default())?;
        let declared = Declared { path: path.to_owned(), kind, spec, definition };
        let unsaid = left_out.iter().map(|field| format!("{path}.{field}")).collect();
        Some(Self { declared, unsaid })
    }

    /// Whether it has the name that its author gave it.
    pub(in crate::config) fn is_named(&self) -> bool {
        let field = match self.declared.definition {
            Definition::Endpoint(_) => "slug",
            _ => "name",
        };
        ![field, "workspace"].iter().any(|field| self.is_unsaid(&self.declared.path, field))
    }

    fn is_unsaid(&self, path: &str, field: &str) -> bool {
        self.unsaid.contains(&format!("{path}.{field}"))
    }

    /// Those of these problems that are its author's.
    pub fn meant(&self, problems: Problems) -> Problems {
        let is_unsaid = |problem: &Problem| {
            self.unsaid.iter().any(|path| {
                problem
                    .path
                    .strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        let mut meant = Problems::default();
        for problem in problems.iter().filter(|problem| !is_unsaid(problem)) {
            meant.add(&*problem.path, &problem.reason);
        }
        meant
    }
}

/// The fields of the definition at `path` that something is wrong with.
fn fields_of(path: &str, faults: &Problems) -> Vec<String> {
    let field = |problem: &Problem| {
        let below = problem.path.strip_prefix(path)?.strip_prefix('.')?;
        below.split(['.', '[']).next().map(str::to_owned)
    };
    let mut fields: Vec<String> = faults.iter().filter_map(field).collect();
    fields.sort();
    fields.dedup();
    fields
}

/// What no definition of the kind can be without, in any form that can be.
fn needed(kind: DefinitionKind, said: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let mut needed = match kind {
        DefinitionKind::Endpoint => vec![("slug", json!("unsaid"))],
        _ => vec![("name", json!("unsaid"))],
    };
    match kind {
        DefinitionKind::Agent => {}
        DefinitionKind::Endpoint => {
            if !said.contains_key("secret_ref") && !said.contains_key("secret_refs") {
                needed.push(("verification", json!("none")));
            }
        }
        DefinitionKind::Trigger => needed.extend([
            ("event", json!("unsaid")),
            ("prompt", json!("unsaid")),
            ("agent", json!("unsaid")),
        ]),
        DefinitionKind::Job => needed.extend([
            ("schedule", json!({ "every": "1h" })),
            ("prompt", json!("unsaid")),
            ("agent", json!("unsaid")),
        ]),
        DefinitionKind::Hook => {
            needed.extend([("points", json!(["run.failed"])), ("component", json!("unsaid"))]);
        }
        DefinitionKind::Observer => needed.push(("watch", json!("runs"))),
        DefinitionKind::Extension => needed.push(("component", json!("unsaid"))),
    }
    needed
}

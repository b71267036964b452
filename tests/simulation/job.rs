//! The jobs, and the trigger that hears of failed runs: what the store itself has to know.

use std::path::Path;

use hillock::config::definitions::{Declared, parse};
use hillock::model::definition::DefinitionKind;
use hillock::model::problem::Problems;
use hillock::model::time::Time;
use hillock::store::{Store, definitions};
use serde_json::{Value, json};

use super::rules::AGENTS;

/// Defines everything, before anything happens.
pub(super) async fn define(store: &Store, now: Time) {
    for agent in AGENTS {
        create(store, DefinitionKind::Agent, json!({ "name": agent }), now).await;
    }
    for job in jobs() {
        create(store, DefinitionKind::Job, job, now).await;
    }
    let hears = json!({
        "name": "hears",
        "agent": AGENTS[1],
        "event": "hook.run.failed",
        "prompt": "a run has failed",
    });
    create(store, DefinitionKind::Trigger, hears, now).await;
}

fn jobs() -> [Value; 4] {
    let job = |name: &str, every: &str, fields: Value| {
        let mut job = json!({
            "name": name,
            "agent": AGENTS[0],
            "schedule": { "every": every },
        });
        job.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        job
    };
    [
        job("tidy", "20s", json!({ "prompt": "tidy", "overlap": "skip" })),
        job("replace", "30s", json!({ "prompt": "work", "overlap": "replace" })),
        job(
            "catch-up",
            "40s",
            json!({ "prompt": "work", "overlap": "queue", "catch_up_policy": "catch_up" }),
        ),
        job("hand-over", "50s", json!({ "task": { "description": "work" }, "overlap": "replace" })),
    ]
}

async fn create(store: &Store, kind: DefinitionKind, spec: Value, now: Time) {
    let mut problems = Problems::default();
    let parsed = parse(kind, "it", &spec, None, Path::new(""), &mut problems);
    let definition = parsed.unwrap_or_else(|| panic!("{problems}"));
    let declared = Declared { path: "it".to_owned(), kind, spec, definition };
    definitions::create(store, declared.id(), declared, now).await.unwrap().unwrap();
}

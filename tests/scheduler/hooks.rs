//! Pre-fire hooks of jobs: every fire is asked about, and what they say is kept.

use std::sync::Arc;

use hillock::catalog::Catalog;
use hillock::clock::Clock;
use hillock::config::Limits;
use hillock::model::definition::{Definitions, Hook, OnError, Plugin, Point};
use hillock::model::id::HookId;
use hillock::model::run::RunStatus;
use hillock::model::scope::Scope;
use hillock::sandbox::Sandbox;
use hillock::schedule::{self, Gate};
use serde_json::{Value, json};

use super::fixture::{Host, at};
use crate::harness::components;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(a_hook_rewrites_and_another_cancels);

const HOUR: u64 = 3600;

async fn a_hook_rewrites_and_another_cancels(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({})).await;
    let rewriting = gate(&[("a", json!({ "mode": "rewrite" }))]);
    let tick = schedule::tick(&host.store, Clock, &rewriting, at(HOUR)).await.unwrap();
    assert_eq!((tick.fired, tick.skipped), (1, 0));
    let run = host.runs(&job).await.remove(0);
    assert!(run.made.prompt.contains("job.pre_fire job"), "{}", run.made.prompt);
    assert_eq!(run.made.stages.hooks[0].component.as_str(), "hostile-pre-fire");
    let claims = host.claim(at(HOUR)).await;
    assert_eq!(claims[0].prompt, run.made.prompt);
    host.database.execute("UPDATE runs SET status = 'completed', ended_at = started_at").await;

    let hooks =
        [("a", json!({ "mode": "rewrite" })), ("b", json!({ "mode": "cancel", "why": "no" }))];
    let canceling = gate(&hooks);
    let tick = schedule::tick(&host.store, Clock, &canceling, at(2 * HOUR)).await.unwrap();
    assert_eq!((tick.fired, tick.skipped), (0, 1));
    let stored = host.stored(&job).await;
    let by_hand = schedule::trigger(&host.store, Clock, &canceling, &stored, at(2 * HOUR)).await;
    assert!(by_hand.is_ok());
    for run in &host.runs(&job).await[1..] {
        assert_eq!(run.status, RunStatus::Canceled);
        assert_eq!(run.error.as_deref(), Some("hook `b`: no"));
    }
    assert_eq!(host.runs(&job).await.len(), 3);
}

fn gate(hooks: &[(&str, Value)]) -> Gate {
    let folder = components::folder();
    let name = || "hostile-pre-fire".parse().unwrap();
    let plugin = Plugin {
        name: name(),
        version: "0.1.0".to_owned(),
        path: folder.join("hostile_pre_fire.wasm"),
    };
    let cache = folder.join("compiled");
    let sandbox = Sandbox::open(Limits::default(), &[plugin], &cache).unwrap();
    let hook = |(hook, config): &(&str, Value)| Hook {
        id: HookId::derive(&Scope::Global, hook),
        scope: Scope::Global,
        name: hook.parse().unwrap(),
        points: vec![Point::JobPreFire],
        component: name(),
        config: config.to_string(),
        on_error: OnError::Cancel,
        enabled: true,
    };
    let hooks = hooks.iter().map(hook).collect();
    let definitions = Definitions { hooks, ..Definitions::default() };
    Gate::new(Arc::new(sandbox), Catalog::new(definitions))
}

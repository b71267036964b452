//! One event's failing trigger never disturbs the others, and a second activation nobody.

use std::sync::Arc;

use serde_json::json;

use super::{Scene, event};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_failing_trigger_fails_alone,
    an_event_is_activated_once,
    an_event_of_nobody_is_activated,
);

async fn a_failing_trigger_fails_alone(database: Database) {
    let failing = |mode: &str| json!({ "component": "hostile-filter", "config": { "mode": mode } });
    let triggers = json!([
        { "name": "a-fires" },
        { "name": "b-traps", "filter": failing("trap") },
        { "name": "c-loops", "filter": failing("loop") },
        { "name": "d-fires" },
        { "name": "e-grows", "template": "hostile-template", "prompt": "mode:grow" },
        { "name": "f-lacks", "prompt": "{{data.x}}" },
        { "name": "g-is-gone", "template": "no-such-template" },
        { "name": "h-fires" },
    ]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let outcomes = scene.outcomes(event(&json!({}))).await;
    let words: Vec<&str> = outcomes.iter().map(|(_, word)| *word).collect();
    assert_eq!(
        words,
        [
            "fired",
            "component_error",
            "component_error",
            "fired",
            "component_error",
            "render_error",
            "component_error",
            "fired"
        ]
    );
    assert_eq!(database.count("runs").await, 3);
}

async fn an_event_is_activated_once(database: Database) {
    let triggers = json!([{ "name": "a" }, { "name": "b", "batch": { "size": 9, "wait": "1h" } }]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let event = scene.accept(event(&json!({}))).await;
    assert_eq!(scene.activator.activate(Arc::clone(&event)).await.unwrap(), Some(1));
    assert_eq!(scene.activator.activate(Arc::clone(&event)).await.unwrap(), None);
    for (table, count) in [("runs", 1), ("decisions", 2), ("gatherings", 1), ("gathered", 1)] {
        assert_eq!(database.count(table).await, count, "{table}");
    }
}

async fn an_event_of_nobody_is_activated(database: Database) {
    let scene = Scene::of_triggers(&database, json!([{ "name": "t", "event": "other" }])).await;
    assert!(scene.decide(event(&json!({}))).await.is_empty());
}

//! Pre-fire hooks between template and run.

use hillock::model::content::Content;
use hillock::model::decision::Verdict;
use serde_json::{Value, json};

use super::{Scene, event};
use crate::harness::database::Database;

const COMPONENT: &str = "hostile-pre-fire";

fn hook(name: &str, mode: &str) -> Value {
    let config = json!({ "mode": mode, "why": "not on Sundays" });
    json!({ "name": name, "points": ["trigger.pre_fire"], "component": COMPONENT, "config": config })
}

/// The same, with more to say.
fn with(mut hook: Value, field: &str, value: impl Into<Value>) -> Value {
    hook[field] = value.into();
    hook
}

async fn scene(database: &Database, hooks: Value) -> Scene {
    let triggers = json!([{ "name": "t", "prompt": "{{fence data.a}}" }]);
    Scene::new(database, json!({ "triggers": triggers, "hooks": hooks })).await
}

#[tokio::test]
async fn hooks_are_asked_in_the_order_of_their_names() {
    let database = Database::sqlite();
    let hooks = json!([hook("c", "ok"), hook("b", "rewrite"), hook("a", "rewrite")]);
    let scene = scene(&database, hooks).await;
    let event = event(&json!({"a": "say \"hi\""}));
    let (id, received_at) = (event.id.clone(), event.received_at.as_millis());
    let run = scene.fired(event).await;
    // What `rewrite` makes of the draft: all it was told.
    let trigger = scene.trigger("t").id;
    let told = format!("{id}:{trigger} trigger.pre_fire t {received_at} global  agent ");
    let prompt = run.made.prompt.strip_prefix(&told).expect(&run.made.prompt);
    let first = prompt.strip_prefix(&told).expect("`b` was given what `a` made of the prompt");
    assert!(first.starts_with("```\nsay \"hi\"\n``` {"), "{first}");
    assert!(first.contains(&format!("\"id\":\"{id}\"")), "the envelope is in {first}");
    assert_eq!(run.made.content, Content::Fenced);
    let asked: Vec<&str> =
        run.made.stages.hooks.iter().map(|origin| origin.component.as_str()).collect();
    assert_eq!(asked, [COMPONENT; 3]);
    assert!(run.made.stages.hooks[0].digest.starts_with("sha256:"));
}

#[tokio::test]
async fn a_hook_calls_a_run_off() {
    let database = Database::sqlite();
    let hooks = json!([hook("a", "ok"), hook("b", "cancel"), hook("c", "trap")]);
    let decided = scene(&database, hooks).await.decide(event(&json!({"a": 1}))).await;
    assert_eq!(decided[0].1, Verdict::Canceled("`b`: not on Sundays".to_owned()));
    assert_eq!((database.count("runs").await, database.count("commands").await), (0, 0));
}

#[tokio::test]
async fn a_failing_hook_means_what_it_is_said_to() {
    for mode in ["trap", "loop", "rewrite-long", "no-such-mode"] {
        let database = Database::sqlite();
        let decided = scene(&database, json!([hook("a", mode)])).await;
        let decided = decided.decide(event(&json!({"a": 1}))).await;
        let Verdict::Canceled(why) = &decided[0].1 else { panic!("{mode}: {decided:?}") };
        assert!(why.starts_with("`a`: ") && why.contains(COMPONENT), "{mode}: {why}");

        let allowing = json!([with(hook("a", mode), "on_error", "allow"), hook("b", "ok")]);
        let database = Database::sqlite();
        let run = scene(&database, allowing).await.fired(event(&json!({"a": 1}))).await;
        assert_eq!((&*run.made.prompt, run.made.stages.hooks.len()), ("```\n1\n```", 2), "{mode}");
    }
}

#[tokio::test]
async fn only_those_concerned_are_asked() {
    let database = Database::sqlite();
    let hooks = json!([
        with(hook("off", "cancel"), "enabled", false),
        with(hook("elsewhere", "cancel"), "workspace", "acme"),
        with(hook("of-jobs", "cancel"), "points", json!(["job.pre_fire"])),
    ]);
    let run = scene(&database, hooks).await.fired(event(&json!({"a": 1}))).await;
    assert!(run.made.stages.hooks.is_empty());
}

/// Hooks come before the limit: what they call off uses nothing of it.
#[tokio::test]
async fn a_canceled_fire_uses_no_room() {
    let database = Database::sqlite();
    let triggers =
        json!([{ "name": "t", "fire_limit": { "max": 1, "window": "1h", "over": "drop" } }]);
    let canceling = json!({ "triggers": triggers, "hooks": [hook("a", "cancel")] });
    let scene = Scene::new(&database, canceling).await;
    for _ in 0..3 {
        assert_eq!(scene.outcomes(event(&json!({}))).await[0].1, "canceled");
    }
    scene.catalog.replace(super::define(json!({ "triggers": triggers })));
    assert_eq!(scene.outcomes(event(&json!({}))).await[0].1, "fired");
    assert_eq!(scene.outcomes(event(&json!({}))).await[0].1, "limited");
}

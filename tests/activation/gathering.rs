//! Bursts and batches as activation fills and flushes them. A full batch is due at once, so nothing
//! here waits; what has to wait is in `patience`.

use futures_util::future::join_all;
use hillock::model::decision::Verdict;
use hillock::model::envelope::{BATCH_BYTES_MAX, Event};
use serde_json::{Value, json};

use super::{Scene, define, event, words};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_full_batch_is_one_run_of_all,
    a_batch_has_one_key,
    a_filter_comes_first,
    what_was_switched_off_meanwhile_does_not_fire,
    a_prompt_that_fails_is_everyones,
    a_hook_calls_a_batch_off,
    a_batch_too_large_is_not_rendered,
    a_limited_batch_makes_no_run,
    hosts_flush_once,
);

fn batching(more: Value) -> Value {
    let mut trigger = json!({
        "name": "digest",
        "prompt": "{{data.count}}:{{#each data.events}} {{data.n}}{{/each}}",
        "batch": { "size": 3, "wait": "1h" },
    });
    trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!([trigger])
}

async fn three(scene: &Scene) -> Vec<Event> {
    let mut all = vec![];
    for n in [1, 2, 3] {
        let event = event(&json!({ "n": n }));
        assert_eq!(scene.outcomes(event.clone()).await, [("digest".to_owned(), "held")]);
        all.push(event);
    }
    all
}

/// What became of these events, which is the same for all.
async fn verdict(scene: &Scene, events: &[Event]) -> Verdict {
    let mut found = vec![];
    for event in events {
        found.extend(scene.decisions(&event.id).await.into_iter().map(|(_, verdict)| verdict));
    }
    assert!(found.len() == events.len() && found.iter().all(|one| *one == found[0]), "{found:?}");
    found.swap_remove(0)
}

async fn a_full_batch_is_one_run_of_all(database: Database) {
    let scene = Scene::of_triggers(&database, batching(json!({}))).await;
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    let events = three(&scene).await;
    assert_eq!(scene.outcomes(event(&json!({ "n": 4 }))).await[0].1, "held");
    assert_eq!(scene.activator.flush().await.unwrap(), 1);
    let Verdict::Fired(run) = verdict(&scene, &events).await else { panic!("it fires") };
    let run = scene.run(&run).await;
    assert_eq!(run.made.prompt, "3: 1 2 3");
    assert_eq!(run.made.event_id.as_ref(), Some(&events[2].id));
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    assert_eq!((database.count("runs").await, database.count("gathered").await), (1, 1));
}

async fn a_batch_has_one_key(database: Database) {
    let keyed = json!({ "batch": { "size": 2, "wait": "1h", "key": "data.of" },
                        "prompt": "{{data.events.0.data.n}} {{data.events.1.data.n}}" });
    let scene = Scene::of_triggers(&database, batching(keyed)).await;
    let long = "x".repeat(100_000);
    for (n, of) in [
        (1, json!("a")),
        (2, json!("b")),
        (3, json!(7)),
        (4, json!(long)),
        (5, json!("7")),
        (6, json!(null)),
        (7, json!(format!("{long}y"))),
        (8, json!("a")),
        (9, json!({ "no": "scalar" })),
        (10, json!(long)),
    ] {
        scene.decide(event(&json!({ "n": n, "of": of }))).await;
    }
    assert_eq!(scene.activator.flush().await.unwrap(), 4);
    let page = hillock::store::PageRequest::new(50, None).unwrap();
    let scope = hillock::model::scope::Scope::Global;
    let runs = hillock::store::runs::list(&scene.store, &scope, &<_>::default(), page).await;
    let mut prompts: Vec<_> = runs.unwrap().items.into_iter().map(|run| run.made.prompt).collect();
    prompts.sort();
    assert_eq!(prompts, ["1 8", "3 5", "4 10", "6 9"]);
}

async fn a_filter_comes_first(database: Database) {
    let filtered = batching(json!({ "filter": { "data.keep": "yes" } }));
    let scene = Scene::of_triggers(&database, filtered).await;
    for (keep, wanted) in [("yes", "held"), ("no", "filtered"), ("yes", "held")] {
        let outcomes = scene.outcomes(event(&json!({ "keep": keep }))).await;
        assert_eq!(outcomes[0].1, wanted);
    }
    assert_eq!(database.count("gathered").await, 2);
}

async fn what_was_switched_off_meanwhile_does_not_fire(database: Database) {
    for without in [batching(json!({ "enabled": false })), json!([])] {
        let scene = Scene::of_triggers(&database, batching(json!({}))).await;
        let events = three(&scene).await;
        scene.catalog.replace(define(json!({ "triggers": without })));
        assert_eq!(scene.activator.flush().await.unwrap(), 0);
        assert_eq!(verdict(&scene, &events).await, Verdict::Disabled);
    }
    assert_eq!((database.count("runs").await, database.count("gatherings").await), (0, 0));
}

async fn a_prompt_that_fails_is_everyones(database: Database) {
    let lacking = batching(json!({ "prompt": "{{data.events.0.data.missing}}" }));
    let scene = Scene::of_triggers(&database, lacking).await;
    let events = three(&scene).await;
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    let Verdict::RenderError(why) = verdict(&scene, &events).await else { panic!("no prompt") };
    assert!(why.contains("missing"), "{why}");
}

async fn a_hook_calls_a_batch_off(database: Database) {
    let hook = json!({ "name": "guard", "points": ["trigger.pre_fire"],
                       "component": "hostile-pre-fire",
                       "config": { "mode": "cancel", "why": "later" } });
    let defined = json!({ "triggers": batching(json!({})), "hooks": [hook] });
    let scene = Scene::new(&database, defined).await;
    let events = three(&scene).await;
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    assert_eq!(verdict(&scene, &events).await, Verdict::Canceled("`guard`: later".to_owned()));
}

async fn a_batch_too_large_is_not_rendered(database: Database) {
    let large = batching(json!({ "batch": { "size": 9, "wait": "1h" }, "prompt": "{{kind}}" }));
    let scene = Scene::of_triggers(&database, large).await;
    let text = "x".repeat(1024 * 1024);
    let events: Vec<Event> = (0..9).map(|n| event(&json!({ "n": n, "text": text }))).collect();
    for event in &events {
        scene.decide(event.clone()).await;
    }
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    let Verdict::RenderError(why) = verdict(&scene, &events).await else { panic!("too large") };
    assert!(why.contains(&BATCH_BYTES_MAX.to_string()), "{why}");
}

async fn a_limited_batch_makes_no_run(database: Database) {
    let tight = batching(json!({ "fire_limit": { "max": 1, "window": "1h", "over": "drop" } }));
    let scene = Scene::of_triggers(&database, tight).await;
    let first = three(&scene).await;
    assert_eq!(scene.activator.flush().await.unwrap(), 1);
    let second = three(&scene).await;
    assert_eq!(scene.activator.flush().await.unwrap(), 0);
    assert!(matches!(verdict(&scene, &first).await, Verdict::Fired(_)));
    assert!(matches!(verdict(&scene, &second).await, Verdict::Limited(_)));
    assert_eq!((database.count("runs").await, database.count("gatherings").await), (1, 0));
}

async fn hosts_flush_once(database: Database) {
    let scene = Scene::of_triggers(&database, batching(json!({}))).await;
    let other = Scene::of_triggers(&database, batching(json!({}))).await;
    for n in 0..30 {
        let scene = if n % 2 == 0 { &scene } else { &other };
        let decided = scene.decide(event(&json!({ "n": n }))).await;
        assert_eq!(words(&decided)[0].1, "held");
    }
    let flushes = (0..8).map(|i| if i % 2 == 0 { &scene } else { &other });
    let flushed = join_all(flushes.map(|scene| scene.activator.flush())).await;
    let runs: usize = flushed.into_iter().map(Result::unwrap).sum();
    assert_eq!((runs, database.count("runs").await), (10, 10));
    assert_eq!((database.count("gatherings").await, database.count("gathered").await), (0, 0));
}

//! Fire limits from a delivery to its decision.

use std::sync::Arc;

use futures_util::future::join_all;
use hillock::model::decision::Verdict;
use hillock::model::scope::Scope;
use hillock::store::commands;
use serde_json::json;

use super::{Scene, event};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    rivals_never_go_beyond,
    sixty_an_hour_unless_it_is_said_otherwise,
    what_was_called_off_makes_room,
);

async fn rivals_never_go_beyond(database: Database) {
    let triggers = json!([
        { "name": "free", "fire_limit": "none" },
        { "name": "tight", "fire_limit": { "max": 5, "window": "1h", "over": "drop" } },
    ]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let decided = join_all((0..16).map(|_| scene.decide(event(&json!({}))))).await.concat();
    let count = |name: &str, word: &str| {
        let is = |(of, v): &&(String, Verdict)| of == name && v.outcome().as_str() == word;
        decided.iter().filter(is).count()
    };
    assert_eq!((count("free", "fired"), count("free", "limited")), (16, 0));
    assert_eq!((count("tight", "fired"), count("tight", "limited")), (5, 11));
    assert_eq!(database.count("runs").await, 21);
}

async fn sixty_an_hour_unless_it_is_said_otherwise(database: Database) {
    let scene = Scene::of_triggers(&database, json!([{ "name": "t" }])).await;
    let first = scene.fired(event(&json!({}))).await;
    for _ in 1..60 {
        scene.fired(event(&json!({}))).await;
    }
    let decided = scene.decide(event(&json!({}))).await;
    let in_an_hour = first.made.created_at + std::time::Duration::from_secs(3600);
    assert_eq!(decided[0].1, Verdict::Deferred(in_an_hour));
}

async fn what_was_called_off_makes_room(database: Database) {
    let limit =
        json!([{ "name": "t", "fire_limit": { "max": 1, "window": "1h", "over": "drop" } }]);
    let scene = Scene::of_triggers(&database, limit).await;
    let run = scene.fired(event(&json!({}))).await.made;
    let second = scene.accept(event(&json!({}))).await;
    scene.activator.activate(Arc::clone(&second)).await.unwrap();
    assert_eq!(scene.decisions(&second.id).await[0].1.outcome().as_str(), "limited");
    commands::cancel(&scene.store, &Scope::Global, &run.id, run.created_at).await.unwrap();
    scene.fired(event(&json!({}))).await;
}

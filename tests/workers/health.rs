//! How a worker fares, by a clock that the test puts forward, and who is told of it.

use std::time::Duration;

use hillock::model::time::Time;
use reqwest::Method;
use serde_json::{Value, json};

use super::link::{Introduction, Link};
use super::{CONFIG, Member};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

/// A trigger that is told of workers.
const TOLD: &str = r#"
        { name = "told", event = "hook.worker.*", agent = "witness", prompt = "{{kind}}" },
    ]
"#;

on_both_databases!(a_silent_worker_is_degraded_then_offline_and_back_with_a_word);

async fn a_silent_worker_is_degraded_then_offline_and_back_with_a_word(database: Database) {
    let triggers = CONFIG.trim_end().strip_suffix(']').unwrap();
    let config = format!("{triggers}{TOLD}");
    let folder = Folder::new(database, &config).await.with_clock();
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    told(&host, &["online"]).await;
    let health = async |wanted: &str| {
        wait::until(&format!("the worker to be {wanted}"), async || {
            (member.row(&host).await["health"] == wanted).then_some(())
        })
        .await;
    };
    put_forward(&folder, &host, 46).await;
    health("degraded").await;
    put_forward(&folder, &host, 45).await;
    health("offline").await;
    told(&host, &["online", "offline"]).await;
    // Looked at again and again, and told once.
    put_forward(&folder, &host, 100).await;
    link.beat(vec![]).await;
    health("online").await;
    told(&host, &["online", "offline", "online"]).await;

    put_forward(&folder, &host, 46).await;
    health("degraded").await;
    link.beat(vec![]).await;
    health("online").await;
    drop(link);
    health("offline").await;
    let _back = Link::welcome(&host, &member.credential, &introduction).await;
    told(&host, &["online", "offline", "online", "offline", "online"]).await;
}

/// Puts the clock forward by this many seconds; the host has seen it when this returns.
async fn put_forward(folder: &Folder, host: &Host, secs: u64) {
    let now = async || -> Time {
        let made = host.send(Method::POST, "workers/tokens", &json!({})).await;
        made.json()["created_at"].as_str().unwrap().parse().unwrap()
    };
    let span = Duration::from_secs(secs);
    let wanted = now().await + span;
    folder.advance(span);
    wait::until("the host's clock to be put forward", async || {
        (now().await >= wanted).then_some(())
    })
    .await;
}

/// Waits until these points of the worker were told, and no others.
async fn told(host: &Host, wanted: &[&str]) {
    let points = async || -> Vec<String> {
        let events = host.items("events").await;
        let worker = |event: &&Value| event["kind"].as_str().unwrap().starts_with("hook.worker.");
        let word = |event: &Value| event["kind"].as_str().unwrap()[12..].to_owned();
        events.iter().rev().filter(worker).map(word).collect()
    };
    wait::until(&format!("{wanted:?} to be told"), async || {
        let points = points().await;
        assert!(
            wanted.starts_with(&points.iter().map(String::as_str).collect::<Vec<_>>()),
            "{points:?}"
        );
        (points.len() == wanted.len()).then_some(())
    })
    .await;
}

//! A busy hour and a trigger's fire limit, through the program: what is over waits, is seen, and fires
//! when there is room, across a restart.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;
use crate::harness::{on_both_databases, wait};

on_both_databases!(what_is_over_waits_and_fires_in_order, switching_off_ends_what_waits);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
    [[triggers]]
    name = "busy"
    event = "webhook"
    agent = "agent"
    prompt = "{{data.n}}"
    fire_limit = { max = 2, window = "1h" }
"#;

async fn deliver(host: &Host, n: u32) -> String {
    let delivery = Delivery::new(&[], json!({ "n": n }).to_string().as_bytes());
    let id = host.deliver("open", delivery).await.event_id(202);
    host.decided(&id).await;
    id
}

async fn decision(host: &Host, event: &str) -> Value {
    host.read(&format!("events/{event}")).await["decisions"][0].clone()
}

async fn decided(host: &Host, event: &str, outcome: &str) {
    wait::until(&format!("{event} to be {outcome}"), async || {
        (decision(host, event).await["outcome"] == outcome).then_some(())
    })
    .await;
}

/// What the runs were asked, in the order they were made.
async fn prompts(host: &Host) -> Vec<Value> {
    let mut prompts = vec![];
    for run in host.items("runs").await.iter().rev() {
        let run = host.read(&format!("runs/{}", run["id"].as_str().unwrap())).await;
        prompts.push(run["prompt"].clone());
    }
    prompts
}

async fn what_is_over_waits_and_fires_in_order(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    let mut host = folder.serve().await;
    let mut ids = vec![];
    for n in 1..=5 {
        ids.push(deliver(&host, n).await);
    }
    assert_eq!(prompts(&host).await, ["1", "2"]);
    // Seen: in the event, the list, the explanation, the metrics and the log.
    let third = decision(&host, &ids[2]).await;
    assert_eq!(third["outcome"], "deferred");
    let listed = host.read("events?limit=10").await;
    assert_eq!(listed["items"][0]["outcomes"], json!({ "deferred": 1 }));
    assert_eq!(listed["items"][4]["outcomes"], json!({ "fired": 1 }));
    let explained = host.read(&format!("events/{}/explain", ids[2])).await;
    assert_eq!(explained["considered"][0]["held_until"], third["retry_at"]);
    let text = host.http.get(format!("{}/metrics", host.url)).bearer_auth(&host.key).send().await;
    let text = text.unwrap().text().await.unwrap();
    assert!(text.contains("hillock_decisions_total{outcome=\"deferred\"} 3\n"), "{text}");
    assert!(text.contains("hillock_deferred_fires 3.0\n"), "{text}");
    let log = folder.read("serve.log").unwrap();
    let lines = log.lines().filter(|line| line.contains("fire_limit"));
    assert_eq!(lines.count(), 1, "the first is said: {log}");
    let mut list = folder.hillock(&["event", "list"]);
    list.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    let shown = String::from_utf8(list.output().await.unwrap().stdout).unwrap();
    assert!(shown.contains("DECIDED") && shown.contains("deferred"), "{shown}");

    // A restart, and the window rolls on.
    host.process.stop().await;
    folder.advance(Duration::from_secs(3601));
    host = folder.serve().await;
    for id in &ids[2..4] {
        decided(&host, id, "fired").await;
    }
    assert_eq!(prompts(&host).await, ["1", "2", "3", "4"]);
    assert_eq!(decision(&host, &ids[4]).await["outcome"], "deferred");
    folder.advance(Duration::from_secs(3605));
    decided(&host, &ids[4], "fired").await;
    assert_eq!(prompts(&host).await.last().unwrap(), "5");
}

async fn switching_off_ends_what_waits(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    let host = folder.serve().await;
    for n in 1..=2 {
        deliver(&host, n).await;
    }
    let waiting = deliver(&host, 3).await;
    assert_eq!(decision(&host, &waiting).await["outcome"], "deferred");
    let off = host.send(Method::POST, "triggers/busy/disable", &json!({})).await;
    assert_eq!(off.status, 200, "{off:?}");
    folder.advance(Duration::from_secs(6));
    decided(&host, &waiting, "disabled").await;
    assert_eq!(prompts(&host).await, ["1", "2"]);
}

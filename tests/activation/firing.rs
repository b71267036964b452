//! Triggers fired by hand, through the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(a_trigger_is_fired_by_hand, what_does_not_fire_by_hand_says_why);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }, { name = "agent", workspace = "acme" }]
    endpoints = [{ slug = "open", verification = "none" },
                 { slug = "open", workspace = "acme", verification = "none" }]
    [[triggers]]
    name = "picky"
    event = "webhook"
    agent = "agent"
    filter = { "data.a" = "1" }
    prompt = "{{kind}} {{data.a}}"
    fire_limit = { max = 2, window = "1h" }
    [[triggers]]
    name = "off"
    event = "other.*"
    agent = "agent"
    prompt = "x"
    enabled = false
    [[triggers]]
    name = "plain"
    event = "other.*"
    agent = "agent"
    prompt = "{{kind}}"
"#;

async fn deliver(host: &Host, path: &str, body: &Value) -> String {
    let delivery = Delivery::new(&[], body.to_string().as_bytes());
    host.deliver(path, delivery).await.event_id(202)
}

async fn fire(host: &Host, trigger: &str, body: Value) -> Answer {
    host.send(Method::POST, &format!("triggers/{trigger}/fire"), &body).await
}

async fn run(host: &Host, fired: &Answer) -> Value {
    assert_eq!(fired.status, 201, "{fired:?}");
    host.read(&format!("runs/{}", fired.json()["run_id"].as_str().unwrap())).await
}

async fn a_trigger_is_fired_by_hand(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let event = deliver(&host, "open", &json!({ "a": 2 })).await;
    assert_eq!(host.decided(&event).await["decisions"][0]["outcome"], "filtered");

    let made = run(&host, &fire(&host, "picky", json!({ "event_id": event })).await).await;
    assert_eq!((&made["prompt"], &made["trigger"]), (&json!("webhook 2"), &json!("picky")));
    assert_eq!((&made["event_id"], &made["causes"]), (&Value::Null, &json!([event])));
    assert_eq!(made["stages"]["filter"], Value::Null);
    let decided = host.read(&format!("events/{event}")).await;
    assert_eq!(decided["decisions"][0]["outcome"], "filtered", "that was then");

    let id = host.read("triggers/picky").await["id"].as_str().unwrap().to_owned();
    let made = run(&host, &fire(&host, &id, json!({ "data": { "a": "by hand" } })).await).await;
    assert_eq!((&made["prompt"], &made["causes"]), (&json!("webhook by hand"), &json!([])));

    let limited = fire(&host, "picky", json!({ "event_id": event })).await;
    assert_eq!(limited.problem(429), "fire_limit");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3400..=3600).contains(&wait), "{wait}");
    let mut stream_of_runs = host.items("runs").await;
    assert_eq!(stream_of_runs.len(), 2);

    let made = run(&host, &fire(&host, "plain", json!({})).await).await;
    assert_eq!(made["prompt"], "other");
    stream_of_runs = host.items("runs").await;
    assert_eq!(stream_of_runs.len(), 3);
}

async fn what_does_not_fire_by_hand_says_why(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let others = deliver(&host, "acme/open", &json!({ "a": 1 })).await;
    let unknown = "evt_00000000000000000000000000000000";
    for (trigger, body, status, code) in [
        ("nobody", json!({}), 404, "not_found"),
        ("picky?workspace=acme", json!({}), 404, "not_found"),
        ("picky", json!({ "event_id": unknown }), 404, "not_found"),
        ("picky", json!({ "event_id": others }), 404, "not_found"),
        ("picky", json!({ "event_id": "evt_1" }), 422, "invalid_body"),
        ("picky", json!({ "event_id": others, "data": {} }), 422, "invalid_body"),
        ("picky", json!({ "prompt": "x" }), 422, "invalid_body"),
        ("picky", json!([]), 422, "invalid_body"),
        ("picky", json!({ "data": {} }), 422, "render_error"),
        ("off", json!({}), 409, "disabled"),
    ] {
        let (name, query) = trigger.split_once('?').unwrap_or((trigger, ""));
        let answer = host.send(Method::POST, &format!("triggers/{name}/fire?{query}"), &body).await;
        assert_eq!(answer.problem(status), code, "{trigger} {body}: {answer:?}");
    }
    assert!(host.items("runs").await.is_empty());
}

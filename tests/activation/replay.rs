//! Events that come in once more because somebody says so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(an_event_meets_the_triggers_of_today);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
    [[triggers]]
    name = "picky"
    event = "webhook"
    agent = "agent"
    filter = { "data.a" = "1" }
    prompt = "{{kind}} {{data.a}}"
"#;

async fn an_event_meets_the_triggers_of_today(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let delivery =
        || Delivery::new(&[("hillock-delivery", "d-1")], json!({ "a": 2 }).to_string().as_bytes());
    let first = host.deliver("open", delivery()).await.event_id(202);
    assert_eq!(host.decided(&first).await["decisions"][0]["outcome"], "filtered");

    let spec =
        json!({ "name": "wide", "event": "webhook", "agent": "agent", "prompt": "{{data.a}}" });
    assert_eq!(host.send(Method::POST, "triggers", &spec).await.status, 201);
    let answer = host.post(&format!("events/{first}/replay")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let second = answer.json()["id"].as_str().unwrap().to_owned();
    let decided = host.decided(&second).await;
    let outcomes: Vec<&Value> =
        decided["decisions"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["filtered", "fired"]);
    assert_eq!(decided["envelope"]["causes"], json!([first]));
    assert_eq!(decided["envelope"]["depth"], 0);
    for same in ["kind", "endpoint", "verified", "source"] {
        assert_eq!(decided[same], host.read(&format!("events/{first}")).await[same], "{same}");
    }
    // Its sender's delivery is the first one's still.
    assert_eq!(host.deliver("open", delivery()).await.event_id(200), first);
    // What has come in once more may do so again; what is not here may not.
    assert_eq!(host.post(&format!("events/{second}/replay")).await.status, 201);
    assert_eq!(host.post(&format!("events/{second}/replay?workspace=acme")).await.status, 404);
    assert_eq!(host.post("events/evt_0/replay").await.status, 404);
}

//! Observers of runs.

use serde_json::Value;

use super::{data, texts};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;
use crate::harness::wait;

const CONFIG: &str = r#"
agents = [{ name = "worker" }, { name = "reviewer" }, { name = "other", workspace = "acme" }]
endpoints = [{ slug = "open", verification = "none" }]

[[triggers]]
name = "work"
event = "webhook"
agent = "worker"
prompt = "work"

[[triggers]]
name = "review"
event = "run.completed"
agent = "reviewer"
prompt = "review {{data.id}}"

[[observers]]
name = "ends"
watch = "runs"
config = { statuses = ["completed", "failed"], agents = ["worker"] }

[[observers]]
name = "elsewhere"
workspace = "acme"
watch = "runs"

[[worker.agents]]
name = "worker"
command = ["true"]

[[worker.agents]]
name = "reviewer"
command = ["cat"]
"#;

async fn a_runs_end_is_an_event_that_triggers_fire_on(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let delivered = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let run = host.run_of(&delivered).await;
    host.run_with_status(&run, "completed").await;
    let event = wait::until("an event of the run's end", async || {
        data(&host, "ends").await.into_iter().next()
    })
    .await;
    assert_eq!((&event["kind"], &event["source"]), (&"run.completed".into(), &"observer".into()));
    assert_eq!((&event["depth"], &event["causes"]), (&1.into(), &Value::from(vec![run.as_str()])));
    assert_eq!(
        (&event["data"]["id"], &event["data"]["agent"]),
        (&run.as_str().into(), &"worker".into())
    );

    let review = host.run_of(event["id"].as_str().unwrap()).await;
    host.run_with_status(&review, "completed").await;
    assert_eq!(host.logs(&review).await, [("stdout".to_owned(), format!("review {run}"))]);
    // The reviewer's own end is none of the observer's.
    let again = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let again = host.run_of(&again).await;
    wait::until("the next event", async || (data(&host, "ends").await.len() == 2).then_some(()))
        .await;
    assert_eq!(texts(&data(&host, "ends").await, "/data/id"), [run, again]);
    assert_eq!(host.read("events?workspace=acme").await["items"], Value::Array(vec![]));
}

on_both_databases!(a_runs_end_is_an_event_that_triggers_fire_on);

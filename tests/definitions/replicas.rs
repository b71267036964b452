//! Two hosts on one PostgreSQL.

use reqwest::Method;
use serde_json::json;

use super::{OPEN, create, trigger};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::senders::Delivery;
use crate::harness::wait;

/// How soon a change must be in effect everywhere; a busy machine is forgiven.
const SOON: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test]
async fn what_one_is_told_the_other_does() {
    let folder = Folder::new(Database::postgres().await, OPEN).await;
    let (one, other) = (folder.serve().await, folder.serve().await);
    assert_ne!(one.url, other.url);

    create(&one, "endpoints", &json!({ "slug": "late", "verification": "none" })).await;
    let mut late = trigger("t");
    late["endpoint"] = "late".into();
    create(&one, "triggers", &late).await;
    let event = wait::within(SOON, "the endpoint to open on the other host", async || {
        let answer = other.deliver("late", Delivery::new(&[], b"{}")).await;
        (answer.status == 202).then(|| answer.event_id(202))
    })
    .await;
    // The trigger came a moment after the endpoint.
    drop(event);
    wait::within(SOON, "the trigger to fire on the other host", async || {
        let event = other.deliver("late", Delivery::new(&[], b"{}")).await.event_id(202);
        let event = other.decided(&event).await;
        (event["decisions"][0]["outcome"] == "fired").then_some(())
    })
    .await;

    // The other way round, at once for who is told.
    other.post("triggers/t/disable").await;
    assert_eq!(one.read("triggers/t").await["enabled"], false);
    wait::within(SOON, "the first host to notice", async || {
        let event = one.deliver("late", Delivery::new(&[], b"{}")).await.event_id(202);
        let event = one.decided(&event).await;
        (event["decisions"][0]["outcome"] == "disabled").then_some(())
    })
    .await;
}

/// Of two changes that are based on the same revision, one is made.
#[tokio::test]
async fn rivals_do_not_undo_one_another() {
    let folder = Folder::new(Database::postgres().await, OPEN).await;
    let hosts = [folder.serve().await, folder.serve().await];
    create(&hosts[0], "triggers", &trigger("t")).await;
    for round in 1..=10 {
        let tag = format!("\"{round}\"");
        let change = async |i: usize| {
            let content = json!({ "prompt": format!("{i} in {round}") });
            let request = hosts[i].request(Method::PATCH, "triggers/t").header("if-match", &tag);
            request.json(&content).send().await.unwrap().status().as_u16()
        };
        let (first, second) = tokio::join!(change(0), change(1));
        let mut statuses = [first, second];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "round {round}");
    }
    // Without a condition, both are made, one after the other.
    let change = async |i: usize, content: serde_json::Value| {
        let answer = hosts[i].send(Method::PATCH, "triggers/t", &content).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let first = change(0, json!({ "priority": "high" }));
    let second = change(1, json!({ "untrusted": "allowed" }));
    tokio::join!(first, second);
    let shown = hosts[0].read("triggers/t").await;
    assert_eq!(shown["revision"], 13);
    assert_eq!((&shown["priority"], &shown["untrusted"]), (&json!("high"), &json!("allowed")));
}

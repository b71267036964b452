//! Observers of the queue.

use std::time::Duration;

use serde_json::Value;

use super::{data, texts, worked};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

const BACKLOG: &str = "observers/backlog";
/// Nobody works for these agents.
const CONFIG: &str = r#"
agents = [{ name = "idle" }, { name = "other" }]
endpoints = [{ slug = "open", verification = "none" }]
triggers = [{ name = "all", event = "webhook", agent = "idle", prompt = "work" }]

[[observers]]
name = "backlog"
watch = "queue"
interval = "10s"
config = { above = 2, below = 0 }
"#;

async fn a_backlog_is_told_of_once_and_its_end_too(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    let mut host = folder.serve().await;
    let mut now = worked(&host, BACKLOG, &Value::Null).await;
    let mut runs = vec![];
    for _ in 0..3 {
        let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
        runs.push(host.run_of(&id).await);
        folder.advance(Duration::from_secs(10));
        now = worked(&host, BACKLOG, &now).await;
    }
    assert_eq!(texts(&data(&host, "backlog").await, "/kind"), ["queue.backlog"]);

    host.process.kill().await;
    let host = folder.serve().await;
    folder.advance(Duration::from_secs(10));
    now = worked(&host, BACKLOG, &now).await;
    for run in runs {
        assert_eq!(host.post(&format!("runs/{run}/cancel")).await.status, 200);
    }
    for _ in 0..2 {
        folder.advance(Duration::from_secs(10));
        now = worked(&host, BACKLOG, &now).await;
    }
    let events = data(&host, "backlog").await;
    assert_eq!(texts(&events, "/kind"), ["queue.backlog", "queue.cleared"]);
    assert_eq!(texts(&events, "/data/agent"), ["idle", "idle"]);
    assert_eq!(
        (&events[0]["data"]["waiting"], &events[1]["data"]["waiting"]),
        (&3.into(), &0.into())
    );
    // The first has waited for three looks.
    assert!(events[0]["data"]["oldest_ms"].as_u64().unwrap() >= 30_000, "{}", events[0]);
    assert_eq!(events[1]["data"]["oldest_ms"], Value::Null);
    assert_eq!(now["failures"], 0);
}

on_both_databases!(a_backlog_is_told_of_once_and_its_end_too);

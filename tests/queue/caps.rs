//! Caps: over them, clients hear so, and events wait in the inbox.

use reqwest::Method;
use serde_json::json;

use super::{commands, deliver, folder, id};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(a_full_workspace_takes_nothing_and_loses_nothing, a_full_host_takes_nothing);

async fn a_full_workspace_takes_nothing_and_loses_nothing(database: Database) {
    let job = "[[jobs]]\nname = \"nightly\"\nworkspace = \"acme\"\nagent = \"agent\"\n\
               prompt = \"work\"\nschedule = { cron = \"0 0 1 1 *\" }\n\
               [queue.workspaces.acme]\npending_max = 2\n";
    let folder = folder(database, "", job).await;
    let host = folder.serve().await;
    for _ in 0..2 {
        let event = deliver(&host, "acme").await;
        host.decided_in(&event, "acme").await;
    }
    let waiting = deliver(&host, "acme").await;
    for path in ["triggers/all/fire", "jobs/nightly/trigger", "jobs/nightly/backfill"] {
        let path = format!("{path}?workspace=acme");
        let range = json!({ "from": "2024-01-01T00:00:00Z", "to": "2024-01-01T00:00:00Z" });
        let body = if path.contains("backfill") { range } else { json!({}) };
        let refused = host.send(Method::POST, &path, &body).await;
        assert_eq!(refused.problem(429), "queue_full", "{path}");
        assert_eq!(refused.headers["retry-after"], "5");
    }
    // The others go on.
    let event = deliver(&host, "").await;
    host.run_of(&event).await;
    assert_eq!(host.post("triggers/all/fire").await.status, 400, "it wants a body");
    assert_eq!(host.send(Method::POST, "triggers/all/fire", &json!({})).await.status, 201);

    let event = host.read(&format!("events/{waiting}?workspace=acme")).await;
    assert!(event["activated_at"].is_null(), "{event}");
    let why = "2 commands wait already (workspace acme)";
    let explain = format!("events/{waiting}/explain?workspace=acme");
    assert_eq!(host.read(&explain).await["held_up_by"], why);
    let mut command = folder.hillock(&["--workspace", "acme", "event", "explain", &waiting]);
    let told =
        String::from_utf8(command.env("HILLOCK_URL", &host.url).output().await.unwrap().stdout)
            .unwrap();
    assert!(told.contains(&format!("held up    {why}: it goes on when there is room")), "{told}");
    let oldest = commands(&host, "acme").await.pop().unwrap();
    let canceled = host.post(&format!("commands/{}/cancel?workspace=acme", id(&oldest))).await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    host.decided_in(&waiting, "acme").await;
    assert!(host.read(&explain).await["held_up_by"].is_null());
    assert_eq!(commands(&host, "acme").await.len(), 3);
    let stats = host.read("stats?workspace=acme").await;
    assert_eq!((&stats["pending"], &stats["canceled"]), (&json!(2), &json!(1)));
}

async fn a_full_host_takes_nothing(database: Database) {
    let folder = folder(database, "", "[queue]\npending_max = 1\n").await;
    let host = folder.serve().await;
    let fire = async |workspace: &str| {
        let path = format!("triggers/all/fire?workspace={workspace}");
        host.send(Method::POST, &path, &json!({})).await
    };
    assert_eq!(fire("").await.status, 201);
    assert_eq!(fire("").await.problem(429), "queue_full");
    let refused = fire("acme").await;
    assert_eq!(refused.problem(429), "queue_full");
    let only = commands(&host, "").await.pop().unwrap();
    host.post(&format!("commands/{}/cancel", id(&only))).await;
    wait::until("room for another workspace's", async || {
        (fire("acme").await.status == 201).then_some(())
    })
    .await;
}

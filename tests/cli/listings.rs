//! What listings are narrowed by, and what they tell of time.

use serde_json::Value;

use super::{ask, contract_folder};
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

fn ids(listing: &Value) -> Vec<&str> {
    listing["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_are_found_by_time_outcome_and_delivery() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let opened = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let closed = host.deliver("github", github(Payload::IssueClosed, "d-2")).await.event_id(202);
    host.run_of(&opened).await;
    host.decided(&closed).await;
    for (flags, wanted) in [
        (&["--delivery-id", "d-1"][..], &[&opened][..]),
        (&["--delivery-id", "d-1", "--endpoint", "github"], &[&opened]),
        (&["--delivery-id", "d-1", "--endpoint", "elsewhere"], &[]),
        (&["--delivery-id", "d-2", "--outcome", "fired"], &[]),
        (&["--delivery-id", "d-3"], &[]),
        (&["--outcome", "fired"], &[&opened]),
        (&["--outcome", "filtered"], &[&closed]),
        (&["--since", "1h"], &[&closed, &opened]),
        (&["--since", "1h", "--until", "30m"], &[]),
        (&["--since", "2100-01-01T00:00:00Z"], &[]),
        (&["--until", "2000-01-01T00:00:00Z"], &[]),
    ] {
        let line = [&["event", "list", "--json"], flags].concat();
        let listing = ask(&folder, &host, &line).await.json();
        assert_eq!(ids(&listing), wanted, "{flags:?}");
    }
    for (query, path) in [
        ("outcome=lost", "outcome"),
        ("since=monday", "since"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("delivery=d-1", "delivery"),
    ] {
        let answer = host.get(&format!("events?{query}")).await;
        assert_eq!((answer.status, &answer.json()["problems"][0]["path"]), (400, &path.into()));
    }
}

#[tokio::test]
async fn triggers_say_when_they_last_fired_and_runs_how_long_they_took() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let before = host.read("triggers/triage-new-issues").await;
    assert_eq!(before["last_fired_at"], Value::Null);
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    let run = host.run_with_status(&run, "completed").await;
    let listed = ask(&folder, &host, &["trigger", "list", "--json"]).await.json();
    let triage =
        listed["items"].as_array().unwrap().iter().find(|one| one["name"] == "triage-new-issues");
    assert_eq!(triage.unwrap()["last_fired_at"], run["created_at"]);
    let shown = ask(&folder, &host, &["trigger", "show", "triage-new-issues"]).await.good();
    assert!(shown.contains(run["created_at"].as_str().unwrap()), "{shown}");
    let runs = ask(&folder, &host, &["run", "list", "--since", "1h"]).await.good();
    assert!(runs.contains("DURATION") && runs.trim_end().ends_with('s'), "{runs}");
}

//! A signed delivery becomes an agent's result.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::folder;
use crate::harness::database::Database;
use crate::harness::folder::SECRET;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{github, github_signed, now};

on_both_databases!(
    an_opened_issue_becomes_a_result,
    a_closed_issue_is_filtered,
    what_no_trigger_considers_is_kept,
    a_ping_and_a_push_are_events_like_others,
    what_came_before_a_restart_is_there_after_it,
);

const PROMPT: &str =
    "Triage issue #42 in example-org/hillock-sandbox: Crash when a webhook's body is empty";

async fn an_opened_issue_becomes_a_result(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let taken = quickest_answer(&host).await;
    assert!(taken < Duration::from_millis(100), "answered after {taken:?}");

    let answer = host.deliver("github", github(Payload::IssueOpened, "d-1")).await;
    let id = answer.event_id(202);
    assert_eq!(answer.json(), json!({ "event_id": id }));
    assert!(id.starts_with("evt_"), "{id}");

    let event = host.decided(&id).await;
    check_event(&event, &id);
    let [decision] = &event["decisions"].as_array().unwrap()[..] else { panic!("{event}") };
    assert_eq!(decision["trigger"], "triage-new-issues");
    assert_eq!((&decision["outcome"], &decision["reason"]), (&json!("fired"), &Value::Null));

    let run_id = decision["run_id"].as_str().unwrap();
    let run = host.run_with_status(run_id, "completed").await;
    assert_eq!(run["prompt"], PROMPT);
    assert_eq!((&run["agent"], &run["event_id"]), (&json!("triager"), &json!(id)));
    assert_eq!(run["attempt"], 1);
    for (stage, component) in
        [("source", "github"), ("filter", "match"), ("template", "handlebars")]
    {
        assert_eq!(run["stages"][stage]["component"], component);
        assert!(run["stages"][stage]["digest"].as_str().unwrap().starts_with("sha256:"), "{run}");
    }
    let stdout = |text: &str| ("stdout".to_owned(), text.to_owned());
    assert_eq!(host.logs(run_id).await, [stdout(PROMPT), stdout("triaged")]);
    assert_eq!(host.items("runs").await.len(), 1);
}

/// Of some deliveries, since other tests keep the machine busy.
async fn quickest_answer(host: &Host) -> Duration {
    let mut quickest = Duration::MAX;
    for n in 0..20 {
        let body = json!({ "zen": n }).to_string();
        let ping = github_signed(SECRET, "ping", &format!("ping-{n}"), body.as_bytes());
        let begin = Instant::now();
        host.deliver("github", ping).await.event_id(202);
        quickest = quickest.min(begin.elapsed());
    }
    quickest
}

fn check_event(event: &Value, id: &str) {
    let payload = Payload::IssueOpened.json();
    let envelope = &event["envelope"];
    assert_eq!((&event["id"], &envelope["id"]), (&json!(id), &json!(id)));
    assert_eq!(event["kind"], "github.issues");
    assert_eq!(event["endpoint"]["slug"], "github");
    assert_eq!((&envelope["kind"], &envelope["source"]), (&event["kind"], &json!("webhook")));
    assert_eq!((&envelope["scope"], &envelope["depth"]), (&json!("global"), &json!(0)));
    assert_eq!(envelope["data"], payload);
    assert_eq!(envelope["origin"]["component"], "github");
    let verified = &event["verified"];
    assert_eq!(verified["scheme"], "github");
    assert_eq!(verified["key_ref"], "env:GITHUB_WEBHOOK_SECRET");
    assert_eq!(&envelope["verified"], verified);
    let received: hillock::model::time::Time =
        event["received_at"].as_str().unwrap().parse().unwrap();
    assert!(received.as_secs().abs_diff(i64::try_from(now()).unwrap()) < 60, "{received}");
}

async fn a_closed_issue_is_filtered(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let id = host.deliver("github", github(Payload::IssueClosed, "d-1")).await.event_id(202);
    let event = host.decided(&id).await;
    let [decision] = &event["decisions"].as_array().unwrap()[..] else { panic!("{event}") };
    assert_eq!(decision["outcome"], "filtered");
    assert_eq!(decision["reason"], "data.action is `closed`, not `opened`");
    assert_eq!(decision["run_id"], Value::Null);
    assert_eq!(host.items("runs").await, [] as [Value; 0]);
}

async fn what_no_trigger_considers_is_kept(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let id = host.deliver("github", github(Payload::Push, "d-1")).await.event_id(202);
    let event = host.decided(&id).await;
    assert_eq!((&event["kind"], &event["decisions"]), (&json!("github.push"), &json!([])));
    assert_eq!(event["envelope"]["data"], Payload::Push.json());
}

async fn a_ping_and_a_push_are_events_like_others(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for payload in [Payload::Ping, Payload::Push] {
        host.deliver("github", github(payload, payload.event())).await.event_id(202);
    }
    let events = host.items("events").await;
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["github.push", "github.ping"]);
}

async fn what_came_before_a_restart_is_there_after_it(database: Database) {
    let folder = folder(database).await;
    let mut host = folder.serve().await;
    let delivery = github(Payload::IssueOpened, "d-1");
    let id = host.deliver("github", delivery.clone()).await.event_id(202);
    let run = host.run_of(&id).await;
    host.run_with_status(&run, "completed").await;
    let before = host.read(&format!("events/{id}")).await;
    assert!(host.process.stop().await.success());

    let again = folder.serve().await;
    assert_eq!(again.key, host.key);
    assert_eq!(again.read(&format!("events/{id}")).await, before);
    assert_eq!(again.deliver("github", delivery).await.event_id(200), id);
    let other = github_signed(crate::harness::folder::SECRET, "issues", "d-2", b"{}");
    let second = again.deliver("github", other).await.event_id(202);
    assert_ne!(second, id);
    assert_eq!(again.items("runs").await.len(), 1);
}

//! What is asked again under the same key is known, whatever stands in the way of what is new.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;

on_both_databases!(a_repeat_needs_no_room, a_repeat_needs_no_agent_and_no_time);

async fn ask(host: &Host, path: &str, key: &str, body: &Value) -> Answer {
    let request = host.request(Method::POST, path).json(body);
    Answer::of(request.header("Idempotency-Key", key)).await
}

fn work() -> Value {
    json!({ "agent": "agent", "message": "work" })
}

async fn a_repeat_needs_no_room(database: Database) {
    let folder = folder(database, "", "[queue]\npending_max = 2\n").await;
    let host = folder.serve().await;
    let first = ask(&host, "tasks", "k", &work()).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let input = format!("tasks/{id}/input");
    let more = json!({ "text": "more" });
    assert_eq!(ask(&host, &input, "i", &more).await.status, 201);
    // There is no room for another.
    assert_eq!(ask(&host, "tasks", "other", &work()).await.problem(429), "queue_full");
    assert_eq!(ask(&host, &input, "other", &more).await.problem(429), "queue_full");
    for _ in 0..3 {
        let again = ask(&host, "tasks", "k", &work()).await;
        assert_eq!((again.status, &again.json()["id"]), (200, &json!(id)));
        let again = ask(&host, &input, "i", &more).await;
        assert_eq!((again.status, &again.json()["deduplicated"]), (200, &json!(true)));
    }
    let other = json!({ "agent": "agent", "message": "else" });
    assert_eq!(ask(&host, "tasks", "k", &other).await.problem(422), "idempotency_mismatch");
    let other = json!({ "text": "less" });
    assert_eq!(ask(&host, &input, "i", &other).await.problem(422), "idempotency_mismatch");
}

async fn a_repeat_needs_no_agent_and_no_time(database: Database) {
    let folder = folder(database, "", "").await.with_clock();
    let mut host = folder.serve().await;
    let soon = hillock::clock::Clock.now() + std::time::Duration::from_secs(600);
    let timely = json!({ "agent": "agent", "message": "work", "expires_at": soon });
    assert_eq!(ask(&host, "tasks", "t", &timely).await.status, 201);
    let first = ask(&host, "tasks", "k", &work()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(host.process.stop().await.success());
    folder.advance(std::time::Duration::from_secs(900));
    folder.write("hillock.toml", "agents = [{ name = \"somebody\" }]");
    let host = folder.serve().await;
    let again = ask(&host, "tasks", "k", &work()).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &first.json()["id"]));
    assert_eq!(ask(&host, "tasks", "t", &timely).await.status, 200);
    assert_eq!(ask(&host, "tasks", "new", &work()).await.problem(422), "invalid_body");
}

/// Twenty at once over two hosts, with room for one: one is made, and the others are its repeats.
#[tokio::test]
async fn rivals_over_two_hosts_are_repeats() {
    let database = Database::postgres().await;
    let one = folder(database, "", "[queue]\npending_max = 1\n").await;
    let config = one.read("hillock.toml").unwrap();
    let other = Folder::new(Database::sqlite(), &config).await.beside(&one);
    let hosts = [one.serve().await, other.serve().await];
    let mut rivals = JoinSet::new();
    for i in 0..20 {
        let host = &hosts[i % 2];
        let request = host.request(Method::POST, "tasks").json(&work());
        let request = request.header("Idempotency-Key", "k");
        rivals.spawn(async move { Answer::of(request).await.status });
    }
    let mut statuses = rivals.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 19], vec![201]].concat());
    assert_eq!(hosts[0].items("tasks").await.len(), 1);
}

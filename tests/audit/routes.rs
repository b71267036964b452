//! Every route that changes something, tried: a route that is added without its row, or without its
//! line here, is found.

use std::collections::BTreeSet;
use std::time::Duration;

use hillock::clock::Clock;
use hillock::dispatch::protocol::VERSION;
use reqwest::Method;
use serde_json::{Value, json};

use super::{actions, id, make, rows, serve, task};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::routes::{Route, routes};
use crate::harness::senders::Delivery;

on_both_databases!(every_route_leaves_its_rows);

/// The routes that may change something.
fn mutating() -> BTreeSet<Route> {
    let found = routes(&["delete", "patch", "post", "put"]);
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Tries routes one after the other, and notes which.
struct Walk<'h> {
    host: &'h Host,
    tried: BTreeSet<Route>,
}

impl Walk<'_> {
    /// Asks this of a route for an object, and holds the rows that it leaves against these.
    async fn step(
        &mut self,
        (method, route): (Method, &str),
        object: &str,
        body: Option<Value>,
        wanted: &[&str],
    ) -> Value {
        let (path, _) = route.split_once('?').unwrap_or((route, ""));
        let path = format!("/api/v1/{path}");
        self.tried.insert((method.to_string(), path));
        let before = rows(self.host, "actor=key").await.len();
        let path = route.replace("{id}", object);
        let answer = make(self.host, method.clone(), &path, body.as_ref()).await;
        let left = rows(self.host, "actor=key").await.split_off(before);
        assert_eq!(actions(&left), wanted, "{method} {route}: {left:?}");
        answer
    }
}

fn post(route: &str) -> (Method, &str) {
    (Method::POST, route)
}

async fn every_route_leaves_its_rows(database: Database) {
    let (_folder, host) = serve(database).await;
    let mut walk = Walk { host: &host, tried: BTreeSet::new() };
    definitions(&mut walk).await;
    events(&mut walk).await;
    runs(&mut walk).await;
    tasks(&mut walk).await;
    commands(&mut walk).await;
    workers(&mut walk).await;
    pauses(&mut walk).await;
    walk.step(post("config/reload"), "", None, &["config.reload"]).await;
    walk.step(post("controllers/{id}/run"), "inbox", None, &["controller.run"]).await;
    let (tried, known) = (walk.tried, mutating());
    let forgotten: Vec<_> = known.difference(&tried).collect();
    assert!(forgotten.is_empty(), "these routes are not held against the audit: {forgotten:?}");
    let gone: Vec<_> = tried.difference(&known).collect();
    assert!(gone.is_empty(), "there are no such routes: {gone:?}");
    chains(&rows(&host, "").await);
}

async fn definitions(walk: &mut Walk<'_>) {
    let hook = json!({ "name": "x", "points": ["run.failed"], "component": "lifecycle" });
    let feed = json!({ "url": "https://a.example/" });
    let feed = json!({ "name": "x", "component": "rss", "config": feed, "enabled": false });
    for (plural, spec, patch) in [
        ("agents", json!({ "name": "x" }), json!({ "concurrency": 2 })),
        ("endpoints", json!({ "slug": "x", "verification": "none" }), json!({ "body_max": 1000 })),
        (
            "triggers",
            json!({ "name": "x", "event": "webhook", "agent": "a", "prompt": "do" }),
            json!({ "prompt": "do more" }),
        ),
        (
            "jobs",
            json!({ "name": "x", "schedule": { "every": "9h" }, "agent": "a", "prompt": "do" }),
            json!({ "prompt": "do more" }),
        ),
        ("hooks", hook, json!({ "points": ["run.completed"] })),
        (
            "observers",
            json!({ "name": "x", "watch": "queue", "agent": "a" }),
            json!({ "interval": "1m" }),
        ),
        ("extensions", feed, json!({ "interval": "9m" })),
    ] {
        let one = format!("{plural}/{{id}}");
        walk.step(post(plural), "", Some(spec), &["definition.create"]).await;
        walk.step((Method::PATCH, &one), "x", Some(patch.clone()), &["definition.update"]).await;
        walk.step((Method::PATCH, &one), "x", Some(patch), &[]).await;
        if plural != "agents" {
            let (on, off) = (format!("{one}/enable"), format!("{one}/disable"));
            let verbs = if plural == "extensions" { [&on, &off] } else { [&off, &on] };
            for verb in verbs {
                let enables = verb.ends_with("enable");
                let wanted = if enables { "definition.enable" } else { "definition.disable" };
                walk.step(post(verb), "x", None, &[wanted]).await;
                walk.step(post(verb), "x", None, &[]).await;
                if enables && plural == "extensions" {
                    let poll = post("extensions/{id}/poll");
                    walk.step(poll, "x", None, &["extension.poll"]).await;
                }
            }
        }
        walk.step((Method::DELETE, &one), "x", None, &["definition.delete"]).await;
    }
}

async fn events(walk: &mut Walk<'_>) {
    let delivery = Delivery::new(&[], b"{}");
    let event = walk.host.deliver("open", delivery).await.event_id(202);
    walk.step(post("events/{id}/replay"), &event, None, &["event.replay"]).await;
}

async fn runs(walk: &mut Walk<'_>) {
    let envelope = json!({ "envelope": { "kind": "webhook", "data": {} } });
    // It is tried and not fired: nothing changes.
    walk.step(post("triggers/{id}/test"), "t", Some(envelope), &[]).await;
    let fired =
        walk.step(post("triggers/{id}/fire"), "t", Some(json!({})), &["trigger.fire"]).await;
    let run = fired["run_id"].as_str().unwrap();
    let input = json!({ "text": "more" });
    walk.step(post("runs/{id}/input"), run, Some(input), &["input.give"]).await;
    walk.step(post("runs/{id}/cancel"), run, None, &["run.cancel"]).await;
    walk.step(post("runs/{id}/retry"), run, None, &["run.retry"]).await;
    walk.step(post("jobs/{id}/trigger"), "j", None, &["job.fire"]).await;
    let hour = Duration::from_secs(60 * 60);
    let now = Clock.now();
    let range = json!({ "from": now - hour * 3, "to": now - hour });
    walk.step(post("jobs/{id}/backfill"), "j", Some(range.clone()), &["job.backfill"]).await;
    walk.step(post("jobs/{id}/backfill"), "j", Some(range), &[]).await;
}

async fn tasks(walk: &mut Walk<'_>) {
    let once = json!({ "agent": "a", "message": "do", "idempotency_key": "once" });
    let made = walk.step(post("tasks"), "", Some(once.clone()), &["task.create"]).await;
    walk.step(post("tasks"), "", Some(once), &[]).await;
    let task = id(&made);
    let once = json!({ "text": "more", "idempotency_key": "once" });
    walk.step(post("tasks/{id}/input"), &task, Some(once.clone()), &["input.give"]).await;
    walk.step(post("tasks/{id}/input"), &task, Some(once), &[]).await;
    walk.step(post("tasks/{id}/cancel"), &task, None, &["task.cancel"]).await;
    walk.step(post("tasks/{id}/archive"), &task, None, &["task.archive"]).await;
    walk.step(post("tasks/{id}/archive"), &task, None, &[]).await;
    walk.step(post("tasks/{id}/unarchive"), &task, None, &["task.unarchive"]).await;
    walk.step(post("tasks/{id}/unarchive"), &task, None, &[]).await;
}

async fn commands(walk: &mut Walk<'_>) {
    for (agent, verb, wanted) in [
        ("asked", "approve", &["command.approve"][..]),
        ("asked", "deny", &["command.deny"]),
        ("asked", "cancel", &["command.cancel"]),
        ("asked-once", "approve", &["class.approve", "command.approve"]),
    ] {
        let task = task(walk.host, agent).await;
        let path = format!("commands?run_id={}", task["run_id"].as_str().unwrap());
        let command = id(&walk.host.read(&path).await["items"][0]);
        walk.step(post(&format!("commands/{{id}}/{verb}")), &command, None, wanted).await;
    }
}

async fn workers(walk: &mut Walk<'_>) {
    let spec = json!({ "uses": 2 });
    let token = walk.step(post("workers/tokens"), "", Some(spec), &["token.create"]).await;
    let one = (Method::DELETE, "workers/tokens/{id}");
    walk.step(one.clone(), &id(&token), None, &["token.revoke"]).await;
    walk.step(one, &id(&token), None, &[]).await;

    let name = json!({ "name": "one" });
    let made = walk.step(post("workers/register"), "", Some(name), &["worker.register"]).await;
    let worker = id(&made);
    for (verb, wanted) in [
        ("approve", &[][..]),
        ("drain", &["worker.drain"]),
        ("undrain", &["worker.undrain"]),
        ("disable", &["worker.disable"]),
        ("disable", &[]),
        ("enable", &["worker.enable"]),
        ("reject", &["worker.reject"]),
        ("approve", &["worker.approve"]),
        ("rotate", &["credential.rotate"]),
        ("health-check", &["worker.check"]),
    ] {
        walk.step(post(&format!("workers/{{id}}/{verb}")), &worker, None, wanted).await;
    }
    let capacity = Some(json!({ "capacity": 2 }));
    let one = (Method::PATCH, "workers/{id}");
    walk.step(one, &worker, capacity, &["worker.configure"]).await;
    walk.step(post("workers/{id}/revoke"), &worker, None, &["worker.revoke"]).await;
    walk.step(post("workers/{id}/revoke"), &worker, None, &[]).await;

    // A worker that comes with a key joins once.
    let hello = json!({
        "type": "hello", "version": VERSION, "worker_id": Clock.worker_id(), "name": "two",
        "agents": [], "capacity": 1, "active": [],
    });
    let poll = json!({ "messages": [hello], "wait_ms": 0 });
    walk.step(post("workers/poll"), "", Some(poll.clone()), &["worker.join"]).await;
    walk.step(post("workers/poll"), "", Some(poll), &[]).await;
}

async fn pauses(walk: &mut Walk<'_>) {
    for query in ["", "?workspace=*"] {
        let (pause, resume) = (format!("pause{query}"), format!("resume{query}"));
        let reason = Some(json!({ "reason": "moving" }));
        walk.step(post(&pause), "", reason.clone(), &["queue.pause"]).await;
        walk.step(post(&pause), "", reason, &[]).await;
        walk.step(post(&pause), "", Some(json!({ "reason": "late" })), &["queue.pause"]).await;
        walk.step(post(&resume), "", None, &["queue.resume"]).await;
        walk.step(post(&resume), "", None, &[]).await;
    }
}

/// What an object was before is what it was after the change before; and it is told by whom.
fn chains(rows: &[Value]) {
    let objects: BTreeSet<&str> =
        rows.iter().filter_map(|row| row["object"]["id"].as_str()).collect();
    let mut links = 0;
    for object in objects {
        let of = |row: &&Value| row["object"]["id"] == object;
        let digested = |row: &&Value| !row["before"].is_null() || !row["after"].is_null();
        let mut last = Value::Null;
        for row in rows.iter().filter(of).filter(digested) {
            // A class is there before anybody decides on it.
            if row["action"] != "class.approve" {
                assert_eq!(row["before"], last, "{row}");
            }
            assert_ne!(row["before"], row["after"], "{row}");
            last = row["after"].clone();
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
    for row in rows {
        assert!(row["id"].as_str().unwrap().starts_with("aud_"), "{row}");
        let by_key = row["actor"]["kind"] == "key";
        assert_eq!(row["from"]["peer"] == "127.0.0.1", by_key, "{row}");
        assert_eq!(by_key, row["actor"]["id"].as_str().is_some_and(|id| id.starts_with("key_")));
    }
}

/// What is refused leaves nothing.
#[tokio::test]
async fn what_is_refused_leaves_no_row() {
    let (folder, host) = serve(Database::sqlite()).await;
    let before = rows(&host, "").await.len();
    let ids = "0".repeat(32);
    for (method, path, body) in [
        (Method::POST, "triggers".to_owned(), json!({ "name": "x" })),
        (Method::POST, "agents".to_owned(), json!({ "name": "a" })),
        (Method::DELETE, "agents/a".to_owned(), json!({})),
        (Method::PATCH, "triggers/t".to_owned(), json!({ "prompt": "mine" })),
        (Method::POST, "tasks".to_owned(), json!({ "agent": "nobody", "message": "do" })),
        (Method::POST, format!("tasks/task_{ids}/cancel"), json!({})),
        (Method::POST, format!("runs/run_{ids}/input"), json!({ "text": "do" })),
        (Method::POST, format!("commands/cmd_{ids}/approve"), json!({})),
        (Method::POST, format!("workers/wrk_{ids}/revoke"), json!({})),
        (Method::POST, "workers/tokens".to_owned(), json!({ "uses": 0 })),
        (Method::POST, "jobs/j/backfill".to_owned(), json!({ "from": "noon" })),
    ] {
        let answer = host.send(method.clone(), &path, &body).await;
        assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
    }
    let nobody = host.http.post(format!("{}/api/v1/tasks", host.url)).bearer_auth("hlk_none");
    assert_eq!(Answer::of(nobody).await.status, 401);
    folder.write("hillock.toml", "[server");
    assert_eq!(host.post("config/reload").await.status, 422);
    assert_eq!(rows(&host, "").await.len(), before);
}

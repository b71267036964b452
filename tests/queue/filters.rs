//! Listings narrowed and widened: by whom, when, for whom, and over all workspaces.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{deliver, folder, id};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    runs_and_commands_are_narrowed,
    everything_is_listed_over_all_workspaces,
    a_task_begins_when_it_is_due_and_not_too_late,
);

async fn ids(host: &Host, path: &str) -> Vec<String> {
    let page = host.read(path).await;
    page["items"].as_array().unwrap().iter().map(|item| id(item).to_owned()).collect()
}

async fn say(folder: &Folder, host: &Host, args: &[&str]) -> String {
    let output = folder.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn runs_and_commands_are_narrowed(database: Database) {
    let other = "[[agents]]\nname = \"other\"\n";
    let folder = folder(database, "", other).await;
    let host = folder.serve().await;
    let event = deliver(&host, "").await;
    let fired = host.run_of(&event).await;
    let body = json!({
        "agent": "other", "message": "work", "session": "talk", "priority": "critical",
    });
    let task = host.send(Method::POST, "tasks", &body).await.json();
    let asked = task["run_id"].as_str().unwrap();
    let trigger = host.read("triggers/all").await["id"].as_str().unwrap().to_owned();
    let made = host.read(&format!("runs/{asked}")).await["created_at"].as_str().unwrap().to_owned();
    let session = task["session_id"].as_str().unwrap();
    for (query, wanted) in [
        ("agent=other".to_owned(), vec![asked]),
        ("agent=nobody".to_owned(), vec![]),
        (format!("task={}", id(&task)), vec![asked]),
        ("session=talk".to_owned(), vec![asked]),
        (format!("session={session}"), vec![asked]),
        (format!("owner={trigger}"), vec![&*fired]),
        ("trigger=all".to_owned(), vec![&*fired]),
        (format!("trigger={trigger}&status=scheduled"), vec![&*fired]),
        ("exclude=task".to_owned(), vec![&*fired]),
        (format!("exclude={trigger}"), vec![asked]),
        ("exclude=scheduled,completed".to_owned(), vec![]),
        (format!("since={made}"), vec![asked]),
        (format!("until={made}"), vec![&*fired]),
        ("until=2020-01-01T00:00:00Z".to_owned(), vec![]),
        ("since=2090-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&host, &format!("runs?{query}")).await, wanted, "{query}");
    }
    for (query, at) in [
        ("trigger=all&job=x", "job"),
        ("task=x", "task"),
        ("owner=all", "owner"),
        ("exclude=lost", "exclude"),
        ("since=2090-01-01T00:00:00Z&until=2020-01-01T00:00:00Z", "until"),
        ("since=now", "since"),
    ] {
        let answer = host.get(&format!("runs?{query}")).await;
        assert_eq!(answer.problem(400), "invalid_parameter", "{query}");
        assert_eq!(answer.json()["problems"][0]["path"], at, "{query}");
    }
    let of = async |query: &str| ids(&host, &format!("commands?{query}")).await.len();
    assert_eq!((of("priority=critical").await, of("priority=normal").await), (1, 1));
    assert_eq!(of("priority=critical&workspace=acme").await, 0);
    let worker = hillock::clock::Clock.worker_id();
    assert_eq!(of(&format!("worker={worker}")).await, 0);
    assert_eq!(host.get("commands?worker=nobody").await.problem(400), "invalid_parameter");
    for (event, count) in [("webhook", 1), ("webhook.*", 0), ("github.push", 0)] {
        assert_eq!(ids(&host, &format!("triggers?event={event}")).await.len(), count, "{event}");
    }
    let out = say(&folder, &host, &["run", "list", "--agent", "other", "--since", "1h"]).await;
    assert!(out.contains(asked) && !out.contains(&fired), "{out}");
    let out = say(&folder, &host, &["command", "list", "--priority", "critical"]).await;
    assert!(out.contains(asked), "{out}");
    let out = say(&folder, &host, &["trigger", "list", "--event", "webhook"]).await;
    assert!(out.contains("all"), "{out}");
}

async fn everything_is_listed_over_all_workspaces(database: Database) {
    let folder = folder(database, "", "").await;
    let host = folder.serve().await;
    for workspace in ["", "acme"] {
        let event = deliver(&host, workspace).await;
        host.decided_in(&event, workspace).await;
        let path = format!("tasks?workspace={workspace}");
        let body = json!({ "agent": "agent", "message": "work" });
        assert_eq!(host.send(Method::POST, &path, &body).await.status, 201);
    }
    for (list, count) in [
        ("events", 2),
        ("runs", 4),
        ("tasks", 2),
        ("commands", 4),
        ("sessions", 2),
        ("agents", 2),
        ("triggers", 2),
        ("workers", 0),
    ] {
        assert_eq!(ids(&host, &format!("{list}?workspace=*")).await.len(), count, "{list}");
        let own = ids(&host, list).await.len();
        assert_eq!(own, count / 2, "{list}");
    }
    assert_eq!(host.read("stats?workspace=*").await["pending"], 4);
    let audit = host.read("audit?workspace=*&action=task.create").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    let of_both = ids(&host, "runs?workspace=*&agent=agent&exclude=task").await;
    assert_eq!(of_both.len(), 2);
    // What is one thing's is asked for in one place.
    assert_eq!(host.get("runs?workspace=*&trigger=all").await.problem(400), "invalid_parameter");
    let path = format!("runs/{}?workspace=*", of_both[0]);
    assert_eq!(host.get(&path).await.problem(400), "invalid_parameter");
    let out = say(&folder, &host, &["run", "list", "--all-workspaces"]).await;
    assert!(out.starts_with("WORKSPACE") && out.contains("acme"), "{out}");
}

async fn a_task_begins_when_it_is_due_and_not_too_late(database: Database) {
    let worker = "[worker]\nlabels = { a = \"b\" }\n[[worker.agents]]\nname = \"agent\"\n\
                  dir = \".\"\ncommand = [\"true\"]\n";
    let folder = folder(database, "", worker).await.with_clock();
    let host = folder.serve().await;
    let at = |secs| hillock::clock::Clock.now() + Duration::from_secs(secs);
    let (due, late) = (at(3600), at(7200));
    let flags = [
        "task",
        "create",
        "work",
        "--agent",
        "agent",
        "--on-lost",
        "fail",
        "--cluster",
        "west",
        "--platform",
        "linux/arm",
        "--scheduled-at",
        &due.to_string(),
        "--expires-at",
        &late.to_string(),
        "--json",
    ];
    let made: Value = serde_json::from_str(&say(&folder, &host, &flags).await).unwrap();
    let routing = &made["terms"]["routing"];
    assert_eq!(
        [&made["terms"]["on_lost"], &routing["cluster"], &routing["platform"]],
        ["fail", "west", "linux/arm"]
    );
    assert_eq!([&made["scheduled_at"], &made["expires_at"]], [&json!(due), &json!(late)]);
    let body = json!({ "agent": "agent", "message": "work", "scheduled_at": due });
    let later = host.send(Method::POST, "tasks", &body).await.json();
    let command =
        host.read(&format!("commands?run_id={}", later["run_id"].as_str().unwrap())).await;
    let waits = host.read(&format!("commands/{}", id(&command["items"][0]))).await;
    assert_eq!(super::reasons(&waits), ["due_later"], "{waits}");
    let ended = async |task: &Value, status: &str| {
        wait::until(status, async || {
            let task = host.read(&format!("tasks/{}", id(task))).await;
            (task["status"] == status).then_some(())
        })
        .await;
    };
    folder.advance(Duration::from_secs(3601));
    ended(&later, "done").await;
    // No worker is in that cluster, and then it is too late.
    folder.advance(Duration::from_secs(3600));
    ended(&made, "dropped").await;
    for (wrong, at) in [
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), "task.expires_at"),
        (json!({ "scheduled_at": "2090-01-01T00:00:00Z" }), "task.scheduled_at"),
        (json!({ "expires_at": at(10_000), "queue_timeout_ms": 5 }), "task.expires_at"),
        (json!({ "on_lost": "cry" }), "task.on_lost"),
    ] {
        let mut body = json!({ "agent": "agent", "message": "work" });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let answer = host.send(Method::POST, "tasks", &body).await;
        assert_eq!(answer.problem(422), "invalid_body", "{wrong}");
        assert_eq!(answer.json()["problems"][0]["path"], at, "{wrong}");
    }
}

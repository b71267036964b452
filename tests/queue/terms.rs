//! How agents, triggers and jobs say that their work is to be carried out: taken, shown, refused at
//! its path, and in effect.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(a_run_is_carried_out_by_the_words_of_all, what_is_wrong_is_said_at_its_path,);

async fn serve(database: Database) -> (Folder, Host) {
    let folder = Folder::new(database, "").await;
    let host = folder.serve().await;
    (folder, host)
}

async fn make(host: &Host, kind: &str, spec: Value) -> Value {
    let answer = host.send(Method::POST, kind, &spec).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn a_run_is_carried_out_by_the_words_of_all(database: Database) {
    let (_folder, host) = serve(database).await;
    let agent = json!({
        "name": "a", "concurrency": 4, "lanes": { "slow": 1 }, "on_lost": "fail",
        "policy": { "security": "full" }, "policy_untrusted": { "network_enabled": false },
        "queue_timeout": "30m",
    });
    let made = make(&host, "agents", agent.clone()).await;
    for (field, value) in agent.as_object().unwrap() {
        assert_eq!(made[field], *value, "{field}");
    }
    make(&host, "endpoints", json!({ "slug": "open", "verification": "none" })).await;
    let trigger = json!({
        "name": "t", "event": "webhook", "agent": "a", "prompt": "{{data.said}}", "lane": "slow",
        "policy": { "security": "deny" }, "policy_untrusted": { "ask": "always" },
        "routing": { "tools": ["cargo"], "labels": { "team": "core" }, "region": "eu" },
        "session": "talk", "queue_timeout": "10m", "timeout": "90s",
    });
    let made = make(&host, "triggers", trigger.clone()).await;
    for (field, value) in trigger.as_object().unwrap() {
        assert_eq!(made[field], *value, "{field}");
    }
    let delivery = Delivery::new(&[], br#"{"said":"hello"}"#);
    let event = host.deliver("open", delivery).await.event_id(202);
    let run = host.run_of(&event).await;
    let terms = host.read(&format!("runs/{run}")).await["terms"].clone();
    for (field, wanted) in [
        ("lane", json!("slow")),
        ("on_lost", json!("fail")),
        ("queue_timeout_ms", json!(600_000)),
        ("timeout_ms", json!(90_000)),
        ("routing", trigger["routing"].clone()),
    ] {
        assert_eq!(terms[field], wanted, "{field}");
    }
    assert_eq!(terms["session"]["key"], "talk");
    let policy = &terms["policy"];
    let seen = (&policy["security"], &policy["ask"], &policy["network_enabled"]);
    assert_eq!(seen, (&json!("deny"), &json!("always"), &json!(false)), "the prompt is unfenced");

    let job = json!({ "name": "j", "agent": "a", "prompt": "work", "lane": "fast",
                      "schedule": { "every": "1h" }, "routing": { "platform": "linux/x86_64" } });
    make(&host, "jobs", job).await;
    let run = host.send(Method::POST, "jobs/j/trigger", &json!({})).await.json();
    let terms = &run["terms"];
    let seen = (&terms["lane"], &terms["policy"]["security"], &terms["queue_timeout_ms"]);
    assert_eq!(seen, (&json!("fast"), &json!("full"), &json!(1_800_000)));
    assert_eq!(terms["policy"]["network_enabled"], true);
}

fn paths(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.problem(422), "invalid_definition");
    let problems = answer.json()["problems"].as_array().unwrap().clone();
    let mut paths: Vec<String> =
        problems.iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

async fn what_is_wrong_is_said_at_its_path(database: Database) {
    let (_folder, host) = serve(database).await;
    let agent = json!({
        "name": "a", "concurrency": 0, "lanes": { "slow": 0, "Not": 1 }, "on_lost": "retry",
        "policy": { "security": "some", "resources": { "cpu": -1 } }, "policy_untrusted": 1,
        "queue_timeout": "soon",
    });
    let refused = host.send(Method::POST, "agents", &agent).await;
    assert_eq!(
        paths(&refused),
        [
            "agent.concurrency",
            "agent.lanes.Not",
            "agent.lanes.slow",
            "agent.on_lost",
            "agent.policy.resources.cpu",
            "agent.policy.security",
            "agent.policy_untrusted",
            "agent.queue_timeout",
        ]
    );
    make(&host, "agents", json!({ "name": "a" })).await;
    let job = json!({
        "name": "j", "agent": "a", "prompt": "work", "schedule": { "every": "1h" }, "lane": 1,
        "routing": { "tool": ["x"], "tools": "x", "labels": { "a": 1 }, "region": "" },
        "session": "\n", "timeout": "0s", "policy_untrusted": {},
    });
    let refused = host.send(Method::POST, "jobs", &job).await;
    assert_eq!(
        paths(&refused),
        [
            "job.lane",
            "job.policy_untrusted",
            "job.routing.labels",
            "job.routing.region",
            "job.routing.tool",
            "job.routing.tools",
            "job.session",
            "job.timeout",
        ]
    );
    assert_eq!(host.get("jobs/j").await.status, 404, "nothing was made");
}

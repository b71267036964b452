//! What people see of commands, and decide of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{commands, deliver, folder, id, reasons};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    a_blocked_command_waits_for_its_approval,
    a_command_says_why_it_waits,
    what_no_worker_took_in_time_expires,
);

/// The events of a lifecycle point, once there is one.
async fn told(host: &Host, kind: &str) -> Value {
    wait::until(kind, async || {
        let page = host.read(&format!("events?kind={kind}")).await;
        page["items"].as_array().unwrap().first().cloned()
    })
    .await
}

/// A worker inside the host, which can enforce nothing that a policy asks by default.
fn worker(script: &str) -> String {
    let script = Value::from(script);
    format!(
        "[worker]\ncapacity = 1\n[[worker.agents]]\nname = \"agent\"\ndir = \".\"\n\
         command = [\"sh\", \"-c\", {script}]\n"
    )
}

async fn show(host: &Host, command: &Value) -> Value {
    host.read(&format!("commands/{}", id(command))).await
}

async fn a_blocked_command_waits_for_its_approval(database: Database) {
    let listener = "[[triggers]]\nname = \"asked\"\nevent = \"hook.command.blocked\"\n\
                    agent = \"agent\"\nprompt = \"{{data.id}}\"\nfire_limit = \"none\"\n\
                    filter = { \"data.name\" = \"all\" }\n";
    let folder = folder(database, "policy = { ask = \"always\" }", listener).await;
    let host = folder.serve().await;
    let runs = [deliver(&host, "").await, deliver(&host, "").await];
    let runs = [host.run_of(&runs[0]).await, host.run_of(&runs[1]).await];
    let command = async |run: &str| {
        let page = host.read(&format!("commands?run_id={run}")).await;
        page["items"][0].clone()
    };
    let (first, second) = (command(&runs[0]).await, command(&runs[1]).await);
    assert_eq!((&first["state"], &first["type"]), (&json!("blocked"), &json!("run")));
    told(&host, "hook.command.blocked").await;
    assert_eq!(reasons(&show(&host, &first).await), ["blocked", "no_worker"]);

    let approved = host.post(&format!("commands/{}/approve", id(&first))).await.json();
    assert_eq!(approved["state"], "pending");
    assert_eq!(reasons(&approved), ["no_worker"]);
    let again = host.post(&format!("commands/{}/approve", id(&first))).await;
    assert_eq!(again.problem(409), "not_blocked");

    let denied = host.post(&format!("commands/{}/deny", id(&second))).await.json();
    assert_eq!((&denied["state"], &denied["waiting"]), (&json!("canceled"), &Value::Null));
    let run = host.read(&format!("runs/{}", runs[1])).await;
    assert_eq!(run["status"], "canceled");
    assert_eq!(run["error"], "denied: somebody had to approve it, and did not");
    let over = host.post(&format!("commands/{}/cancel", id(&second))).await;
    assert_eq!(over.problem(409), "command_ended");
    for verb in ["approve", "deny", "cancel"] {
        let elsewhere = format!("commands/{}/{verb}?workspace=acme", id(&first));
        assert_eq!(host.post(&elsewhere).await.problem(404), "not_found");
    }
}

async fn a_command_says_why_it_waits(database: Database) {
    let script = "until [ -e go ]; do sleep 0.05; done";
    let folder = folder(database, "concurrency = 5", &worker(script)).await;
    let host = folder.serve().await;
    let events = [deliver(&host, "").await, deliver(&host, "").await];
    let first = host.run_of(&events[0]).await;
    let second = host.run_of(&events[1]).await;
    let running = wait::until("one of them to run", async || {
        commands(&host, "").await.into_iter().find(|one| one["state"] == "running")
    })
    .await;
    let prefix = running["token_prefix"].as_str().unwrap();
    assert!(prefix.starts_with("hlk-cmd-") && prefix.len() == 16, "{running}");
    assert!(running.get("token").is_none() && running.get("token_hash").is_none());
    assert_eq!(show(&host, &running).await["waiting"], Value::Null);
    let other = if running["run_id"] == json!(first) { second } else { first };
    let page = host.read(&format!("commands?run_id={other}")).await;
    let waiting = show(&host, &page["items"][0]).await;
    assert_eq!(reasons(&waiting), ["workers_busy"]);
    let line = &waiting["waiting"];
    assert_eq!(
        (&line["position"], &line["total"], &line["workers"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(
        (&line["assumed_duration"], &line["estimated_wait_ms"]),
        (&json!(true), &json!(60_000))
    );
    let classes = host.read("classes").await;
    let class = &classes["items"][0];
    let seen = (&class["state"], &class["running"], &class["pending"], &class["concurrency"]);
    assert_eq!(seen, (&json!("open"), &json!(1), &json!(1), &json!(5)));

    ends_well(&folder, &host, &other).await;
    let other = host.read(&format!("commands?run_id={other}")).await["items"][0].clone();
    assert_eq!(other["state"], "completed");
    assert_eq!(host.read("stats").await["completed"], 2);
    for bad in ["state=lost", "type=walk", "agent=A", "run_id=1", "cursor=x"] {
        let refused = host.get(&format!("commands?{bad}")).await;
        assert_eq!(refused.problem(400), "invalid_parameter", "{bad}");
    }
}

async fn ends_well(folder: &Folder, host: &Host, run: &str) {
    folder.write("go", "");
    host.run_with_status(run, "completed").await;
}

async fn what_no_worker_took_in_time_expires(database: Database) {
    let listener = "[[triggers]]\nname = \"late\"\nevent = \"hook.command.expired\"\n\
                    agent = \"agent\"\nprompt = \"{{data.error}}\"\n\
                    filter = { \"data.name\" = \"all\" }\n[queue]\ntimeout = \"5m\"\n";
    let folder = folder(database, "", listener).await.with_clock();
    let host = folder.serve().await;
    let event = deliver(&host, "").await;
    let run = host.run_of(&event).await;
    folder.advance(Duration::from_secs(6 * 60));
    let run = host.run_with_status(&run, "failed").await;
    assert_eq!(
        (&run["error"], &run["attempt"]),
        (&json!("expired: no worker took it in time"), &json!(0))
    );
    let event = told(&host, "hook.command.expired").await;
    let second = host.run_of(id(&event)).await;
    let second = host.read(&format!("runs/{second}")).await;
    assert_eq!(second["prompt"], "expired: no worker took it in time");
    assert_eq!(second["terms"]["queue_timeout_ms"], 300_000);
}

//! Pauses: nothing more is handed out, nothing is lost, and all of it goes on.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{commands, deliver, folder, reasons};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    what_comes_in_a_pause_waits_for_its_end,
    a_workspaces_pause_is_its_own,
    what_is_under_way_goes_on_and_is_called_off,
    a_pause_is_said_and_ended_from_the_command_line,
);

/// A worker inside the host, which serves the agent of both scopes.
fn worker(script: &str) -> String {
    let script = Value::from(script);
    let agent = |workspace: &str| {
        format!(
            "[[worker.agents]]\nname = \"agent\"\nworkspace = \"{workspace}\"\ndir = \".\"\n\
             command = [\"sh\", \"-c\", {script}]\n"
        )
    };
    format!("[worker]\ncapacity = 4\n{}{}", agent(""), agent("acme"))
}

async fn ready(database: Database, script: &str) -> Folder {
    folder(database, "queue_timeout = \"10m\"", &worker(script)).await.with_clock()
}

async fn send(host: &Host, path: &str, content: Value) -> Value {
    let answer = host.send(Method::POST, path, &content).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The run of an event that comes now.
async fn comes(host: &Host, workspace: &str) -> String {
    let event = deliver(host, workspace).await;
    let decided = host.decided_in(&event, workspace).await;
    decided["decisions"][0]["run_id"].as_str().unwrap().to_owned()
}

async fn ends(host: &Host, run: &str, workspace: &str) {
    wait::until("the run to complete", async || {
        let run = host.read(&format!("runs/{run}?workspace={workspace}")).await;
        assert_ne!(run["status"], "failed", "{run}");
        (run["status"] == "completed").then_some(())
    })
    .await;
}

/// That a run waits, for the end of a pause before all else.
async fn waits(host: &Host, run: &str, workspace: &str) -> Value {
    let run = host.read(&format!("runs/{run}?workspace={workspace}")).await;
    assert_eq!(run["status"], "scheduled", "{run}");
    assert_eq!(reasons(&run)[0], "paused", "{run}");
    assert!(run["waiting"]["estimated_wait_ms"].is_null(), "{run}");
    run
}

async fn what_comes_in_a_pause_waits_for_its_end(database: Database) {
    let folder = ready(database, "true").await;
    let mut host = folder.serve().await;
    ends(&host, &comes(&host, "").await, "").await;

    let paused = send(&host, "pause", json!({ "reason": "the provider is down" })).await;
    assert_eq!((&paused["paused"], &paused["scope"]), (&json!(true), &json!("global")));
    let since = paused["paused_at"].as_str().unwrap().to_owned();
    let run = comes(&host, "").await;
    let detail = waits(&host, &run, "").await["waiting"]["reasons"][0]["detail"].clone();
    let wanted =
        format!("paused since {since}: the provider is down; `hillock resume` lets it go on");
    assert_eq!(detail, wanted);

    // Paused again it is the same pause, with what was said last.
    folder.advance(Duration::from_secs(60));
    for (said, reason) in
        [(json!({ "reason": "no credit" }), "no credit"), (json!({}), "no credit")]
    {
        let again = send(&host, "pause", said).await;
        assert_eq!((&again["paused_at"], &again["reason"]), (&json!(since), &json!(reason)));
    }
    assert_eq!(host.post("pause").await.status, 200, "it wants no body");

    // Its time to wait for a worker is over; the sweep looks, before and after a restart.
    folder.advance(Duration::from_secs(24 * 60 * 60));
    host.post("controllers/command-recovery/run").await;
    waits(&host, &run, "").await;
    host.process.stop().await;
    let host = folder.serve().await;
    assert_eq!(host.read("pause").await["paused_at"], since.as_str());
    host.post("controllers/command-recovery/run").await;
    waits(&host, &run, "").await;
    assert_eq!(commands(&host, "").await[0]["dispatch_attempts"], 0);

    let resumed = send(&host, "resume", json!({})).await;
    assert_eq!((&resumed["paused"], &resumed["paused_at"]), (&json!(false), &Value::Null));
    host.post("controllers/command-recovery/run").await;
    ends(&host, &run, "").await;
    assert_eq!(send(&host, "resume", json!({})).await, resumed);
    ends(&host, &comes(&host, "").await, "").await;
}

async fn a_workspaces_pause_is_its_own(database: Database) {
    let folder = ready(database, "true").await;
    let host = folder.serve().await;
    let paused = send(&host, "pause?workspace=acme", json!({})).await;
    assert_eq!(paused["workspace_id"], "acme");
    let in_acme = comes(&host, "acme").await;
    ends(&host, &comes(&host, "").await, "").await;
    let run = waits(&host, &in_acme, "acme").await;
    let detail = run["waiting"]["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.ends_with("`hillock resume --workspace acme` lets it go on"), "{detail}");
    assert_eq!(host.read("pause").await["paused"], false);

    let whole = send(&host, "pause?workspace=*", json!({ "reason": "moving" })).await;
    assert_eq!((&whole["scope"], &whole["host"]["reason"]), (&json!("host"), &json!("moving")));
    assert_eq!(whole["workspaces"][0]["workspace_id"], "acme");
    let global = comes(&host, "").await;
    waits(&host, &global, "").await;
    let stand = host.read("pause").await;
    assert_eq!((&stand["paused"], &stand["paused_at"]), (&json!(true), &Value::Null));
    assert_eq!(stand["host"]["reason"], "moving");
    assert_eq!(reasons(&waits(&host, &in_acme, "acme").await)[..2], ["paused", "paused"]);

    // A workspace does not end the host's, nor the host a workspace's.
    send(&host, "resume", json!({})).await;
    waits(&host, &global, "").await;
    send(&host, "resume?workspace=*", json!({})).await;
    ends(&host, &global, "").await;
    waits(&host, &in_acme, "acme").await;
    send(&host, "resume?workspace=acme", json!({})).await;
    ends(&host, &in_acme, "acme").await;

    for (reason, why) in [
        (json!("x".repeat(1025)), "is longer than 1024 bytes"),
        (json!(" "), "is empty"),
        (json!(1), "is a number, not text"),
    ] {
        let refused = host.send(Method::POST, "pause", &json!({ "reason": reason })).await;
        assert_eq!(refused.problem(422), "invalid_body");
        let problem = refused.json()["problems"][0].clone();
        assert_eq!(problem["path"], "pause.reason");
        assert!(problem["reason"].as_str().unwrap().starts_with(why), "{problem}");
    }
    let refused = host.send(Method::POST, "pause", &json!({ "until": "noon" })).await;
    assert_eq!(refused.json()["problems"][0]["path"], "pause.until");
    assert_eq!(host.read("pause").await["paused"], false);
}

/// Each replica has a worker of its own that could take the run.
#[tokio::test]
async fn a_pause_holds_on_every_replica() {
    let folder = ready(Database::postgres().await, "true").await;
    let beside = ready(Database::sqlite(), "true").await.beside(&folder);
    let (one, two) = (folder.serve().await, beside.serve().await);
    ends(&one, &comes(&two, "").await, "").await;
    send(&one, "pause", json!({})).await;
    let runs = [comes(&one, "").await, comes(&two, "").await];
    for host in [&one, &two] {
        host.post("controllers/command-recovery/run").await;
        assert_eq!(host.read("pause").await["paused"], true);
        for run in &runs {
            waits(host, run, "").await;
        }
    }
    send(&two, "resume", json!({})).await;
    for run in &runs {
        ends(&one, run, "").await;
    }
}

async fn what_is_under_way_goes_on_and_is_called_off(database: Database) {
    let folder = ready(database, "until [ -e go ]; do sleep 0.05; done").await;
    let host = folder.serve().await;
    let runs = [comes(&host, "").await, comes(&host, "").await];
    for run in &runs {
        host.run_with_status(run, "running").await;
    }
    send(&host, "pause", json!({})).await;
    let behind = comes(&host, "").await;
    assert_eq!(host.post(&format!("runs/{}/cancel", runs[0])).await.status, 202);
    host.run_with_status(&runs[0], "canceled").await;
    folder.write("go", "");
    ends(&host, &runs[1], "").await;
    waits(&host, &behind, "").await;
    let canceled = host.post(&format!("runs/{behind}/cancel")).await;
    assert_eq!(canceled.json()["status"], "canceled");
}

async fn a_pause_is_said_and_ended_from_the_command_line(database: Database) {
    let folder = ready(database, "true").await;
    let host = folder.serve().await;
    let say = async |line: &str| {
        let args: Vec<&str> = line.split(' ').collect();
        let output = folder.hillock(&args).env("HILLOCK_URL", &host.url).output().await.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (said, _) = say("pause --workspace acme --reason provider").await;
    assert!(said.starts_with("paused since 20"), "{said}");
    assert!(said.contains("of the workspace acme") && said.contains("resume --workspace acme`"));
    let run = comes(&host, "acme").await;
    let (shown, _) = say(&format!("run show {run} --workspace acme")).await;
    assert!(shown.contains("paused: paused since 20") && shown.contains(": provider;"), "{shown}");
    let (_, remark) = say("run list --workspace acme").await;
    assert!(remark.starts_with("1 run waits for the agent agent: paused since 20"), "{remark}");
    let (_, remark) = say("run list").await;
    assert_eq!(remark.trim(), "there are none");

    say("pause --all-workspaces").await;
    let (said, _) = say("resume --workspace acme").await;
    assert!(said.starts_with("not paused by itself, but the whole host is paused since"), "{said}");
    say("pause --workspace acme").await;
    let (said, _) = say("resume --all-workspaces").await;
    let wanted = "not paused: what waits of any workspace is handed to workers\n\
                  workspace acme is paused by itself still, until `hillock resume --workspace acme`\n";
    assert_eq!(said, wanted);
    let (json, _) = say("resume --workspace acme --json").await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["paused"], false);
    ends(&host, &run, "acme").await;
}

//! `hillock run logs -f`, as somebody types it.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{host_folder, run, start, worker_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::Process;
use crate::harness::wait;

/// A pipe gets the lines, each where it was written, and no colours; the command ends as the run.
#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let script = "echo out; echo err >&2; printf '\\033[31mred\\033[0m\\n'; exit 7";
    let folder = super::folder(Database::sqlite(), script, "").await;
    let host = folder.serve().await;
    let run = run(&host).await;
    let output = followed(&folder, &host, &run, &[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(text(output.stdout), "out\n\u{1b}[31mred\u{1b}[0m\n");
    assert_eq!(text(output.stderr), format!("err\n{run} failed: exit status 7\n"));

    let output =
        followed(&folder, &host, &run, &["--json", "--after", "2"]).output().await.unwrap();
    let lines = text(output.stdout);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["log", "end"]);
    assert_eq!((&lines[0]["seq"], &lines[1]["run"]["status"]), (&json!(3), &json!("failed")));
}

#[tokio::test]
async fn following_goes_on_when_the_host_is_back() {
    let script = "seq 1 500; until [ -e go ]; do sleep 0.05; done; seq 501 1000";
    let (at_host, at_worker) = (host_folder(Database::sqlite()).await, worker_folder(script).await);
    let mut host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    let log = at_host.path().join("followed");
    let mut following = Process::start(followed(&at_host, &host, &run, &[]), &log);
    wait::until("the first lines", async || following.written().contains("\n500\n").then_some(()))
        .await;
    let address = host.address().to_owned();
    host.process.kill().await;
    at_worker.write("go", "");
    let _again = at_host.serve_on(&address).await;
    assert!(following.ended().await.success());
    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(following.written(), format!("{numbers}{run} completed\n"));
}

#[tokio::test]
async fn a_task_is_followed_from_run_to_run() {
    let script = "cat; echo; until [ -e go ]; do sleep 0.05; done";
    let folder = super::folder(Database::sqlite(), script, "").await;
    let host = folder.serve().await;
    let asked = json!({ "agent": "agent", "message": "first" });
    let task = host.send(Method::POST, "tasks", &asked).await.json();
    let id = task["id"].as_str().unwrap();
    let first = task["run_id"].as_str().unwrap();
    let mut command = folder.hillock(&["task", "logs", id, "-f"]);
    command.env("HILLOCK_URL", &host.url);
    let mut following = Process::start(command, &folder.path().join("followed"));
    wait::until("the first line", async || following.written().contains("first\n").then_some(()))
        .await;
    let batch = host.read(&format!("runs/{first}/activity")).await;
    assert_eq!((&batch["task"]["id"], &batch["task"]["status"]), (&json!(id), &json!("running")));
    let more = json!({ "text": "second", "mode": "queue" });
    let given = host.send(Method::POST, &format!("tasks/{id}/input"), &more).await.json();
    let second = given["run_id"].as_str().unwrap();
    folder.write("go", "");
    assert!(following.ended().await.success());
    let wanted = format!("first\n{first} completed\nsecond\n{second} completed\n");
    assert_eq!(following.written(), wanted);
}

#[tokio::test]
async fn what_cannot_be_followed_is_said_at_once() {
    let folder = host_folder(Database::sqlite()).await;
    let mut host = folder.serve().await;
    let none = format!("run_{}", "0".repeat(32));
    let output = followed(&folder, &host, &none, &[]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("there is no such run"), "{said}");
    host.process.kill().await;
    let output = followed(&folder, &host, &none, &[]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("no host answers"), "{said}");
}

fn followed(folder: &Folder, host: &Host, run: &str, flags: &[&str]) -> Command {
    let mut command = folder.hillock(&[&["run", "logs", run, "-f"], flags].concat());
    command.env("HILLOCK_URL", &host.url);
    command
}

//! The audit, through the program: what every route leaves there, what the rows say, and how they
//! are read.

mod read;
mod routes;
mod rows;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;

/// Agents whose commands wait for ever, one of them for approval; a trigger and a job.
const CONFIG: &str = r#"
    agents = [{ name = "a" }, { name = "b", workspace = "acme" },
              { name = "asked", policy = { ask = "always" } },
              { name = "asked-once", policy = { ask = "on-miss" } }]
    endpoints = [{ slug = "open", verification = "none" }]
    triggers = [{ name = "t", event = "webhook", endpoint = "open", agent = "a", prompt = "do",
                  fire_limit = "none" }]
    jobs = [{ name = "j", schedule = { cron = "0 * * * *" }, agent = "a", prompt = "do",
              fire_limit = "none" }]
"#;

async fn serve(database: Database) -> (Folder, Host) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    (folder, host)
}

/// What the host answers to this, which has to be good.
async fn make(host: &Host, method: Method, path: &str, body: Option<&Value>) -> Value {
    let request = host.request(method.clone(), path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = Answer::of(request).await;
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// A task of this agent.
async fn task(host: &Host, agent: &str) -> Value {
    let body = json!({ "agent": agent, "message": "a message of no concern" });
    make(host, Method::POST, "tasks", Some(&body)).await
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// All rows of the global scope that pass, oldest first.
async fn rows(host: &Host, filter: &str) -> Vec<Value> {
    let answer = host.get(&format!("audit/export?{filter}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn actions(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["action"].as_str().unwrap()).collect()
}

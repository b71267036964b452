//! Definitions, while a host runs: made and changed through the API, read again from files, and
//! noticed by other replicas.

mod api;
mod left_behind;
mod names;
mod programs;
mod prompts;
mod reload;
mod replicas;
mod restart;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// An endpoint that takes everything, an agent, and no worker.
const OPEN: &str = r#"
    agents = [{ name = "a" }]
    endpoints = [{ slug = "open", verification = "none" }]
"#;

fn trigger(name: &str) -> Value {
    json!({
        "name": name, "event": "webhook", "agent": "a", "prompt": "do", "fire_limit": "none"
    })
}

async fn create(host: &Host, path: &str, content: &Value) -> Value {
    let answer = host.send(Method::POST, path, content).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn patch(host: &Host, path: &str, content: &Value) -> Answer {
    host.send(Method::PATCH, path, content).await
}

async fn delete(host: &Host, path: &str) -> Answer {
    Answer::of(host.request(Method::DELETE, path)).await
}

/// The trigger and the outcome of each decision on a new event.
async fn decisions(host: &Host, endpoint: &str) -> Vec<(String, String)> {
    let event = host.deliver(endpoint, Delivery::new(&[], b"{}")).await.event_id(202);
    let event = host.decided(&event).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let decisions = event["decisions"].as_array().unwrap().iter();
    decisions.map(|decision| (text(&decision["trigger"]), text(&decision["outcome"]))).collect()
}

fn decided(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(trigger, outcome)| ((*trigger).to_owned(), (*outcome).to_owned())).collect()
}

/// The paths of everything that a problem names.
fn paths(answer: &Answer) -> Vec<String> {
    let problem = answer.json();
    let problems = problem["problems"].as_array().unwrap();
    problems.iter().map(|problem| problem["path"].as_str().unwrap().to_owned()).collect()
}

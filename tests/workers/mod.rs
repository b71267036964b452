//! Workers as a host knows them: how they join, who may work, and how they are sent away. The
//! workers speak by hand, so that each test decides what they say.

mod bounds;
mod health;
mod life;
mod link;
mod manners;
mod rest;
mod tokens;
mod waits;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// A host's agents, each with an open endpoint of its name: one that is global, one to tell when
/// the host has handed out all it could, and one of a workspace.
const CONFIG: &str = r#"
    agents = [{ name = "agent" }, { name = "witness" }, { name = "agent", workspace = "acme" }]
    endpoints = [{ slug = "agent", verification = "none" },
                 { slug = "witness", verification = "none" },
                 { slug = "agent", workspace = "acme", verification = "none" }]
    triggers = [
        { name = "agent", event = "webhook", endpoint = "agent", agent = "agent", prompt = "work",
          fire_limit = "none" },
        { name = "witness", event = "webhook", endpoint = "witness", agent = "witness",
          prompt = "look", fire_limit = "none" },
        { name = "agent", event = "webhook", endpoint = "agent", agent = "agent", prompt = "work",
          workspace = "acme", fire_limit = "none" },
    ]
"#;

async fn folder(database: Database) -> Folder {
    Folder::new(database, CONFIG).await
}

/// A run for the global agent of this name.
async fn run(host: &Host, agent: &str) -> String {
    let id = host.deliver(agent, Delivery::new(&[], b"{}")).await.event_id(202);
    host.run_of(&id).await
}

/// A new bootstrap token.
async fn token(host: &Host, asked: Value) -> String {
    let made = host.send(Method::POST, "workers/tokens", &asked).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["token"].as_str().unwrap().to_owned()
}

/// What the host answers to who registers by this name with this bearer.
async fn register(host: &Host, bearer: &str, name: &str) -> Answer {
    let url = format!("{}/api/v1/workers/register", host.url);
    Answer::of(host.http.post(url).bearer_auth(bearer).json(&json!({ "name": name }))).await
}

/// A worker with a credential.
struct Member {
    id: String,
    credential: String,
}

impl Member {
    /// One that has just registered with a token of this kind.
    async fn joined(host: &Host, name: &str, asked: Value) -> Self {
        let made = register(host, &token(host, asked).await, name).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made = made.json();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Self { id: text("id"), credential: text("credential") }
    }

    /// What the host says of it.
    async fn row(&self, host: &Host) -> Value {
        host.read(&format!("workers/{}", self.id)).await
    }

    /// Does this to it, with what the host answers.
    async fn make(&self, host: &Host, change: &str) -> Value {
        let answer = host.post(&format!("workers/{}/{change}", self.id)).await;
        assert_eq!(answer.status, 200, "{change}: {answer:?}");
        answer.json()
    }
}

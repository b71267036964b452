//! A worker that knows nothing but what `hillock protocol` prints: paths, headers, times and limits
//! come from the document, and every message is checked against it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::schema::Part;
use super::{folder, run};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::host::Host;

/// What somebody has who writes a worker.
struct Guide {
    document: Value,
    to_host: Part,
    poll: Part,
}

impl Guide {
    async fn printed(host: &Host, folder: &crate::harness::folder::Folder) -> Self {
        let printed = folder.hillock(&["protocol"]).output().await.unwrap();
        let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
        let path = document["connection"]["schema"]["path"].as_str().unwrap();
        let served = Answer::of(host.http.get(format!("{}{path}", host.url))).await.json();
        assert_eq!(served, document);
        let part = |name: &str| Part::of(&document, &format!("/$defs/{name}"));
        Self { to_host: part("ToHost"), poll: part("Poll"), document }
    }

    /// A request as the document describes it, with this bearer.
    fn request(&self, name: &str, host: &Host, bearer: &str) -> reqwest::RequestBuilder {
        let described = &self.document["connection"][name];
        let method = described["method"].as_str().unwrap().parse().unwrap();
        let url = format!("{}{}", host.url, described["path"].as_str().unwrap());
        let headers = described["headers"].as_object().unwrap().iter();
        headers.fold(host.http.request(method, url), |request, (name, value)| {
            request.header(name, filled(value.as_str().unwrap(), bearer))
        })
    }

    fn hello(&self, id: &str) -> Value {
        let agents = [json!({ "workspace_id": "", "name": "agent" })];
        json!({ "type": "hello", "version": self.document["version"], "worker_id": id,
                "name": "newcomer", "agents": agents, "capacity": 1, "active": [] })
    }
}

/// `Bearer {…}` with what stands for the braces.
fn filled(value: &str, bearer: &str) -> String {
    match value.split_once('{') {
        Some((before, _)) => format!("{before}{bearer}"),
        None => value.to_owned(),
    }
}

/// What is said of a command that is taken, worked on and finished.
fn carried_out(command: &Value) -> [Value; 4] {
    let held = &command["held"];
    let at = "2026-01-01T00:00:00Z";
    let line = json!({ "at": at, "stream": "stdout", "text": command["prompt"] });
    [
        json!({ "type": "acknowledged", "held": held }),
        json!({ "type": "started", "held": held }),
        json!({ "type": "logs", "held": held, "first": 1, "lines": [line] }),
        json!({ "type": "finished", "held": held, "ending": { "outcome": "completed" } }),
    ]
}

fn first(messages: &Value, kind: &str) -> Option<Value> {
    messages.as_array().unwrap().iter().find(|message| message["type"] == kind).cloned()
}

#[tokio::test]
async fn a_worker_that_polls_is_written_from_the_document_alone() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let guide = Guide::printed(&host, &folder).await;
    let asked = json!({ "approve": true });
    let token = host.send(reqwest::Method::POST, "workers/tokens", &asked).await.json();
    let registering = guide.request("register", &host, token["token"].as_str().unwrap());
    let made = Answer::of(registering.json(&json!({ "name": "newcomer" }))).await.json();
    let (id, credential) = (made["id"].as_str().unwrap(), made["credential"].as_str().unwrap());
    let exchange = async |body: Value| {
        guide.poll.check(&body);
        let polling = guide.request("poll", &host, credential).body(body.to_string());
        let answer = Answer::of(polling).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };

    let answer = exchange(json!({ "messages": [guide.hello(id)] })).await;
    let welcome = first(&answer["messages"], "welcome").unwrap();
    assert_eq!(welcome["version"], guide.document["version"]);
    assert_eq!(welcome["heartbeat_ms"], guide.document["connection"]["heartbeat_ms"]);
    let asked = run(&host, "by poll").await;
    let wait = &guide.document["connection"]["poll"]["wait_ms_max"];
    let place = &answer["place"];
    let answer = exchange(json!({ "place": place, "messages": [], "wait_ms": wait })).await;
    let command = first(&answer["messages"], "run").unwrap();
    let words = carried_out(&command);
    let answer = exchange(json!({ "place": place, "messages": words, "wait_ms": wait })).await;
    assert_eq!(first(&answer["messages"], "settled").unwrap()["held"], command["held"]);
    host.run_with_status(&asked, "completed").await;
    assert_eq!(host.logs(&asked).await, [("stdout".to_owned(), "by poll".to_owned())]);
}

#[tokio::test]
async fn a_worker_on_a_socket_is_written_from_the_document_alone() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let guide = Guide::printed(&host, &folder).await;
    let described = &guide.document["connection"]["websocket"];
    let path = described["path"].as_str().unwrap();
    let mut request = format!("ws://{}{path}", host.address()).into_client_request().unwrap();
    for (name, value) in described["headers"].as_object().unwrap() {
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        let value = filled(value.as_str().unwrap(), &host.key);
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let (mut socket, _) = connect_async(request).await.unwrap();
    let asked = run(&host, "by socket").await;
    let mut says = vec![guide.hello(&format!("wrk_{}", uuid::Uuid::from_u128(7).simple()))];
    loop {
        for message in says.drain(..) {
            guide.to_host.check(&message);
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        let heard = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap();
        let Message::Text(text) = heard.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        match message["type"].as_str().unwrap() {
            "run" => says.extend(carried_out(&message)),
            "settled" => break,
            _ => {}
        }
    }
    host.run_with_status(&asked, "completed").await;
    assert_eq!(host.logs(&asked).await, [("stdout".to_owned(), "by socket".to_owned())]);
}

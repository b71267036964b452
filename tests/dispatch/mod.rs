//! The way between a host and its workers: sockets and polls, one taking over from the other, what
//! goes back when it does not arrive, other replicas, and the messages as others read them.

mod guide;
mod handing_out;
mod polling;
mod python;
mod replicas;
mod schema;
mod takeover;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::clock::Clock;
use hillock::dispatch::protocol::{
    Held, PATH, POLL_PATH, Poll, Polled, Served, ToHost, ToWorker, VERSION,
};
use hillock::model::id::WorkerId;
use hillock::model::routing::Offer;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// How long a poll waits here: longer than anything it waits for takes.
const WAIT_MS: u64 = 20_000;

/// One open endpoint, whose events all go to the agent `agent`, as their text says.
const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
    triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "{{data.text}}",
                  fire_limit = "none" }]
"#;

async fn folder(database: Database) -> Folder {
    Folder::new(database, CONFIG).await
}

/// A run for the agent, with this prompt.
async fn run(host: &Host, prompt: &str) -> String {
    let body = serde_json::json!({ "text": prompt }).to_string();
    let id = host.deliver("open", Delivery::new(&[], body.as_bytes())).await.event_id(202);
    host.run_of(&id).await
}

fn hello(worker: &WorkerId, capacity: u32, active: &[Held]) -> ToHost {
    ToHost::Hello {
        version: VERSION,
        worker_id: worker.clone(),
        name: "by hand".to_owned(),
        agents: vec![Served { workspace_id: String::new(), name: "agent".parse().unwrap() }],
        capacity,
        offer: Offer::default(),
        active: active.to_vec(),
    }
}

/// The command that this hands over.
#[track_caller]
fn order(message: Option<ToWorker>) -> Held {
    match message {
        Some(ToWorker::Run { held, .. }) => held,
        other => panic!("no run: {other:?}"),
    }
}

/// A worker that polls.
struct Poller {
    url: String,
    key: String,
    http: reqwest::Client,
    id: WorkerId,
    place: Option<String>,
}

impl Poller {
    fn new(host: &Host) -> Self {
        Self {
            url: format!("{}{POLL_PATH}", host.url),
            key: host.key.clone(),
            http: host.http.clone(),
            id: Clock.worker_id(),
            place: None,
        }
    }

    /// One that has said hello.
    async fn greeted(host: &Host) -> Self {
        let mut poller = Self::new(host);
        poller.greet(&[]).await;
        poller
    }

    /// Says hello, with what it holds.
    async fn greet(&mut self, active: &[Held]) {
        self.place = None;
        let said = self.poll(vec![hello(&self.id, 1, active)], 0).await;
        assert!(matches!(said[..], [ToWorker::Welcome { version: VERSION, .. }]), "{said:?}");
    }

    /// What the host says, in one answer.
    async fn poll(&mut self, messages: Vec<ToHost>, wait_ms: u64) -> Vec<ToWorker> {
        let answer = self.exchange(messages, wait_ms).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let Polled { place, messages } = serde_json::from_str(&answer.body).unwrap();
        self.place = Some(place);
        messages
    }

    /// The answer, whatever it is.
    async fn exchange(&self, messages: Vec<ToHost>, wait_ms: u64) -> Answer {
        let poll = Poll { place: self.place.clone(), messages, wait_ms };
        self.post(serde_json::to_vec(&poll).unwrap()).await
    }

    async fn post(&self, body: Vec<u8>) -> Answer {
        Answer::of(self.http.post(&self.url).bearer_auth(&self.key).body(body)).await
    }

    /// Waits for a run, and says that it has it.
    async fn take(&mut self) -> Held {
        let held = order(self.poll(vec![], WAIT_MS).await.pop());
        let words = [ToHost::Acknowledged { held: held.clone() }, ToHost::Started { held }];
        let [ToHost::Acknowledged { held }, _] = words.clone() else { unreachable!() };
        assert_eq!(self.poll(words.into(), 0).await, []);
        held
    }
}

/// A worker's end of a socket.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// A connection on which this worker has said hello, with what it holds.
    async fn greeted(host: &Host, worker: &WorkerId, active: &[Held]) -> Self {
        let mut request = format!("ws://{}{PATH}", host.address()).into_client_request().unwrap();
        let key = format!("Bearer {}", host.key).parse().unwrap();
        request.headers_mut().insert("authorization", key);
        let mut socket = Self(connect_async(request).await.unwrap().0);
        socket.say(&hello(worker, 1, active)).await;
        let welcome = socket.hear().await;
        assert!(matches!(welcome, Some(ToWorker::Welcome { .. })), "{welcome:?}");
        socket
    }

    async fn say(&mut self, message: &ToHost) {
        self.0.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }

    /// What the host says next; none when it has closed the connection.
    async fn hear(&mut self) -> Option<ToWorker> {
        let hearing = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        let deadline = Duration::from_secs(20);
        tokio::time::timeout(deadline, hearing).await.expect("the host says something")
    }
}

//! What workers and hosts say to each other, spoken by hand: the fence, repeats, nonsense.

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, PATH, Served, ToHost, ToWorker, VERSION};
use hillock::model::command::Token;
use hillock::model::routing::Offer;
use hillock::model::run::{Ending, LogLine, Stream};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{host_folder, run};
use crate::harness::host::Host;

/// A worker's end of a connection.
pub(crate) struct Link(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Link {
    async fn open(host: &Host) -> Self {
        let url = format!("ws://{}{PATH}", host.address());
        let mut request = url.into_client_request().unwrap();
        let key = format!("Bearer {}", host.key).parse().unwrap();
        request.headers_mut().insert("authorization", key);
        Self(connect_async(request).await.unwrap().0)
    }

    /// A connection that has introduced itself as a worker for `agent`.
    pub(crate) async fn greeted(host: &Host) -> Self {
        let mut link = Self::open(host).await;
        link.say(&hello(VERSION)).await;
        let welcome = link.hear().await;
        assert!(matches!(welcome, Some(ToWorker::Welcome { version: VERSION, .. })), "{welcome:?}");
        link
    }

    pub(crate) async fn say(&mut self, message: &ToHost) {
        self.send(Message::text(serde_json::to_string(message).unwrap())).await;
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// What the host says next; none when it has closed the connection.
    pub(crate) async fn hear(&mut self) -> Option<ToWorker> {
        let hearing = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        let deadline = std::time::Duration::from_secs(20);
        tokio::time::timeout(deadline, hearing).await.expect("the host says something")
    }

    pub(crate) async fn order(&mut self) -> Held {
        match self.hear().await {
            Some(ToWorker::Run { held, .. }) => held,
            other => panic!("{other:?}"),
        }
    }
}

fn hello(version: u32) -> ToHost {
    ToHost::Hello {
        version,
        worker_id: Clock.worker_id(),
        name: "by hand".to_owned(),
        agents: vec![Served { workspace_id: String::new(), name: "agent".parse().unwrap() }],
        capacity: 1,
        offer: Offer::default(),
        active: vec![],
    }
}

fn stale(held: &Held) -> Held {
    Held { token: Token::mint([9; 32]), ..held.clone() }
}

fn line(text: &str) -> LogLine {
    LogLine { at: Clock.now(), stream: Stream::Stdout, text: text.to_owned() }
}

#[tokio::test]
async fn only_the_current_token_changes_anything() {
    let folder = host_folder().await;
    let host = folder.serve().await;
    let mut link = Link::greeted(&host).await;
    let run = run(&host).await;
    let held = link.order().await;
    let failed = Ending::failed("forged");
    for forged in [
        ToHost::Started { held: stale(&held) },
        ToHost::Logs { held: stale(&held), first: 1, lines: vec![line("forged")] },
        ToHost::Finished { held: stale(&held), ending: failed },
        ToHost::HandBack { held: stale(&held) },
    ] {
        link.say(&forged).await;
        let answer = link.hear().await;
        assert!(matches!(answer, Some(ToWorker::Refused { .. })), "{forged:?}: {answer:?}");
    }
    assert_eq!(host.logs(&run).await, []);
    link.say(&ToHost::Acknowledged { held: held.clone() }).await;
    link.say(&ToHost::Finished { held, ending: Ending::Completed }).await;
    assert!(matches!(link.hear().await, Some(ToWorker::Settled { .. })));
    host.run_with_status(&run, "completed").await;
}

/// As a worker does that did not hear the answers.
#[tokio::test]
async fn what_is_said_twice_is_stored_once() {
    let folder = host_folder().await;
    let host = folder.serve().await;
    let mut link = Link::greeted(&host).await;
    let run = run(&host).await;
    let held = link.order().await;
    for _ in 0..2 {
        link.say(&ToHost::Acknowledged { held: held.clone() }).await;
        link.say(&ToHost::Started { held: held.clone() }).await;
        let lines = vec![line("one"), line("two")];
        link.say(&ToHost::Logs { held: held.clone(), first: 1, lines }).await;
        let logged = link.hear().await;
        assert!(matches!(logged, Some(ToWorker::Logged { through: 2, .. })), "{logged:?}");
    }
    for _ in 0..2 {
        link.say(&ToHost::Finished { held: held.clone(), ending: Ending::Completed }).await;
        assert!(matches!(link.hear().await, Some(ToWorker::Settled { .. })));
    }
    host.run_with_status(&run, "completed").await;
    assert_eq!(host.logs(&run).await.len(), 2);
}

/// PostgreSQL could not store it, and the worker would say it forever.
#[tokio::test]
async fn an_error_may_hold_any_character() {
    let folder = host_folder().await;
    let host = folder.serve().await;
    let mut link = Link::greeted(&host).await;
    let run = run(&host).await;
    let held = link.order().await;
    let ending = Ending::failed("bad \0 worse");
    link.say(&ToHost::Finished { held, ending }).await;
    assert!(matches!(link.hear().await, Some(ToWorker::Settled { .. })));
    let failed = host.run_with_status(&run, "failed").await;
    assert_eq!(failed["error"], "bad \u{fffd} worse");
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    let folder = host_folder().await;
    let host = folder.serve().await;
    let nonsense = [
        Message::text("hello"),
        Message::text("{}"),
        Message::text(serde_json::to_string(&ToHost::Draining).unwrap()),
        Message::text(json!({ "type": "hello" }).to_string()),
        Message::binary(vec![0; 16]),
        Message::text("x".repeat(1024 * 1024)),
    ];
    for message in nonsense {
        let shown: String = message.to_string().chars().take(40).collect();
        let mut link = Link::open(&host).await;
        // What is too long may be refused before all of it is sent.
        let _ = link.0.send(message).await;
        assert!(link.hear().await.is_none(), "{shown}");
    }
    let mut link = Link::greeted(&host).await;
    run(&host).await;
    link.order().await;
}

/// It learns which version it would have to speak.
#[tokio::test]
async fn a_worker_of_another_version_is_turned_away() {
    let folder = host_folder().await;
    let host = folder.serve().await;
    let mut link = Link::open(&host).await;
    link.say(&hello(VERSION + 1)).await;
    let welcome = link.hear().await;
    assert!(matches!(welcome, Some(ToWorker::Welcome { version: VERSION, .. })), "{welcome:?}");
    assert!(link.hear().await.is_none());
}

//! The published schema, held against what workers and hosts really say.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::dispatch::protocol::{PATH, SCHEMA_PATH, VERSION};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{accept_hdr_async, connect_async};

use super::{Poller, WAIT_MS, folder, run};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::Process;
use crate::harness::wait;

/// Does as the prompt says, and tells an event.
const PROGRAM: &str = r#"
    [[worker.agents]]
    name = "agent"
    dir = "."
    command = ["sh", "-c", "echo one; echo two >&2; echo '{\"type\":\"result\",\"data\":1}'; exec sh -c \"$(cat)\""]
"#;

/// A part of the schema, by which messages are checked.
pub(super) struct Part {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Part {
    /// The whole has to be a schema of its draft.
    pub(super) fn of(schema: &Value, pointer: &str) -> Self {
        const PLACE: &str = "file:///protocol.json";
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, schema.clone()).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(&format!("{PLACE}#{pointer}"), &mut schemas);
        Self { index: index.unwrap(), schemas }
    }

    fn allows(&self, message: &Value) -> bool {
        self.schemas.validate(message, self.index).is_ok()
    }

    #[track_caller]
    pub(super) fn check(&self, message: &Value) {
        let checked = self.schemas.validate(message, self.index);
        assert!(checked.is_ok(), "{message:#}: {}", checked.unwrap_err());
    }
}

async fn published(host: &Host) -> Value {
    let answer = Answer::of(host.http.get(format!("{}{SCHEMA_PATH}", host.url))).await;
    assert_eq!(answer.status, 200, "it needs no key: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn the_schema_is_a_schema_and_is_printed_as_it_is_served() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let schema = published(&host).await;
    assert_eq!(schema["version"], VERSION);
    let whole = Part::of(&schema, "");
    whole.check(&json!({ "type": "draining" }));
    assert!(!whole.allows(&json!({ "type": "shrug" })));
    let printed = folder.hillock(&["protocol"]).output().await.unwrap();
    assert!(printed.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), schema);
}

/// What the shipped worker and the host say to each other while it works, is canceled and leaves.
#[tokio::test]
async fn all_that_is_said_fits_the_schema() {
    let (at_host, at_worker) =
        (folder(Database::sqlite()).await, Folder::new(Database::sqlite(), PROGRAM).await);
    let host = at_host.serve().await;
    let schema = published(&host).await;
    let tap = Tap::open(&host).await;
    let mut command = at_worker.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &tap.url).env("HILLOCK_API_KEY", &host.key);
    let mut worker = Process::start(command, &at_worker.path().join("worker.log"));
    let done = run(&host, "exit 0").await;
    host.run_with_status(&done, "completed").await;
    let failed = run(&host, "exit 3").await;
    host.run_with_status(&failed, "failed").await;
    let canceled = run(&host, "echo waiting; sleep 60").await;
    host.line(&canceled, "waiting").await;
    host.post(&format!("runs/{canceled}/cancel")).await;
    host.run_with_status(&canceled, "canceled").await;
    assert!(worker.stop().await.success());
    wait::until("the worker's last word", async || tap.heard("draining").then_some(())).await;

    let said = tap.said.lock().unwrap().clone();
    for wanted in ["hello", "acknowledged", "started", "logs", "finished", "draining"] {
        assert!(
            said.iter().any(|(from_worker, m)| *from_worker && m["type"] == wanted),
            "{wanted}"
        );
    }
    for wanted in ["welcome", "run", "logged", "settled"] {
        assert!(
            said.iter().any(|(from_worker, m)| !from_worker && m["type"] == wanted),
            "{wanted}"
        );
    }
    let part = |name: &str| Part::of(&schema, &format!("/$defs/{name}"));
    let (to_host, to_worker) = (part("ToHost"), part("ToWorker"));
    for (from_worker, message) in &said {
        (if *from_worker { &to_host } else { &to_worker }).check(message);
    }
    // A check that can fail.
    for (_, message) in &said {
        let mut odd = message.clone();
        odd["type"] = "shrug".into();
        assert!(!to_host.allows(&odd) && !to_worker.allows(&odd), "{odd}");
        if message.get("held").is_some() {
            let mut odd = message.clone();
            odd["held"]["command_id"] = "cmd_1".into();
            assert!(!to_host.allows(&odd) && !to_worker.allows(&odd), "{odd}");
        }
    }
}

#[tokio::test]
async fn polls_and_their_answers_fit_the_schema() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let schema = published(&host).await;
    let part = |name: &str| Part::of(&schema, &format!("/$defs/{name}"));
    let (poll, polled) = (part("Poll"), part("Polled"));
    let mut poller = Poller::new(&host);
    let hello = serde_json::to_value(super::hello(&poller.id, 1, &[])).unwrap();
    let mut asked = json!({ "messages": [hello] });
    for _ in 0..2 {
        poll.check(&asked);
        let answer = poller.post(asked.to_string().into_bytes()).await.json();
        polled.check(&answer);
        poller.place = answer["place"].as_str().map(str::to_owned);
        run(&host, "work").await;
        asked = json!({ "place": poller.place, "wait_ms": WAIT_MS });
    }
    for wrong in [json!({ "message": [] }), json!({ "messages": [{ "type": "welcome" }] })] {
        assert!(!poll.allows(&wrong), "{wrong}");
        assert_eq!(poller.post(wrong.to_string().into_bytes()).await.status, 400, "{wrong}");
    }
}

/// Stands between a worker and its host, and keeps what they say.
struct Tap {
    url: String,
    said: Said,
    _tapping: tokio::task::JoinSet<()>,
}

/// Each message, and whether the worker said it.
type Said = Arc<Mutex<Vec<(bool, Value)>>>;

impl Tap {
    async fn open(host: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (said, to) = (Said::default(), format!("ws://{}{PATH}", host.address()));
        let kept = Arc::clone(&said);
        let mut tapping = tokio::task::JoinSet::new();
        tapping.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tap(stream, &to, &kept).await;
            }
        });
        Self { url, said, _tapping: tapping }
    }

    fn heard(&self, wanted: &str) -> bool {
        self.said.lock().unwrap().iter().any(|(_, message)| message["type"] == wanted)
    }
}

async fn tap(stream: TcpStream, to: &str, said: &Said) {
    let mut onward = to.into_client_request().unwrap();
    let headers = onward.headers_mut();
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let copy = |request: &Request, response: Response| {
        headers.insert("authorization", request.headers()["authorization"].clone());
        Ok(response)
    };
    let worker = accept_hdr_async(stream, copy).await.unwrap();
    let (host, _) = connect_async(onward).await.unwrap();
    let ((mut to_worker, from_worker), (mut to_host, from_host)) = (worker.split(), host.split());
    let keep = |from_worker: bool| {
        move |message: &Result<Message, _>| {
            if let Ok(Message::Text(text)) = message {
                said.lock().unwrap().push((from_worker, serde_json::from_str(text).unwrap()));
            }
        }
    };
    let (mut from_worker, mut from_host) =
        (from_worker.inspect(keep(true)), from_host.inspect(keep(false)));
    // Either side's end is the end of both.
    tokio::select! {
        _ = to_host.send_all(&mut from_worker) => {}
        _ = to_worker.send_all(&mut from_host) => {}
    }
}

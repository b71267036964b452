//! A host of the test's own, which says to a worker what the test wants: it lets workers join, and
//! hands their connections to the test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, PATH, Served, ToHost, ToWorker, VERSION};
use hillock::model::command::Token;
use hillock::model::id::WorkerId;
use hillock::model::policy::{Enforces, PolicyDraft};
use hillock::model::problem::Problems;
use hillock::model::routing::Offer;
use hillock::model::run::{Ending, Terms};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::folder::Folder;
use crate::harness::process::Process;

/// What lets a worker join.
pub(super) const TOKEN: &str = "hlk_join_0123456789abcdef";
/// What it gets for that.
pub(super) const CREDENTIAL: &str = "hlk_wrk_0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct StandIn {
    pub(super) url: String,
    shared: Arc<Shared>,
    connections: mpsc::UnboundedReceiver<WebSocket>,
    _serving: JoinSet<()>,
}

struct Shared {
    id: WorkerId,
    approval: &'static str,
    revoked: AtomicBool,
    joined: Mutex<Vec<Value>>,
    opened: mpsc::UnboundedSender<WebSocket>,
}

impl StandIn {
    pub(super) async fn start(approval: &'static str) -> Self {
        let (opened, connections) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            id: Clock.worker_id(),
            approval,
            revoked: AtomicBool::new(false),
            joined: Mutex::default(),
            opened,
        });
        let router = axum::Router::new()
            .route("/api/v1/workers/register", post(register))
            .route(PATH, get(connect))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, connections, _serving: serving }
    }

    /// The identifier that it gives.
    pub(super) fn id(&self) -> &WorkerId {
        &self.shared.id
    }

    /// What was said by the workers that joined.
    pub(super) fn joined(&self) -> Vec<Value> {
        self.shared.joined.lock().unwrap().clone()
    }

    /// From here on, the credential opens nothing.
    pub(super) fn revoke(&self) {
        self.shared.revoked.store(true, Ordering::SeqCst);
    }

    /// Starts a worker for this host, with these flags and no file.
    pub(super) fn employ(&self, folder: &Folder, args: &[&str]) -> Process {
        self.employ_with(folder, args, &[])
    }

    /// The same, with these variables in its environment.
    pub(super) fn employ_with(
        &self,
        folder: &Folder,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        let mut command = folder.hillock(&[&["worker"], args].concat());
        command.env("HILLOCK_URL", &self.url).envs(environment.iter().copied());
        Process::start(command, &folder.path().join("worker.log"))
    }

    /// The next connection, welcomed, and what the worker said of itself.
    pub(super) async fn greeted(&mut self) -> (Peer, Hello) {
        let socket = timeout(PATIENCE, self.connections.recv()).await.expect("a worker connects");
        let mut peer = Peer { socket: socket.unwrap(), orders: 0 };
        let ToHost::Hello { worker_id, name, agents, capacity, offer, .. } = peer.hear().await
        else {
            panic!("not a hello");
        };
        peer.say(&ToWorker::Welcome { version: VERSION, heartbeat_ms: 60_000 }).await;
        (peer, Hello { worker_id, name, agents, capacity, offer })
    }
}

async fn register(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if headers["authorization"] != format!("Bearer {TOKEN}").as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    shared.joined.lock().unwrap().push(body);
    let answer = json!({ "id": shared.id, "credential": CREDENTIAL, "approval": shared.approval });
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn connect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let known = headers["authorization"] == format!("Bearer {CREDENTIAL}").as_str();
    if !known || shared.revoked.load(Ordering::SeqCst) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(move |socket| async move {
        let _ = shared.opened.send(socket);
    })
}

/// What a worker says of itself.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) worker_id: WorkerId,
    pub(super) name: String,
    pub(super) agents: Vec<Served>,
    pub(super) capacity: u32,
    pub(super) offer: Offer,
}

impl Hello {
    pub(super) fn enforces(&self) -> &Enforces {
        &self.offer.enforces
    }
}

/// A worker's connection.
pub(super) struct Peer {
    socket: WebSocket,
    orders: u8,
}

/// What came of an order.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) lines: Vec<String>,
    pub(super) events: Vec<Value>,
    pub(super) ending: Ending,
}

impl Peer {
    pub(super) async fn say(&mut self, message: &ToWorker) {
        let text = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> ToHost {
        loop {
            let frame = timeout(PATIENCE, self.socket.recv()).await.expect("the worker speaks");
            match frame.expect("the worker stays").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(_) => panic!("the worker said goodbye"),
                _ => {}
            }
        }
    }

    /// Hands the agent `agent` this prompt, under this policy.
    pub(super) async fn order(&mut self, prompt: &str, policy: Option<Value>) -> Held {
        let draft = policy.map(|value| {
            let mut problems = Problems::default();
            let draft = PolicyDraft::read(&value, "policy", &mut problems);
            draft.unwrap_or_else(|| panic!("{problems}"))
        });
        self.orders += 1;
        let held = Held { command_id: Clock.command_id(), token: Token::mint([self.orders; 32]) };
        self.say(&ToWorker::Run {
            held: held.clone(),
            run_id: Clock.run_id(),
            agent: Served { workspace_id: String::new(), name: "agent".parse().unwrap() },
            attempt: 1,
            dispatch: 1,
            prompt: prompt.to_owned(),
            task_id: None,
            terms: Box::new(Terms {
                policy: draft.map(PolicyDraft::normalize),
                ..Terms::default()
            }),
        })
        .await;
        held
    }

    /// Hears all that comes of an order, until its end or until a line is `until`.
    pub(super) async fn hear_out(&mut self, held: &Held, until: Option<&str>) -> Carried {
        let mut carried =
            Carried { lines: vec![], events: vec![], ending: Ending::failed("goes on") };
        while until.is_none_or(|wanted| !carried.lines.iter().any(|line| line == wanted)) {
            match self.hear().await {
                ToHost::Logs { held, first, lines } => {
                    let through = first + lines.len() as u64 - 1;
                    carried.lines.extend(lines.into_iter().map(|line| line.text));
                    self.say(&ToWorker::Logged { held, through }).await;
                }
                ToHost::Events { held, first, events } => {
                    let through = first + events.len() as u64 - 1;
                    carried.events.extend(events.into_iter().map(|event| event.data));
                    self.say(&ToWorker::Noted { held, through }).await;
                }
                ToHost::Finished { held: whose, ending } if whose == *held => {
                    self.say(&ToWorker::Settled { held: whose }).await;
                    return Carried { ending, ..carried };
                }
                ToHost::Acknowledged { .. } | ToHost::Started { .. } => {}
                other => panic!("{other:?} after {carried:?}"),
            }
        }
        carried
    }

    /// An order from its beginning to its end.
    pub(super) async fn carried_out(&mut self, prompt: &str, policy: Option<Value>) -> Carried {
        let held = self.order(prompt, policy).await;
        self.hear_out(&held, None).await
    }
}

//! The whole worker against a host of the test's own: a real WebSocket, real programs.

use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::*;
use crate::config::{Program, Worker};
use crate::dispatch::protocol::{Held, MESSAGE_BYTES_MAX, PATH, Served, ToWorker};
use crate::model::command::{Control, Token};
use crate::model::definition::Agent;
use crate::model::id::{CommandId, InputId, RunId};
use crate::model::policy::PolicyDraft;
use crate::model::problem::Problems;
use crate::model::run::{Ending, LogLine, Terms};
use crate::model::scope::Scope;

const LONG: Duration = Duration::from_secs(30);
const KEY: &str = "hlk_test";

fn now() -> Time {
    Time::from_millis(1_000).unwrap()
}

fn held(command: u8, token: u8) -> Held {
    let at = Time::from_millis(1_000).unwrap();
    Held { command_id: CommandId::mint(at, [command; 10]), token: Token::mint([token; 32]) }
}

fn order(held: &Held, prompt: &str) -> ToWorker {
    ToWorker::Run {
        held: held.clone(),
        run_id: RunId::mint(now(), [9; 10]),
        agent: Served { workspace_id: String::new(), name: "shell".parse().unwrap() },
        attempt: 1,
        dispatch: 1,
        prompt: prompt.to_owned(),
        task_id: None,
        terms: Box::default(),
    }
}

/// A host with a worker whose agent `shell` runs its prompt.
struct Host {
    listener: TcpListener,
    settings: Settings,
    worker: JoinSet<Result<(), WorkerError>>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Host {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(configure: impl FnOnce(&mut Worker)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let agent = Agent { scope: Scope::Global, name: "shell".parse().unwrap() };
        let mut worker = Worker {
            name: Some("tester".to_owned()),
            capacity: 2,
            programs: vec![Program {
                agent,
                command: vec!["sh".to_owned()],
                env: Vec::new(),
                dir: None,
                timeout: LONG,
                interactive: false,
                visible: Vec::new(),
                user: None,
            }],
            isolation: config::Isolation::Off,
            cancel_grace: LONG,
            drain_grace: LONG,
            ..Worker::default()
        };
        configure(&mut worker);
        let (stop, folder) = (CancellationToken::new(), tempfile::tempdir().unwrap());
        let settings = Settings {
            host: format!("http://{}/", listener.local_addr().unwrap()),
            key: KEY.to_owned(),
            id: WorkerId::mint(now(), [5; 10]),
            worker,
            changes: None,
            data_dir: folder.path().to_owned(),
            private: Arc::new(Private::default),
            now,
            stop: stop.clone(),
        };
        let mut worker = JoinSet::new();
        worker.spawn(run(settings.clone()));
        Self { listener, settings, worker, stop, _folder: folder }
    }

    async fn accept(&self, answer: impl FnOnce(&Request) -> StatusCode + Unpin) -> Option<Peer> {
        let (stream, _) = timeout(LONG, self.listener.accept()).await.unwrap().unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
        let check = |request: &Request, response: Response| match answer(request) {
            StatusCode::OK => Ok(response),
            status => {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = status;
                Err(refusal)
            }
        };
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
        accept_hdr_async_with_config(stream, check, Some(limits)).await.ok().map(Peer)
    }

    /// The next connection, and the commands that its `hello` names.
    async fn greeted(&self) -> (Peer, Vec<Held>) {
        let check = |request: &Request| {
            assert_eq!(request.uri().path(), PATH);
            assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}").as_str());
            StatusCode::OK
        };
        let mut peer = self.accept(check).await.unwrap();
        let ToHost::Hello { version, name, agents, capacity, offer, active, .. } =
            peer.hear().await
        else {
            panic!("not a hello");
        };
        assert!(offer.enforces.interactive && offer.platform.is_some());
        assert_eq!((version, name.as_str(), capacity), (VERSION, "tester", 2));
        assert_eq!(agents[0].name.as_str(), "shell");
        (peer, active)
    }

    /// The next connection, welcomed, of which `hello` names these commands.
    async fn welcomed(&self, held: &[&Held]) -> Peer {
        let (mut peer, active) = self.greeted().await;
        assert_eq!(active.iter().collect::<Vec<_>>(), held);
        peer.say(ToWorker::Welcome { version: VERSION, heartbeat_ms: 60_000 }).await;
        peer
    }

    /// Stops the worker, which then says goodbye and ends well.
    async fn stopped(self, peer: Peer) {
        self.stop.cancel();
        self.left(peer).await;
    }

    /// Waits for the goodbye, before which nothing but the leaving itself is said.
    async fn left(self, mut peer: Peer) {
        while let Some(word) = peer.word().await {
            assert_eq!(word, ToHost::Draining);
        }
        // Reading on is what answers the goodbye.
        while peer.0.next().await.is_some_and(|frame| frame.is_ok()) {}
        self.ended().await.unwrap();
    }

    async fn ended(mut self) -> Result<(), WorkerError> {
        timeout(LONG, self.worker.join_next()).await.unwrap().unwrap().unwrap()
    }
}

/// One connection of the worker.
struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    async fn say(&mut self, message: ToWorker) {
        let text = serde_json::to_string(&message).unwrap();
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn hear(&mut self) -> ToHost {
        self.word().await.expect("a word before the goodbye")
    }

    /// The next word, or none at the goodbye.
    async fn word(&mut self) -> Option<ToHost> {
        loop {
            let frame = timeout(LONG, self.0.next()).await.expect("a frame within time");
            match frame.expect("a goodbye before the end").unwrap() {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn acknowledged(&mut self, held: &Held) {
        assert_eq!(self.hear().await, ToHost::Acknowledged { held: held.clone() });
    }

    async fn started(&mut self, held: &Held) {
        self.acknowledged(held).await;
        assert_eq!(self.hear().await, ToHost::Started { held: held.clone() });
    }

    /// Hears events, in one message, from number `first` on.
    async fn events(&mut self, held: &Held, first: u64, wanted: &[Value]) {
        let ToHost::Events { held: whose, first: number, events } = self.hear().await else {
            panic!("no events");
        };
        assert_eq!((&whose, number), (held, first));
        assert_eq!(
            events.iter().map(|event| &event.data).collect::<Vec<_>>(),
            wanted.iter().collect::<Vec<_>>()
        );
        for event in events {
            assert_eq!(event.data["type"], event.kind.as_str());
        }
    }

    /// Gives a word, and hears what became of it.
    async fn told(&mut self, word: &Held, control: Control, ending: Ending) {
        self.say(ToWorker::Control { held: word.clone(), control }).await;
        self.acknowledged(word).await;
        self.finished(word, ending).await;
        self.settle(word).await;
    }

    /// Hears lines, whatever messages they come in, from number `first` to `texts`' last.
    async fn logs(&mut self, held: &Held, first: u64, texts: &[&str]) {
        let mut heard: Vec<LogLine> = Vec::new();
        while heard.len() < texts.len() {
            let ToHost::Logs { held: whose, first: number, lines } = self.hear().await else {
                panic!("no logs after {heard:?}");
            };
            assert_eq!((&whose, number), (held, first + heard.len() as u64));
            heard.extend(lines);
        }
        assert_eq!(heard.iter().map(|line| &*line.text).collect::<Vec<_>>(), texts);
    }

    async fn finished(&mut self, held: &Held, ending: Ending) {
        assert_eq!(self.hear().await, ToHost::Finished { held: held.clone(), ending });
    }

    async fn handed_back(&mut self, held: &Held) {
        assert_eq!(self.hear().await, ToHost::HandBack { held: held.clone() });
    }

    async fn settle(&mut self, held: &Held) {
        self.say(ToWorker::Settled { held: held.clone() }).await;
    }
}

/// A named pipe that a program waits on, or holds.
fn fifo(folder: &Path) -> String {
    let path = folder.join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Waits until nobody holds the pipe that somebody held.
fn gone(fifo: &str) -> tokio::sync::oneshot::Receiver<String> {
    let (sender, gone) = tokio::sync::oneshot::channel();
    let fifo = fifo.to_owned();
    std::thread::spawn(move || sender.send(std::fs::read_to_string(fifo).unwrap()));
    gone
}

#[tokio::test]
async fn a_command_is_carried_out_and_settled() {
    let host = Host::start().await;
    let mut peer = host.welcomed(&[]).await;
    let held = held(1, 1);
    peer.say(order(&held, "echo one; echo two; exit 3")).await;
    peer.started(&held).await;
    peer.logs(&held, 1, &["one", "two"]).await;
    peer.finished(&held, Ending::failed("exit status 3")).await;
    peer.settle(&held).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn what_was_not_answered_is_said_again_on_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    let host = Host::start().await;
    let held = held(1, 1);

    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, &format!("echo one; echo two; read go <{fifo}; echo three"))).await;
    peer.started(&held).await;
    peer.logs(&held, 1, &["one", "two"]).await;
    drop(peer);

    let mut peer = host.welcomed(&[&held]).await;
    peer.started(&held).await;
    peer.logs(&held, 1, &["one", "two"]).await;
    peer.say(ToWorker::Logged { held: held.clone(), through: 1 }).await;
    drop(peer);
    // The program goes on without a host.
    std::fs::write(&fifo, "go\n").unwrap();

    let mut peer = host.welcomed(&[&held]).await;
    peer.started(&held).await;
    peer.logs(&held, 2, &["two", "three"]).await;
    peer.finished(&held, Ending::Completed).await;
    drop(peer);

    let mut peer = host.welcomed(&[&held]).await;
    peer.started(&held).await;
    peer.logs(&held, 2, &["two", "three"]).await;
    peer.finished(&held, Ending::Completed).await;
    peer.settle(&held).await;
    drop(peer);

    let peer = host.welcomed(&[]).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn nothing_is_said_of_commands_before_the_welcome() {
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, "exit 0")).await;
    peer.started(&held).await;
    peer.finished(&held, Ending::Completed).await;
    drop(peer);
    let (mut peer, active) = host.greeted().await;
    assert_eq!(active, [held]);
    assert!(timeout(Duration::from_millis(300), peer.0.next()).await.is_err());
}

#[tokio::test]
async fn a_refused_command_is_killed_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    let gone = gone(&fifo);
    let script = format!("trap '' TERM; exec 3>{fifo}; echo up; while :; do sleep 0.01; done");
    peer.say(order(&held, &script)).await;
    peer.started(&held).await;
    peer.logs(&held, 1, &["up"]).await;
    peer.say(ToWorker::Refused { held: held.clone() }).await;
    assert_eq!(timeout(LONG, gone).await.unwrap().unwrap(), "");
    drop(peer);
    let peer = host.welcomed(&[]).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn a_canceled_command_ends_canceled() {
    let host = Host::start().await;
    let (held, unknown) = (held(1, 1), held(2, 2).command_id);
    let mut peer = host.welcomed(&[]).await;
    peer.say(ToWorker::Cancel { command_id: unknown }).await;
    peer.say(order(&held, "echo up; exec sleep 1000")).await;
    peer.started(&held).await;
    peer.logs(&held, 1, &["up"]).await;
    peer.say(ToWorker::Cancel { command_id: held.command_id.clone() }).await;
    peer.finished(&held, Ending::Canceled).await;
    peer.settle(&held).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn the_same_command_again_counts_only_with_a_new_token() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    let host = Host::start().await;
    let (old, new) = (held(1, 1), held(1, 2));
    let mut peer = host.welcomed(&[]).await;
    let gone = gone(&fifo);
    let script = format!("exec 3>{fifo}; echo up; exec sleep 1000");
    peer.say(order(&old, &script)).await;
    peer.started(&old).await;
    peer.logs(&old, 1, &["up"]).await;
    peer.say(order(&old, "echo again")).await;
    peer.say(order(&new, "echo anew")).await;
    peer.say(ToWorker::Refused { held: old.clone() }).await;
    peer.started(&new).await;
    peer.logs(&new, 1, &["anew"]).await;
    peer.finished(&new, Ending::Completed).await;
    assert_eq!(timeout(LONG, gone).await.unwrap().unwrap(), "");
    peer.settle(&new).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn what_a_worker_cannot_take_it_says_at_once() {
    let host = Host::with(|worker| worker.capacity = 2).await;
    let mut peer = host.welcomed(&[]).await;
    for n in [1, 2] {
        peer.say(order(&held(n, n), "exec sleep 1000")).await;
        peer.started(&held(n, n)).await;
    }
    peer.say(order(&held(3, 3), "exit 0")).await;
    peer.handed_back(&held(3, 3)).await;
    peer.settle(&held(3, 3)).await;

    peer.say(ToWorker::Refused { held: held(1, 1) }).await;
    let ToWorker::Run { held: stranger, run_id, attempt, dispatch, prompt, .. } =
        order(&held(4, 4), "")
    else {
        unreachable!()
    };
    let agent = Served { workspace_id: "acme".to_owned(), name: "shell".parse().unwrap() };
    let run = ToWorker::Run {
        held: stranger.clone(),
        run_id,
        agent,
        attempt,
        dispatch,
        prompt,
        task_id: None,
        terms: Box::default(),
    };
    peer.say(run).await;
    let error = "the worker `tester` has no program for this agent".to_owned();
    peer.acknowledged(&stranger).await;
    peer.finished(&stranger, Ending::failed(error)).await;
}

#[tokio::test]
async fn more_output_than_a_worker_keeps_flows_as_it_is_answered() {
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, "seq 1 150000")).await;
    peer.started(&held).await;
    let mut wanted = 1;
    loop {
        match peer.hear().await {
            ToHost::Logs { first, lines, .. } => {
                assert_eq!(first, wanted);
                for line in &lines {
                    assert_eq!(line.text, wanted.to_string());
                    wanted += 1;
                }
                let through = wanted - 1;
                peer.say(ToWorker::Logged { held: held.clone(), through }).await;
            }
            ToHost::Finished { ending, .. } => {
                assert_eq!((ending, wanted), (Ending::Completed, 150_001));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    peer.settle(&held).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn heartbeats_name_what_is_held() {
    let host = Host::start().await;
    let held = held(1, 1);
    let (mut peer, _) = host.greeted().await;
    peer.say(ToWorker::Welcome { version: VERSION, heartbeat_ms: 1 }).await;
    assert_eq!(
        peer.hear().await,
        ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents: None }
    );
    peer.say(order(&held, "exec sleep 1000")).await;
    let said = [peer.hear().await, peer.hear().await, peer.hear().await, peer.hear().await];
    assert!(said.contains(&ToHost::Started { held: held.clone() }));
    assert!(said.contains(&ToHost::Heartbeat {
        active: vec![held],
        capacity: None,
        offer: None,
        agents: None
    }));
}

#[tokio::test]
async fn a_draining_worker_hands_back_what_does_not_end() {
    let host = Host::with(|worker| worker.drain_grace = Duration::from_millis(300)).await;
    let (stubborn, quick, late) = (held(1, 1), held(2, 2), held(3, 3));
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&stubborn, "trap '' TERM; echo up; while :; do sleep 0.01; done")).await;
    peer.started(&stubborn).await;
    peer.logs(&stubborn, 1, &["up"]).await;
    peer.say(order(&quick, &format!("read go <{fifo}"))).await;
    peer.started(&quick).await;

    host.stop.cancel();
    assert_eq!(peer.hear().await, ToHost::Draining);
    peer.say(order(&late, "exit 0")).await;
    peer.handed_back(&late).await;
    std::fs::write(&fifo, "go\n").unwrap();
    peer.finished(&quick, Ending::Completed).await;
    peer.handed_back(&stubborn).await;
    for held in [&late, &quick, &stubborn] {
        peer.settle(held).await;
    }
    host.left(peer).await;
}

#[tokio::test]
async fn a_draining_worker_reconnects_to_report() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path());
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, &format!("read go <{fifo}"))).await;
    peer.started(&held).await;
    host.stop.cancel();
    assert_eq!(peer.hear().await, ToHost::Draining);
    drop(peer);
    std::fs::write(&fifo, "go\n").unwrap();
    let mut peer = host.welcomed(&[&held]).await;
    assert_eq!(peer.hear().await, ToHost::Draining);
    peer.started(&held).await;
    peer.finished(&held, Ending::Completed).await;
    peer.settle(&held).await;
    host.left(peer).await;
}

/// The host keeps the connection, and says nothing.
#[tokio::test]
async fn a_draining_worker_stays_with_what_is_owed_until_the_grace_is_over() {
    let host = Host::start().await;
    let (sender, _reports) = mpsc::channel(1);
    let Settings { worker, data_dir, private, .. } = &host.settings;
    let register = Arc::new(Register::open(data_dir).await);
    let private = Arc::clone(private);
    let isolation =
        Isolation::new(worker, Means::default(), None, data_dir, private, register).unwrap();
    let mut desk = Desk::new(&host.settings, isolation, sender);
    let now = Instant::now();
    let word = held(1, 1);
    desk.opened();
    desk.hear(ToWorker::Welcome { version: VERSION, heartbeat_ms: 60_000 }, now).unwrap();
    desk.hear(ToWorker::Control { held: word.clone(), control: Control::HealthCheck }, now)
        .unwrap();
    desk.drain(now);
    while desk.word(now).is_some() {}
    let stays = |desk: &mut Desk, after: Duration| {
        desk.tick(now + after);
        !desk.is_done(now + after)
    };
    assert!(stays(&mut desk, LONG - Duration::from_millis(1)), "for the whole grace");
    assert!(stays(&mut desk, LONG + Duration::from_secs(4)), "for a last answer");
    assert!(!stays(&mut desk, LONG + Duration::from_secs(5)));
    assert_eq!(desk.owed().to_string(), format!("{}: completed", word.command_id));
    desk.hear(ToWorker::Settled { held: word }, now).unwrap();
    assert!(desk.is_done(now) && desk.owed().is_empty());
}

#[tokio::test]
async fn a_worker_says_what_it_could_not_deliver() {
    let host = Host::with(|worker| worker.drain_grace = Duration::from_millis(300)).await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, "exit 0")).await;
    peer.started(&held).await;
    peer.finished(&held, Ending::Completed).await;
    drop(peer);
    host.stop.cancel();
    let (mut peer, active) = host.greeted().await;
    assert_eq!(active, std::slice::from_ref(&held));
    // It is never welcomed.
    assert_eq!(peer.word().await, None);
    let error = host.ended().await.unwrap_err().to_string();
    let run = RunId::mint(now(), [9; 10]);
    assert!(error.contains(&format!("{run} ({}): completed", held.command_id)), "{error}");
}

#[tokio::test]
async fn an_idle_worker_without_a_host_stops_at_once() {
    let host = Host::start().await;
    host.stop.cancel();
    host.ended().await.unwrap();
}

#[tokio::test]
async fn a_refused_key_ends_the_worker() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let host = Host::start().await;
        assert!(host.accept(|_| status).await.is_none());
        let error = host.ended().await.unwrap_err();
        assert!(matches!(error, WorkerError::Unauthorized { status: s, .. } if s == status));
        assert!(!error.to_string().contains(KEY));
    }
}

#[tokio::test]
async fn another_trouble_of_the_host_is_waited_out() {
    let host = Host::start().await;
    assert!(host.accept(|_| StatusCode::SERVICE_UNAVAILABLE).await.is_none());
    assert!(host.accept(|_| StatusCode::NOT_FOUND).await.is_none());
    let peer = host.welcomed(&[]).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn another_version_ends_the_worker() {
    let host = Host::start().await;
    let (mut peer, _) = host.greeted().await;
    peer.say(ToWorker::Welcome { version: 7, heartbeat_ms: 60_000 }).await;
    assert!(matches!(host.ended().await, Err(WorkerError::Version { theirs: 7 })));
}

#[tokio::test]
async fn what_a_worker_does_not_understand_it_leaves() {
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.0.send(Message::text(r#"{"type":"dance"}"#)).await.unwrap();
    peer.0.send(Message::binary(vec![0; 9])).await.unwrap();
    peer.say(order(&held, "exit 0")).await;
    peer.started(&held).await;
    peer.finished(&held, Ending::Completed).await;
}

/// The same order, with these terms.
fn under(order: ToWorker, changed: Terms) -> ToWorker {
    let ToWorker::Run { held, run_id, agent, attempt, dispatch, prompt, task_id, .. } = order
    else {
        unreachable!()
    };
    ToWorker::Run {
        held,
        run_id,
        agent,
        attempt,
        dispatch,
        prompt,
        task_id,
        terms: Box::new(changed),
    }
}

fn policy(value: &Value) -> Terms {
    let draft = PolicyDraft::read(value, "policy", &mut Problems::default()).unwrap();
    Terms { policy: Some(draft.normalize()), ..Terms::default() }
}

fn input(number: u8, command: &Held, text: &str) -> Control {
    let input_id = InputId::mint(now(), [number; 10]);
    Control::Input { input_id, command_id: command.command_id.clone(), text: text.to_owned() }
}

/// A host with a worker whose agent reads lines of JSON, and runs this script for them.
async fn interactive(script: &str) -> Host {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Host::with(|worker| {
        worker.programs[0].command = command;
        worker.programs[0].interactive = true;
    })
    .await
}

#[tokio::test]
async fn what_a_program_tells_is_an_event_until_it_is_noted() {
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    let script = r#"echo '{"type":"tool.call","n":1}'; echo '{"type":"result","data":[2]}'
                    echo '{"type":"a"}' >&2; echo log"#;
    peer.say(order(&held, script)).await;
    peer.started(&held).await;
    let mut heard = (vec![], vec![]);
    while heard.0.len() < 2 || heard.1.len() < 2 {
        match peer.hear().await {
            ToHost::Events { first, events, .. } => {
                assert_eq!(first, heard.0.len() as u64 + 1);
                heard.0.extend(events.into_iter().map(|event| event.data));
            }
            ToHost::Logs { lines, .. } => heard.1.extend(lines.into_iter().map(|line| line.text)),
            other => panic!("{other:?}"),
        }
    }
    let events = [json!({"type": "tool.call", "n": 1}), json!({"type": "result", "data": [2]})];
    assert_eq!(heard.0, events);
    heard.1.sort();
    assert_eq!(heard.1, ["log", r#"{"type":"a"}"#]);
    peer.finished(&held, Ending::Completed).await;
    peer.say(ToWorker::Noted { held: held.clone(), through: 1 }).await;
    peer.say(ToWorker::Logged { held: held.clone(), through: 2 }).await;
    drop(peer);

    let mut peer = host.welcomed(&[&held]).await;
    peer.started(&held).await;
    peer.events(&held, 2, &events[1..]).await;
    peer.finished(&held, Ending::Completed).await;
    peer.settle(&held).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn an_interactive_program_is_told_more() {
    let script = "for n in 1 2 3; do read -r line; printf '%s\\n' \"$line\"; done";
    let host = interactive(script).await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&held, "do\nit")).await;
    peer.started(&held).await;
    peer.events(&held, 1, &[json!({"type": "prompt", "text": "do\nit"})]).await;
    peer.told(&super::tests::held(2, 2), input(7, &held, "faster"), Ending::Completed).await;
    let told =
        |text: &str, n| json!({"type": "input", "id": InputId::mint(now(), [n; 10]), "text": text});
    peer.events(&held, 2, &[told("faster", 7)]).await;
    peer.told(&super::tests::held(3, 3), input(8, &held, "enough"), Ending::Completed).await;
    peer.events(&held, 3, &[told("enough", 8)]).await;
    peer.finished(&held, Ending::Completed).await;
    peer.settle(&held).await;
    let gone = Ending::failed("no program of this command runs here");
    peer.told(&super::tests::held(4, 4), input(9, &held, "more"), gone).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn a_policy_may_ask_for_an_interactive_program() {
    let host = Host::with(|worker| worker.programs[0].command = vec!["cat".to_owned()]).await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    let terms = policy(&json!({"runtime_type": "process", "interactive": true}));
    peer.say(under(order(&held, "p"), terms)).await;
    peer.started(&held).await;
    peer.events(&held, 1, &[json!({"type": "prompt", "text": "p"})]).await;
    peer.say(ToWorker::Cancel { command_id: held.command_id.clone() }).await;
    peer.finished(&held, Ending::Canceled).await;
}

/// No input is forgotten: its command would be held for ever.
#[tokio::test]
async fn an_input_that_cannot_be_told_fails() {
    let host = interactive("exec 0<&-; echo closed; exec sleep 1000").await;
    let (deaf, word) = (held(1, 1), held(2, 2));
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&deaf, "")).await;
    peer.started(&deaf).await;
    peer.logs(&deaf, 1, &["closed"]).await;
    let closed = Ending::failed("the program has closed its standard input");
    // More than the pipe takes: another test's child may hold the other end until it is itself.
    peer.told(&word, input(1, &deaf, &"x".repeat(200_000)), closed).await;
    peer.say(ToWorker::Refused { held: deaf }).await;
    host.stopped(peer).await;

    let host = Host::start().await;
    let plain = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&plain, "exec sleep 1000")).await;
    peer.started(&plain).await;
    let refusal = Ending::failed("the program is not interactive");
    peer.told(&word, input(1, &plain, "hello"), refusal).await;
}

/// More than the pipe takes, so that the input waits when the program is gone.
#[tokio::test]
async fn an_input_that_waits_fails_when_its_program_is_gone() {
    let host = interactive("exec sleep 1000").await;
    let (first, second, word) = (held(1, 1), held(2, 2), held(3, 3));
    let long = "x".repeat(200_000);
    let ended = Ending::failed("the program has ended");
    let mut peer = host.welcomed(&[]).await;
    for (held, refused) in [(first, true), (second, false)] {
        peer.say(order(&held, "")).await;
        peer.started(&held).await;
        peer.say(ToWorker::Control { held: word.clone(), control: input(1, &held, &long) }).await;
        peer.acknowledged(&word).await;
        if refused {
            peer.say(ToWorker::Refused { held: held.clone() }).await;
            peer.finished(&word, ended.clone()).await;
        } else {
            peer.say(ToWorker::Cancel { command_id: held.command_id.clone() }).await;
            // That its end of the pipe is gone may be known before that it is.
            let said = [peer.hear().await, peer.hear().await];
            let failed = |said: &&ToHost| matches!(said, ToHost::Finished { held, ending: Ending::Failed { .. } } if *held == word);
            assert_eq!(said.iter().filter(failed).count(), 1, "{said:?}");
            let canceled = ToHost::Finished { held: held.clone(), ending: Ending::Canceled };
            assert!(said.contains(&canceled), "{said:?}");
            peer.settle(&held).await;
        }
        peer.settle(&word).await;
    }
    host.stopped(peer).await;
}

#[tokio::test]
async fn another_capacity_counts_at_once_and_stops_nothing() {
    let host = Host::start().await;
    let mut peer = host.welcomed(&[]).await;
    for n in [1, 2] {
        peer.say(order(&held(n, n), "exec sleep 1000")).await;
        peer.started(&held(n, n)).await;
    }
    let (word, active) = (held(3, 3), vec![held(1, 1), held(2, 2), held(3, 3)]);
    let control = Control::ConfigUpdate { capacity: Some(1) };
    peer.say(ToWorker::Control { held: word.clone(), control }).await;
    let beat =
        ToHost::Heartbeat { active: active.clone(), capacity: Some(1), offer: None, agents: None };
    assert_eq!(peer.hear().await, beat);
    peer.acknowledged(&word).await;
    peer.finished(&word, Ending::Completed).await;
    peer.settle(&word).await;
    peer.say(ToWorker::Cancel { command_id: held(1, 1).command_id }).await;
    peer.finished(&held(1, 1), Ending::Canceled).await;
    peer.settle(&held(1, 1)).await;
    peer.say(order(&held(4, 4), "exit 0")).await;
    peer.handed_back(&held(4, 4)).await;
    peer.settle(&held(4, 4)).await;

    let control = Control::ConfigUpdate { capacity: Some(0) };
    peer.told(&held(5, 5), control, Ending::failed("capacity must be at least 1")).await;
    let word = held(6, 6);
    peer.say(ToWorker::Control { held: word.clone(), control: Control::HealthCheck }).await;
    let active = vec![held(2, 2), word.clone()];
    let beat = ToHost::Heartbeat { active, capacity: None, offer: None, agents: None };
    assert_eq!(peer.hear().await, beat, "the host knows the capacity by now");
    peer.acknowledged(&word).await;
    peer.finished(&word, Ending::Completed).await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_enforced_fails_its_command() {
    let host = Host::start().await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    for (asked, unmet) in [
        (json!({"runtime_type": "gvisor"}), "runtime_type = gvisor"),
        (json!({"runtime_type": "process", "security": "deny"}), "security = deny"),
        (json!({"runtime_type": "process", "resources": {"gpu": 1}}), "resources.gpu = 1"),
    ] {
        peer.say(under(order(&held, "exit 0"), policy(&asked))).await;
        let error = format!("the worker `tester` cannot enforce {unmet}");
        peer.acknowledged(&held).await;
        peer.finished(&held, Ending::failed(error)).await;
        peer.settle(&held).await;
    }
    let terms = policy(&json!({"runtime_type": "process"}));
    peer.say(under(order(&held, "exit 0"), terms)).await;
    peer.started(&held).await;
    peer.finished(&held, Ending::Completed).await;
    peer.settle(&held).await;
    host.stopped(peer).await;
}

#[tokio::test]
async fn the_shorter_of_both_limits_ends_a_program() {
    let host = Host::with(|worker| worker.programs[0].timeout = LONG).await;
    let held = held(1, 1);
    let mut peer = host.welcomed(&[]).await;
    let terms = Terms { timeout_ms: Some(100), ..Terms::default() };
    peer.say(under(order(&held, "exec sleep 1000"), terms)).await;
    peer.started(&held).await;
    peer.finished(&held, Ending::failed("timed out after 100ms")).await;
    peer.settle(&held).await;
    host.stopped(peer).await;
}

/// As an interrupt does: the next attempt comes as soon as the present one has settled.
#[tokio::test]
async fn after_a_stubborn_program_the_next_attempt_begins_at_once() {
    let host = Host::with(|worker| worker.cancel_grace = Duration::from_millis(100)).await;
    let (first, word, second, third) = (held(1, 1), held(2, 2), held(3, 3), held(4, 4));
    let mut peer = host.welcomed(&[]).await;
    peer.say(order(&third, "exec sleep 1000")).await;
    peer.started(&third).await;
    peer.say(order(&first, "trap '' TERM; echo up; while :; do sleep 0.01; done")).await;
    peer.started(&first).await;
    peer.logs(&first, 1, &["up"]).await;
    let cancel = Control::Cancel { command_id: first.command_id.clone() };
    peer.told(&word, cancel, Ending::Completed).await;
    peer.finished(&first, Ending::Canceled).await;
    peer.settle(&first).await;
    // The capacity is two: there is room, because the stubborn one is gone.
    peer.say(order(&second, "exit 0")).await;
    peer.started(&second).await;
    peer.finished(&second, Ending::Completed).await;
}

//! Workers: what a thousand idle ones cost, and how long a command is on its way to one.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, PATH, Served, ToHost, ToWorker, VERSION};
use hillock::model::id::WorkerId;
use hillock::model::routing::Offer;
use hillock::model::run::Ending;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::host::{Host, Running, resident_mib};

const IDLE: usize = 1000;
const IDLE_MIB_MAX: f64 = 100.0;
const CALLS: usize = 200;
const WAY_MS_MAX: f64 = 20.0;
/// How long the host has to come to rest.
const REST: Duration = Duration::from_secs(3);

pub(crate) async fn measure(host: &Host) {
    let host = host.start_named("workers").await;
    let mut busy = Worker::connect(&host, "nobody").await;
    way(&host, &mut busy, "no other worker").await;
    tokio::time::sleep(REST).await;
    let before = resident_mib(host.id());
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(Worker::connect(&host, "nobody-else").await);
    }
    // At once, as they come; and when all of them have spoken several times.
    tokio::time::sleep(REST).await;
    let connected = resident_mib(host.id());
    for _ in 0..3 {
        for worker in &mut idle {
            let heartbeat =
                ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents: None };
            worker.say(&heartbeat).await;
        }
        tokio::time::sleep(REST).await;
    }
    let heard = resident_mib(host.id());
    println!(
        "{IDLE} idle workers: {:.1} MiB more than none, {:.1} after heartbeats (at most {IDLE_MIB_MAX})",
        connected - before,
        heard - before
    );
    way(&host, &mut busy, "1000 idle workers beside it").await;
}

/// The way of a command from the API call that makes it to the worker.
async fn way(host: &Running, worker: &mut Worker, beside: &str) {
    let mut ways_ms = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begin = Instant::now();
        let (held, ()) = tokio::join!(worker.order(), fire(host));
        ways_ms.push(held.1.duration_since(begin).as_secs_f64() * 1000.0);
        worker.say(&ToHost::Finished { held: held.0, ending: Ending::Completed }).await;
        while !matches!(worker.hear().await, ToWorker::Settled { .. }) {}
    }
    ways_ms.sort_by(f64::total_cmp);
    let (median, late) = (ways_ms[CALLS / 2], ways_ms[CALLS * 95 / 100]);
    println!(
        "API call to worker, {beside}: {median:.1} ms at the median (at most {WAY_MS_MAX}), \
         {late:.1} ms at the 95th percentile"
    );
}

async fn fire(host: &Running) {
    let mut stream = TcpStream::connect(host.address()).await.expect("the host listens");
    let request = format!(
        "POST /api/v1/triggers/by-hand/fire HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\n\
         Authorization: Bearer {}\r\nConnection: close\r\n\r\n{{}}",
        host.key()
    );
    stream.write_all(request.as_bytes()).await.expect("the host reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the host answers");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 2"), "not fired: {answer}");
}

struct Worker(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Worker {
    async fn connect(host: &Running, agent: &str) -> Self {
        let url = format!("ws://{}{PATH}", host.address());
        let mut request = url.into_client_request().expect("a URL");
        let key = format!("Bearer {}", host.key()).parse().expect("a key");
        request.headers_mut().insert("authorization", key);
        let small = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096);
        let connected = connect_async_with_config(request, Some(small), true).await;
        let mut worker = Self(connected.expect("the host lets workers in").0);
        worker.say(&hello(Clock.worker_id(), agent)).await;
        assert!(matches!(worker.hear().await, ToWorker::Welcome { .. }));
        worker
    }

    async fn say(&mut self, message: &ToHost) {
        let text = serde_json::to_string(message).expect("JSON");
        self.0.send(Message::text(text)).await.expect("the host reads");
    }

    async fn hear(&mut self) -> ToWorker {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).expect("a message");
                }
                Some(Ok(_)) => {}
                end => panic!("the connection ends: {end:?}"),
            }
        }
    }

    /// The next command, and when it came.
    async fn order(&mut self) -> (Held, Instant) {
        match self.hear().await {
            ToWorker::Run { held, .. } => (held, Instant::now()),
            other => panic!("no run: {other:?}"),
        }
    }
}

fn hello(worker_id: WorkerId, agent: &str) -> ToHost {
    ToHost::Hello {
        version: VERSION,
        worker_id,
        name: "bench".to_owned(),
        agents: vec![Served { workspace_id: String::new(), name: agent.parse().expect("a name") }],
        capacity: 4,
        offer: Offer::default(),
        active: vec![],
    }
}

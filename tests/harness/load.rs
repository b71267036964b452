//! Senders that go on until they are told to stop, and send again what was not answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::harness::client::Answer;
use crate::harness::folder::SECRET;
use crate::harness::host::Host;
use crate::harness::payloads::issue;
use crate::harness::senders::github_signed;

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// How many at once wait for an answer.
    senders: usize,
    /// How often one is due; as soon as there is an answer, when nothing is said.
    every: Option<Duration>,
    body: fn(u64) -> Vec<u8>,
}

impl Load {
    /// As fast as few senders go.
    pub(crate) const STEADY: Self = Self { senders: 8, every: None, body: issue };
    /// A thousand a second, whether the host is there or not.
    pub(crate) const FLOOD: Self =
        Self { senders: 64, every: Some(Duration::from_millis(1)), body: small };
}

fn small(number: u64) -> Vec<u8> {
    format!("{{\"action\":\"opened\",\"issue\":{{\"number\":{number}}}}}").into_bytes()
}

/// The event that each delivery was answered with, by the delivery's number.
pub(crate) type Accepted = BTreeMap<u64, String>;

pub(crate) struct Senders {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    accepted: Arc<Mutex<Accepted>>,
}

impl Senders {
    pub(crate) fn start(host: &Host, load: Load) -> Self {
        let (stop, accepted, numbers) =
            (CancellationToken::new(), Arc::default(), Arc::new(AtomicU64::new(1)));
        let (begin, mut tasks) = (Instant::now(), JoinSet::new());
        for _ in 0..load.senders {
            let sender = Sender {
                load,
                begin,
                http: host.http.clone(),
                url: format!("{}/webhooks/github", host.url),
                stop: stop.clone(),
                numbers: Arc::clone(&numbers),
                accepted: Arc::clone(&accepted),
            };
            tasks.spawn(sender.work());
        }
        Self { tasks, stop, accepted }
    }

    /// What was accepted so far.
    pub(crate) fn accepted(&self) -> Accepted {
        self.accepted.lock().unwrap().clone()
    }

    /// Lets each sender finish what it is at, and gives what was accepted.
    pub(crate) async fn stop(self) -> Accepted {
        self.stop.cancel();
        self.tasks.join_all().await;
        self.accepted.lock().unwrap().clone()
    }
}

struct Sender {
    load: Load,
    begin: Instant,
    http: reqwest::Client,
    url: String,
    stop: CancellationToken,
    numbers: Arc<AtomicU64>,
    accepted: Arc<Mutex<Accepted>>,
}

impl Sender {
    async fn work(self) {
        while !self.stop.is_cancelled() {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            if let Some(every) = self.load.every {
                tokio::time::sleep_until(self.begin + every * u32::try_from(number).unwrap()).await;
            }
            let id = self.deliver(number).await;
            self.accepted.lock().unwrap().insert(number, id);
        }
    }

    /// Sends the delivery until it is answered.
    async fn deliver(&self, number: u64) -> String {
        let delivery =
            github_signed(SECRET, "issues", &format!("d-{number}"), &(self.load.body)(number));
        loop {
            let request = self.http.post(&self.url).headers(delivery.headers.clone());
            match Answer::try_of(request.body(delivery.body.clone())).await {
                Ok(answer) if matches!(answer.status, 200 | 202) => {
                    return answer.json()["event_id"].as_str().unwrap().to_owned();
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                // The host is down: it will be back.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

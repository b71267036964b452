//! Senders: each delivery goes to one host after the other until one answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::site::Site;
use crate::harness::client::Answer;
use crate::harness::folder::SECRET;
use crate::harness::payloads::issue;
use crate::harness::senders::github_signed;

const SENDERS: usize = 6;
/// How long a sender waits for an answer before it sends again: shorter than a host is stopped.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(250);

/// What was answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// The event that each delivery was answered with, by the delivery's number.
    pub(super) accepted: BTreeMap<u64, String>,
    /// Deliveries that were answered with the event of an earlier try.
    pub(super) duplicates: u64,
    /// Tries that led to nothing.
    pub(super) failures: u64,
}

pub(super) struct Senders {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    sent: Arc<Mutex<Sent>>,
}

impl Senders {
    pub(super) fn start(site: &Site) -> Self {
        let (stop, sent) = (CancellationToken::new(), Arc::<Mutex<Sent>>::default());
        let numbers = Arc::new(AtomicU64::new(1));
        let urls: Vec<String> =
            site.hosts().map(|host| format!("{}/webhooks/github", host.url)).collect();
        let http = crate::harness::client::http();
        let mut tasks = JoinSet::new();
        for _ in 0..SENDERS {
            let sender = Sender {
                http: http.clone(),
                urls: urls.clone(),
                stop: stop.clone(),
                numbers: Arc::clone(&numbers),
                sent: Arc::clone(&sent),
            };
            tasks.spawn(sender.work());
        }
        Self { tasks, stop, sent }
    }

    /// Lets each sender finish what it is at.
    pub(super) async fn stop(self) -> Sent {
        self.stop.cancel();
        self.tasks.join_all().await;
        self.sent.lock().unwrap().clone()
    }
}

struct Sender {
    http: reqwest::Client,
    urls: Vec<String>,
    stop: CancellationToken,
    numbers: Arc<AtomicU64>,
    sent: Arc<Mutex<Sent>>,
}

impl Sender {
    async fn work(self) {
        while !self.stop.is_cancelled() {
            self.deliver(self.numbers.fetch_add(1, Ordering::Relaxed)).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn deliver(&self, number: u64) {
        let delivery = github_signed(SECRET, "issues", &format!("d-{number}"), &issue(number));
        let places = self.urls.iter().cycle().skip(usize::try_from(number).unwrap() % 3);
        for url in places {
            let request = self.http.post(url).headers(delivery.headers.clone()).timeout(PATIENCE);
            let answer = Answer::try_of(request.body(delivery.body.clone())).await;
            if self.note(number, answer.ok()) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether that settles it.
    fn note(&self, number: u64, answer: Option<Answer>) -> bool {
        let mut sent = self.sent.lock().unwrap();
        match answer {
            Some(answer) if matches!(answer.status, 200 | 202) => {
                sent.duplicates += u64::from(answer.status == 200);
                let id = answer.json()["event_id"].as_str().unwrap().to_owned();
                sent.accepted.insert(number, id);
                true
            }
            Some(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                sent.failures += 1;
                false
            }
            // The host is down, or stopped: another one is not.
            None => {
                sent.failures += 1;
                false
            }
        }
    }
}

//! A rolling restart of three replicas under load: no sender that tries once more is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
"#;
const SENDERS: u64 = 6;
/// How long the load goes on beside each restart.
const BETWEEN: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_rolling_restart_fails_no_webhook() {
    let first = Folder::new(Database::postgres().await, CONFIG).await;
    let mut folders = vec![];
    for _ in 0..2 {
        folders.push(Folder::new(Database::sqlite(), CONFIG).await.beside(&first));
    }
    folders.insert(0, first);
    let mut hosts = vec![];
    for folder in &folders {
        hosts.push(folder.serve().await);
    }
    let load = Load::begin(&hosts);
    for (folder, host) in folders.iter().zip(&mut hosts) {
        let address = host.address().to_owned();
        tokio::time::sleep(BETWEEN).await;
        assert!(host.process.stop().await.success(), "it drains, and ends with 0");
        *host = folder.serve_on(&address).await;
    }
    tokio::time::sleep(BETWEEN).await;
    let (accepted, retried) = load.end().await;
    assert!(accepted > 100, "there was a load: {accepted}");
    eprintln!("rolling restart: {accepted} accepted, {retried} of them at the second try");
    let events = folders[0].database.count("events").await;
    assert_eq!(events, i64::try_from(accepted).unwrap(), "none is missing, none is there twice");
}

struct Load {
    stop: Arc<AtomicBool>,
    retried: Arc<AtomicU64>,
    senders: JoinSet<u64>,
}

impl Load {
    fn begin(hosts: &[Host]) -> Self {
        let (stop, retried) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let urls: Vec<_> = hosts.iter().map(|host| format!("{}/webhooks/open", host.url)).collect();
        let mut senders = JoinSet::new();
        for n in 0..SENDERS {
            let sender = Sender {
                http: hosts[0].http.clone(),
                urls: urls.clone(),
                retried: Arc::clone(&retried),
            };
            senders.spawn(sender.send_until(Arc::clone(&stop), n));
        }
        Self { stop, retried, senders }
    }

    /// How many were accepted, and how many of them at the second try.
    async fn end(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let accepted = self.senders.join_all().await.into_iter().sum();
        (accepted, self.retried.load(Ordering::Relaxed))
    }
}

struct Sender {
    http: reqwest::Client,
    urls: Vec<String>,
    retried: Arc<AtomicU64>,
}

impl Sender {
    async fn send_until(self, stop: Arc<AtomicBool>, n: u64) -> u64 {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let number = n + sent * SENDERS;
            self.send(number).await;
            sent += 1;
        }
        sent
    }

    /// To one replica, and if that does not take it, once more, to the next one.
    async fn send(&self, number: u64) {
        let body = format!("{{\"n\":{number}}}");
        let turn = usize::try_from(number).unwrap();
        if self.attempt(turn, &body).await.is_ok() {
            return;
        }
        self.retried.fetch_add(1, Ordering::Relaxed);
        if let Err(why) = self.attempt(turn + 1, &body).await {
            panic!("delivery {number} failed twice: {why}");
        }
    }

    async fn attempt(&self, turn: usize, body: &str) -> Result<(), String> {
        let delivery = Delivery::new(&[], body.as_bytes());
        let request = self.http.post(&self.urls[turn % self.urls.len()]).headers(delivery.headers);
        match Answer::try_of(request.body(delivery.body)).await {
            Ok(answer) if matches!(answer.status, 200 | 202) => Ok(()),
            Ok(answer) => Err(format!("{answer:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

//! Three workers at work while they are killed, frozen and asked to stop, and their host once starts
//! anew; and the ledger afterwards.
//!
//! ```text
//!   tasks ──► host ──► worker 1 ──► programs ──┐
//!               │  ──► worker 2 ──► programs ──┼──► the record, a file: what began, what ended
//!               │  ──► worker 3 ──► programs ──┘
//!               └──► what became of the runs, held against the record
//! ```
//! All of them are real processes. A program says in the record that it begins and that it ends, and
//! holds a lock of its run's own as long as anything of it lives, so that one beside another is seen.
//! A worker that is frozen for longer than a lease is lost, though its programs live: then, and only
//! then, two of one run may work at once, and what the older one says changes nothing.

mod hand;
mod ledger;
mod record;

use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::harness::budget::budget;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::seed::seed;
use crate::harness::wait;
use hand::Hand;
use ledger::Ledger;
use record::{Deed, moment};

on_both_databases!(nothing_is_left_over_failed_or_done_twice);

/// In each round, so many tasks are asked for.
const TASKS: usize = 20;
const WORKERS: usize = 3;
/// How the clock is put forward, so that who lives has said so before any lease is over; and how often
/// until who is silent is lost: what it was sent while it seemed to live is lost later.
const STEP: Duration = Duration::from_secs(20);
const STEPS_MIN: u32 = 5;
const STEPS_MAX: u32 = 20;
/// How long it may take until everything has ended.
const PATIENCE: Duration = Duration::from_secs(180);

const CONFIG: &str = r#"
agents = [{ name = "mill" }]

[queue]
timeout = "24h"
"#;

struct Soak {
    folder: Folder,
    host: Host,
    address: String,
    hands: Vec<Hand>,
    /// Where the programs write, and have their locks.
    outside: TempDir,
    ledger: Ledger,
    dice: ChaCha8Rng,
}

async fn nothing_is_left_over_failed_or_done_twice(database: Database) {
    let seed = seed();
    let mut soak = Soak::open(database, seed).await;
    let begin = Instant::now();
    let (mut rounds, mut restarted) = (0, false);
    while begin.elapsed() < budget() {
        soak.ask().await;
        soak.pause(100..900).await;
        if !restarted && begin.elapsed() > budget() / 2 {
            let hard = soak.dice.random_bool(0.5);
            soak.restart_host(hard).await;
            restarted = true;
        } else {
            soak.mishap().await;
        }
        rounds += 1;
    }
    soak.end().await;
    let runs = soak.host.items("runs").await;
    soak.ledger.close(&soak.host, &runs, &record::read(soak.outside.path())).await;
    soak.ledger.print(&format!("soak, {rounds} rounds, seed {seed}"));
    soak.ledger.check();
    for hand in &mut soak.hands {
        hand.stop(&mut soak.ledger).await;
    }
    soak.nothing_is_left().await;
}

impl Soak {
    async fn open(database: Database, seed: u64) -> Self {
        let folder = Folder::new(database, CONFIG).await.with_clock();
        folder.lead(Duration::ZERO);
        let host = folder.serve().await;
        let address = host.address().to_owned();
        let (outside, mut hands) = (TempDir::new().unwrap(), vec![]);
        record::prepare(outside.path());
        for number in 0..WORKERS {
            hands.push(Hand::new(number, outside.path(), &host).await);
        }
        let dice = ChaCha8Rng::seed_from_u64(seed);
        let soak = Self { folder, host, address, hands, outside, ledger: Ledger::default(), dice };
        soak.all_are_heard().await;
        soak
    }

    /// Asks for more tasks: most succeed, some fail each time, some the first time only.
    async fn ask(&mut self) {
        for _ in 0..TASKS {
            let n = self.ledger.asked();
            let deed = Deed::of(n);
            let millis = *[50, 150, 400, 900, 1500].choose(&mut self.dice).unwrap();
            let task = json!({
                "agent": "mill",
                "message": format!("{deed} {}.{:03}", millis / 1000, millis % 1000),
                "policy": { "runtime_type": "process",
                            "retry": { "attempts": 2, "delay_ms": 200 } },
            });
            let answer = self.host.send(Method::POST, "tasks", &task).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            let run = answer.json()["run_id"].as_str().unwrap().to_owned();
            self.ledger.ask(run, deed);
        }
    }

    /// Not waiting for anything: the moment is what is tried out.
    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.dice.random_range(millis))).await;
    }

    async fn mishap(&mut self) {
        let n = self.dice.random_range(0..WORKERS);
        match self.dice.random_range(0..100) {
            0..25 => {
                self.hands[n].kill(&mut self.ledger).await;
                self.hands[n].begin(&self.host);
            }
            25..40 => {
                self.hands[n].kill(&mut self.ledger).await;
                self.lose(n).await;
                self.hands[n].begin(&self.host);
            }
            40..55 => {
                self.hands[n].freeze();
                self.pause(200..2500).await;
                self.hands[n].thaw(&mut self.ledger, false);
            }
            55..70 => {
                self.hands[n].freeze();
                self.lose(n).await;
                self.pause(0..1500).await;
                self.hands[n].thaw(&mut self.ledger, true);
            }
            70..97 => {
                self.hands[n].stop(&mut self.ledger).await;
                self.hands[n].begin(&self.host);
            }
            _ => self.restart_host(true).await,
        }
    }

    async fn restart_host(&mut self, hard: bool) {
        let since = moment();
        if hard {
            self.host.process.kill().await;
        } else {
            let ended = self.host.process.stop().await;
            assert!(ended.success(), "{}", self.host.process.written());
        }
        self.host = self.folder.serve_on(&self.address).await;
        self.all_are_heard().await;
        self.ledger.host_was_away(since, hard);
    }

    /// Lets the time pass after which the host has lost a worker that does not speak, and has taken
    /// back what that had in its hands.
    async fn lose(&mut self, silent: usize) {
        let mut steps = 0;
        while steps < STEPS_MIN || self.holds(silent).await {
            self.folder.advance(STEP);
            for hand in self.hands.iter().filter(|hand| hand.number != silent) {
                hand.is_heard(&self.host).await;
            }
            steps += 1;
            assert!(steps < STEPS_MAX, "{} is never lost", self.hands[silent].name());
        }
    }

    async fn holds(&self, n: usize) -> bool {
        let worker = self.hands[n].name();
        for state in ["sent", "acknowledged", "running"] {
            let path = format!("commands?type=run&state={state}&worker={worker}");
            if self.host.read(&path).await["items"] != json!([]) {
                return true;
            }
        }
        false
    }

    async fn all_are_heard(&self) {
        for hand in &self.hands {
            hand.is_heard(&self.host).await;
        }
    }

    /// Waits until everything has ended, and no program is there any more.
    async fn end(&mut self) {
        self.all_are_heard().await;
        let (begin, mut stepped) = (Instant::now(), Instant::now());
        loop {
            let open = self.open_runs().await;
            if open == 0 {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{open} runs never ended, {:?}", self.ledger);
            // A class that failed too often is left alone for a while.
            if stepped.elapsed() > STEP {
                stepped = Instant::now();
                self.folder.advance(STEP);
                self.all_are_heard().await;
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.nothing_is_left().await;
    }

    async fn open_runs(&self) -> usize {
        let mut open = 0;
        for status in ["scheduled", "running"] {
            let page = self.host.read(&format!("runs?status={status}&limit=200")).await;
            open += page["items"].as_array().unwrap().len();
        }
        open
    }

    async fn nothing_is_left(&self) {
        wait::within(Duration::from_secs(5), "every program to be gone", async || {
            self.hands.iter().all(Hand::has_no_program).then_some(())
        })
        .await;
    }
}

//! Workers that die, hang, come back late, or lie: ten of them, and thousands of commands.
//!
//! What each of them does with a command is decided by dice of its own, thrown from one seed. The host
//! is the built program, its clock runs many times as fast as the machine's, and everything goes
//! through real sockets. What the workers were told is held against itself and against the store:
//! each command ends once, none is lost, no two tokens of one are current in turns, and what comes
//! with an old one changes nothing.

mod filling;
mod ledger;
mod line;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hillock::store::Store;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::budget::budget;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::seed::seed;
use ledger::Ledger;
use worker::Worker;

on_both_databases!(every_command_ends_once);

const WORKERS: usize = 10;
/// So many commands for each second of the budget, which is about what a machine gets through.
const COMMANDS: u64 = 50;
/// How often the clock is put forward, and by how much: a lease of 60 s lasts for 3 s.
const STEP: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How many times the budget all of it may take.
const DEADLINE: u32 = 10;

const CONFIG: &str = r#"
[server]
max_concurrent_runs = 400

[[agents]]
name = "mill"
"#;

async fn every_command_ends_once(database: Database) {
    let seed = seed();
    let folder = Folder::new(database, CONFIG).await.with_clock();
    folder.lead(Duration::ZERO);
    // Opened before the host is: while that is at work, another would wait for its turn.
    let store = Store::open(folder.store_url()).await.unwrap();
    let commands = COMMANDS * budget().as_secs();
    let runs = filling::fill(&store, usize::try_from(commands).unwrap()).await;
    let host = folder.serve().await;

    let (ledger, stop) = (Arc::new(Mutex::new(Ledger::default())), CancellationToken::new());
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let dice = ChaCha8Rng::seed_from_u64(dice.random());
        let worker = Worker::new(&host, dice, Arc::clone(&ledger));
        workers.spawn(worker.work(stop.clone()));
    }
    let begun = std::time::Instant::now();
    let mut waited = Duration::ZERO;
    while filling::left(&store).await > 0 {
        assert!(
            begun.elapsed() < budget() * DEADLINE,
            "it takes too long: {}",
            ledger.lock().unwrap()
        );
        for _ in 0..10 {
            tokio::time::sleep(STEP.0).await;
            folder.advance(STEP.1);
        }
        waited += STEP.1 * 10;
    }
    stop.cancel();
    workers.join_all().await;

    let ended = filling::ended(&store, &runs).await;
    let ledger = ledger.lock().unwrap();
    let title = format!("{WORKERS} unruly workers, {waited:?} of the host's time, seed {seed}");
    ledger.print(&title, &ended);
    ledger.check(&ended);
}

//! The domain under fire: one seeded, deterministic simulation of all who act on a store, with the
//! invariants of `DESIGN` looked at after every operation.
//!
//! ```text
//! cast      who acts next        world   the time, the chance, and the one way to the store
//!  ├ sender     posts, again and again          ├ fault     a statement, a commit, an answer
//!  ├ replica    looks, does, crashes (host)     ├ journal   every change of every row, in order
//!  ├ worker     works, hangs, dies, lies        ├ book      what was seen, and what may be
//!  ├ client     asks, tells, calls off          ├ audit     the whole store, by plain SQL
//!  ├ operator   lets in, sends away             └ ledger    what came of it
//!  └ stranger   pries
//! ```
//! A step is one operation on the store. What a replica has read or claimed waits in its memory
//! between two steps, where a crash forgets it; clocks differ, transactions fail, answers get lost. A
//! run of the simulation is many lives: each begins with an empty store and ends with everything
//! drained. Life `n` has the seed of the first plus `n`, so that one that fails can be lived alone.

mod audit;
mod book;
mod budget;
mod cast;
mod client;
mod dice;
mod drain;
mod eye;
mod fault;
mod host;
mod job;
mod journal;
mod ledger;
mod mutations;
mod operator;
mod replica;
mod rules;
mod sender;
mod stranger;
mod worker;
mod world;

use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::database::Database;
use crate::harness::seed::seed;
use budget::Budget;
use ledger::Ledger;
use world::World;

/// How many steps a life has.
const LIFE: u64 = 10_000;

#[test]
fn replicas_on_sqlite_keep_every_invariant() {
    let (seed, budget) = (seed(), Budget::from_environment());
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Ledger::default()));
    let done = || sum.lock().unwrap().steps;
    let live = |processor| {
        stay_on(processor);
        while let Some(steps) = budget.next(done()) {
            let seed = seed + next.fetch_add(1, Ordering::Relaxed);
            let (lived, _) = block_on(live(&in_memory(), seed, steps));
            *sum.lock().unwrap() += lived;
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for processor in 0..processors {
            scope.spawn(move || live(processor));
        }
    });
    let sum = sum.into_inner().unwrap();
    sum.print(&format!("simulation on SQLite, seed {seed}, {}", budget.spent(sum.steps)));
    budget.check(&sum);
}

#[tokio::test]
async fn replicas_on_postgres_keep_every_invariant() {
    let seed = seed();
    let (lived, _) = live(&Database::postgres().await, seed, LIFE / 3).await;
    lived.print(&format!("simulation on PostgreSQL, seed {seed}"));
    assert!(lived.lost == 0 && lived.runs > 100, "{lived:?}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_end() {
    let seed = seed();
    let (first, digest) = live(&in_memory(), seed, 3_000).await;
    let (second, again) = live(&in_memory(), seed, 3_000).await;
    assert_eq!((first, &digest), (second, &again), "with HILLOCK_TEST_SEED={seed}");
    let (_, other) = live(&in_memory(), seed + 1, 3_000).await;
    assert_ne!(digest, other);
}

/// A life of so many steps, and what came of it.
async fn live(database: &Database, seed: u64, steps: u64) -> (Ledger, String) {
    let mut world = World::begin(database, seed).await;
    while world.ledger.steps < steps {
        world.step().await;
    }
    world.drain().await;
    let digest = audit::digest(&mut world.eye).await;
    (world.ledger, digest)
}

/// A file that no disk has to keep: what is tried out is not that flushes are durable.
fn in_memory() -> Database {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    Database::Sqlite(dir.unwrap())
}

/// A life is a talk of two threads, this one and SQLite's: half as much again is said when neither
/// has to be called from another processor. Where that is not allowed, it takes longer.
fn stay_on(processor: usize) {
    let mut only = CpuSet::new();
    let _ = only.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &only));
}

fn block_on<T>(life: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(life)
}

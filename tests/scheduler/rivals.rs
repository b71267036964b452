//! Several hosts on one database, ticking at the same time: each slot once.

use std::collections::BTreeSet;
use std::time::Duration;

use hillock::model::definition::Job;
use hillock::model::time::Time;
use hillock::store::Store;
use hillock::store::schedules;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use serde_json::json;
use tokio::task::JoinSet;

use super::fixture::{Host, at, start, tick};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(each_slot_is_fired_by_one_host);

const HOSTS: usize = 3;
const JOBS: usize = 25;
const ROUNDS: u64 = 12;
/// Where the next run's seed can be set, to repeat one.
const SEED: &str = "HILLOCK_TEST_SEED";

/// Jobs of every policy; hosts whose clocks differ, and who all stop now and then.
async fn each_slot_is_fired_by_one_host(database: Database) {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(crate::harness::senders::now);
    println!("{SEED}={seed}");
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let host = Host::open(database).await;
    let mut jobs = vec![];
    for n in 0..JOBS {
        let policy = ["skip_missed", "coalesce", "catch_up"][dice.random_range(0..3)];
        let overlap = ["allow", "skip", "queue", "replace"][dice.random_range(0..4)];
        let fields = json!({
            "overlap": overlap,
            "fire_limit": "none",
            "catch_up_policy": policy,
            "jitter": format!("{}s", dice.random_range(0..100)),
        });
        let every = json!({ "every": format!("{}m", dice.random_range(1..20)) });
        jobs.push(host.job(&format!("job-{n}"), every, fields).await);
    }
    let mut stores = vec![];
    for _ in 0..HOSTS {
        stores.push(host.another().await);
    }
    let mut now = start();
    let (mut fired, mut missed) = (0, 0);
    for _ in 0..ROUNDS {
        now = now + Duration::from_secs(dice.random_range(1..3600));
        let mut hosts = JoinSet::new();
        for store in &stores {
            let ahead = Duration::from_millis(dice.random_range(0..3000));
            hosts.spawn(tick_until_quiet(store.clone(), now + ahead));
        }
        for (made, lost) in hosts.join_all().await {
            (fired, missed) = (fired + made, missed + lost);
        }
        host.complete_all(now).await;
    }
    let mut counted = (0, 0);
    for job in &jobs {
        let (runs, lost) = check(&host, job).await;
        counted = (counted.0 + runs, counted.1 + lost);
    }
    assert_eq!((fired, missed), counted, "what the hosts say they did is what is there");
}

async fn tick_until_quiet(store: Store, now: Time) -> (usize, u64) {
    let (mut fired, mut missed) = (0, 0);
    loop {
        let tick = tick(&store, now).await;
        fired += tick.fired + tick.skipped;
        missed += tick.missed;
        if tick.next_due.is_none_or(|due| due > now) {
            return (fired, missed);
        }
    }
}

/// Every slot up to the cursor has fired once or was counted.
async fn check(host: &Host, job: &Job) -> (usize, u64) {
    let state = schedules::state(&host.store, &job.id).await.unwrap().unwrap();
    let slots = host.slots(job).await;
    let distinct: BTreeSet<Time> = slots.iter().copied().collect();
    assert_eq!(distinct.len(), slots.len(), "{}: {slots:?}", job.name);
    let until = state.next_run_at.unwrap().before();
    let all = job.schedule.slots(at(0), until, start(), 10_000);
    assert!(slots.iter().all(|slot| all.contains(slot)), "{}: {slots:?}", job.name);
    assert_eq!(slots.len() as i64 + state.misfire_count, all.len() as i64, "{}", job.name);
    (slots.len(), u64::try_from(state.misfire_count).unwrap())
}

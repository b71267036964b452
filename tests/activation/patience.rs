//! Bursts and batches that wait, through the program and past its end, with a clock that is put
//! forward.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;
use crate::harness::wait;

on_both_databases!(
    a_burst_fires_when_it_is_quiet,
    a_burst_does_not_wait_for_ever,
    a_full_batch_fires_at_once,
    what_is_due_together_fires_together,
    what_is_held_outlives_a_crash,
);

const HEAD: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
"#;
const BURST: &str = r#"
    [[triggers]]
    name = "burst"
    event = "webhook"
    agent = "agent"
    prompt = "burst {{data.n}}"
    debounce = { window = "1h" }
"#;
const SHORT: &str = r#"
    [[triggers]]
    name = "short"
    event = "webhook"
    agent = "agent"
    prompt = "short {{data.n}}"
    debounce = { window = "10m" }
"#;
const BATCH: &str = r#"
    [[triggers]]
    name = "batch"
    event = "webhook"
    agent = "agent"
    prompt = "batch{{#each data.events}} {{data.n}}{{/each}}"
    batch = { size = 3, wait = "1h" }
"#;

async fn folder(database: Database, triggers: &[&str]) -> Folder {
    Folder::new(database, &format!("{HEAD}{}", triggers.concat())).await.with_clock()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Delivers an event and waits until it is held by every trigger.
async fn deliver(host: &Host, n: u32) -> String {
    let body = json!({ "n": n }).to_string();
    let id = host.deliver("open", Delivery::new(&[], body.as_bytes())).await.event_id(202);
    host.decided(&id).await;
    id
}

/// Each trigger's outcome and run, for an event.
async fn outcomes(host: &Host, id: &str) -> Vec<(String, Value)> {
    let event = host.read(&format!("events/{id}")).await;
    let decisions = event["decisions"].as_array().unwrap().iter();
    decisions
        .map(|one| (one["outcome"].as_str().unwrap().to_owned(), one["run_id"].clone()))
        .collect()
}

/// Waits until there are so many runs; their prompts, the oldest first.
async fn prompts(host: &Host, count: usize) -> Vec<String> {
    let runs = wait::until("runs", async || {
        let runs = host.items("runs").await;
        (runs.len() >= count).then_some(runs)
    })
    .await;
    assert_eq!(runs.len(), count, "{runs:?}");
    let mut prompts = vec![];
    for run in runs.iter().rev() {
        let run = host.read(&format!("runs/{}", run["id"].as_str().unwrap())).await;
        prompts.push(run["prompt"].as_str().unwrap().to_owned());
    }
    prompts
}

async fn a_burst_fires_when_it_is_quiet(database: Database) {
    let folder = folder(database, &[BURST, SHORT]).await;
    let host = folder.serve().await;
    let (one, two) = (deliver(&host, 1).await, deliver(&host, 2).await);
    folder.lead(minutes(30));
    assert_eq!(prompts(&host, 1).await, ["short 2"]);
    let three = deliver(&host, 3).await;
    folder.lead(minutes(80));
    assert_eq!(prompts(&host, 2).await, ["short 2", "short 3"]);
    assert_eq!(outcomes(&host, &one).await[0].0, "held");
    folder.lead(minutes(91));
    assert_eq!(prompts(&host, 3).await, ["short 2", "short 3", "burst 3"]);
    let of = async |id: &str| outcomes(&host, id).await;
    let (one, two, three) = (of(&one).await, of(&two).await, of(&three).await);
    assert_eq!(one, two);
    assert_eq!((&one[0].0[..], &one[0]), ("fired", &three[0]));
    assert_ne!(one[1], three[1]);
}

async fn a_burst_does_not_wait_for_ever(database: Database) {
    let bounded = BURST.replace("window = \"1h\"", "window = \"1h\", max_wait = \"90m\"");
    let folder = folder(database, &[&bounded]).await;
    let host = folder.serve().await;
    deliver(&host, 1).await;
    folder.lead(minutes(50));
    // The clock is read every few milliseconds.
    let two = wait::until("the clock to have been put forward", async || {
        let id = deliver(&host, 2).await;
        let event = host.read(&format!("events/{id}/explain")).await;
        let ago = event["considered"][0]["held_until"].as_str().unwrap().to_owned();
        let received = event["received_at"].as_str().unwrap().to_owned();
        let until: hillock::model::time::Time = ago.parse().unwrap();
        (until.since(received.parse().unwrap()) < minutes(45)).then_some(id)
    })
    .await;
    folder.lead(minutes(91));
    assert_eq!(prompts(&host, 1).await, ["burst 2"]);
    assert_eq!(outcomes(&host, &two).await[0].0, "fired");
}

async fn a_full_batch_fires_at_once(database: Database) {
    let folder = folder(database, &[BATCH]).await;
    let host = folder.serve().await;
    for n in 1..=4 {
        deliver(&host, n).await;
    }
    assert_eq!(prompts(&host, 1).await, ["batch 1 2 3"]);
    folder.lead(minutes(61));
    assert_eq!(prompts(&host, 2).await, ["batch 1 2 3", "batch 4"]);
}

async fn what_is_due_together_fires_together(database: Database) {
    let apart = BURST.replace("window = \"1h\"", "window = \"1h\", key = \"data.n\"");
    let folder = folder(database, &[&format!("{apart}fire_limit = \"none\"\n")]).await;
    let mut host = folder.serve().await;
    for n in 1..=30 {
        deliver(&host, n).await;
    }
    host.process.kill().await;
    folder.lead(minutes(61));
    // One that has counted nothing yet counts while it renders.
    host = folder.serve().await;
    assert_eq!(prompts(&host, 30).await[29], "burst 30");
}

async fn what_is_held_outlives_a_crash(database: Database) {
    let folder = folder(database, &[BURST, BATCH]).await;
    let mut host = folder.serve().await;
    let mut ids = vec![deliver(&host, 1).await, deliver(&host, 2).await];
    host.process.kill().await;
    host = folder.serve().await;
    ids.push(deliver(&host, 3).await);
    assert_eq!(prompts(&host, 1).await, ["batch 1 2 3"]);
    ids.push(deliver(&host, 4).await);
    host.process.kill().await;
    folder.lead(minutes(120));
    host = folder.serve().await;
    let mut found = prompts(&host, 3).await;
    found[1..].sort();
    assert_eq!(found, ["batch 1 2 3", "batch 4", "burst 4"]);
    for id in &ids {
        let outcomes = outcomes(&host, id).await;
        assert!(outcomes.iter().all(|(outcome, _)| outcome == "fired"), "{outcomes:?}");
    }
    assert_eq!(folder.database.count("gatherings").await, 0);
    assert_eq!(folder.database.count("gathered").await, 0);
}

//! A host whose clock was ahead: what it left in the future goes on, and that is said.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;
use crate::harness::{on_both_databases, wait};

on_both_databases!(
    after_a_restart_with_a_right_clock_all_goes_on,
    when_the_clock_goes_back_all_goes_on,
);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    worker.agents = [{ name = "agent", command = ["false"] }]
    endpoints = [{ slug = "open", verification = "none" }]
    controllers.clock = { interval = "1s" }
    [[jobs]]
    name = "seconds"
    agent = "agent"
    prompt = "p"
    fire_limit = "none"
    schedule = { every = "1s" }
    overlap = "allow"
    [[triggers]]
    name = "again"
    event = "webhook"
    agent = "agent"
    prompt = "again"
    retry = { max_retries = 1, base_delay = "30s" }
    filter = { "data.to" = "again" }
    [[triggers]]
    name = "burst"
    event = "webhook"
    agent = "agent"
    prompt = "burst"
    debounce = { window = "30s" }
    filter = { "data.to" = "burst" }
"#;

const AHEAD: Duration = Duration::from_secs(400 * 24 * 60 * 60);

async fn deliver(host: &Host, to: &str) -> String {
    let delivery = Delivery::new(&[], json!({ "to": to }).to_string().as_bytes());
    let id = host.deliver("open", delivery).await.event_id(202);
    host.decided(&id).await;
    id
}

async fn runs(host: &Host, of: &str) -> Vec<Value> {
    let page = host.read(&format!("runs?limit=200&{of}")).await;
    page["items"].as_array().unwrap().clone()
}

/// What is under way when the clock is wrong: a job, a retry and a burst.
async fn leave_behind(host: &Host) -> String {
    wait::until("the job to fire", async || {
        (!runs(host, "job=seconds").await.is_empty()).then_some(())
    })
    .await;
    deliver(host, "again").await;
    wait::until("a retry to be due", async || {
        let run = runs(host, "trigger=again").await.pop()?;
        (run["due_at"] != Value::Null).then_some(())
    })
    .await;
    deliver(host, "burst").await
}

/// The clock is right: what was wrong is put right, and due in its time.
async fn all_goes_on(folder: &Folder, host: &Host, burst: &str, fired: usize) {
    let worked = wait::until("what is ahead to be put right", async || {
        let all = host.read("controllers").await;
        let mut all = all["items"].as_array().unwrap().iter();
        let clock = all.find(|one| one["name"] == "clock").unwrap();
        clock["worked"]["items"].as_object().cloned()
    })
    .await;
    for what in ["jobs", "gatherings", "commands"] {
        assert!(worked.contains_key(what), "{what} in {worked:?}");
    }
    wait::until("the job to fire on", async || {
        (runs(host, "job=seconds").await.len() > fired).then_some(())
    })
    .await;
    folder.advance(Duration::from_secs(60));
    wait::until("the retry to be made", async || {
        (runs(host, "trigger=again").await[0]["status"] == "failed").then_some(())
    })
    .await;
    wait::until("the burst to fire", async || {
        let decided = host.read(&format!("events/{burst}")).await;
        let mut decisions = decided["decisions"].as_array()?.iter();
        decisions.any(|one| one["outcome"] == "fired").then_some(())
    })
    .await;
}

async fn after_a_restart_with_a_right_clock_all_goes_on(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    folder.lead(AHEAD);
    let mut host = folder.serve().await;
    let burst = leave_behind(&host).await;
    let fired = runs(&host, "job=seconds").await.len();
    host.process.stop().await;
    folder.lead(Duration::ZERO);
    let host = folder.serve().await;
    all_goes_on(&folder, &host, &burst, fired).await;
    let mut list = folder.hillock(&["controller", "list"]);
    list.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    let shown = String::from_utf8(list.output().await.unwrap().stdout).unwrap();
    assert!(shown.contains("A clock was ahead"), "{shown}");
    assert!(folder.read("serve.log").unwrap().contains("a clock was ahead"));
}

async fn when_the_clock_goes_back_all_goes_on(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    folder.lead(AHEAD);
    let host = folder.serve().await;
    let burst = leave_behind(&host).await;
    let fired = runs(&host, "job=seconds").await.len();
    folder.lead(Duration::ZERO);
    all_goes_on(&folder, &host, &burst, fired).await;
}

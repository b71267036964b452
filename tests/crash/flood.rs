//! A thousand webhooks a second, and the only host killed ten times over.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::load::{Load, Senders};
use crate::harness::seed::seed;
use crate::harness::{on_both_databases, wait};

on_both_databases!(nothing_answered_is_missing);

const KILLS: usize = 10;
/// Every event is looked at, and none fires: the flood is for the inbox.
const CONFIG: &str = r#"
[[agents]]
name = "a"

[[endpoints]]
slug = "github"
source = "github"
secret_ref = "env:GITHUB_WEBHOOK_SECRET"

[[triggers]]
name = "closed-only"
event = "github.issues"
agent = "a"
prompt = "x"
filter = { "data.action" = "closed" }
"#;

async fn nothing_answered_is_missing(database: Database) {
    let seed = seed();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let folder = Folder::new(database, CONFIG).await;
    let mut host = folder.serve().await;
    let address = host.address().to_owned();
    let (begin, senders) = (Instant::now(), Senders::start(&host, Load::FLOOD));
    let mut up = Duration::ZERO;
    for _ in 0..KILLS {
        let begin = Instant::now();
        // Not waiting for anything: the moment is what is tried out.
        tokio::time::sleep(Duration::from_millis(dice.random_range(300..1500))).await;
        host.process.kill().await;
        up += begin.elapsed();
        host = folder.serve_on(&address).await;
    }
    let due = begin.elapsed().as_millis();
    let accepted = senders.stop().await;

    let events = wait::within(Duration::from_secs(120), "every event to be decided", async || {
        let events = host.items("events").await;
        events.iter().all(|event| !event["activated_at"].is_null()).then_some(events)
    })
    .await;
    let there: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    let lost: Vec<_> = accepted.iter().filter(|(_, id)| !there.contains(id.as_str())).collect();
    let _ = writeln!(
        std::io::stderr(),
        "ledger (flood, {KILLS} kills, seed {seed}): due {due} in {due} ms, accepted {} in \
         {} ms of a running host, lost {}, events {}",
        accepted.len(),
        up.as_millis(),
        lost.len(),
        events.len(),
    );
    assert!(lost.is_empty(), "{lost:?}");
    // Each was sent until it was answered, so none is there that was not; and none twice.
    assert_eq!(events.len(), accepted.len());
    assert_eq!(accepted.values().collect::<BTreeSet<_>>().len(), accepted.len());
    assert!(accepted.len() > 1000, "there was a load: {}", accepted.len());
}

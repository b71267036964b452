//! Each controller has a pass at once, the next one an interval later, and none before.

use std::time::Duration;

use hillock::clock::Clock;
use hillock::model::time::Time;
use serde_json::Value;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::{on_both_databases, wait};

on_both_databases!(each_has_a_pass_an_interval_after_the_last);

/// What is promised, in seconds.
const INTERVALS: [(&str, u64); 10] = [
    ("inbox", 5),
    ("clock", 10),
    ("scheduler", 30),
    ("worker-health", 30),
    ("command-recovery", 60),
    ("session-reconciler", 60),
    ("run-recovery", 60),
    ("token-cleanup", 60 * 60),
    ("retention", 60 * 60),
    ("audit-retention", 24 * 60 * 60),
];
/// How far before and after the moment it is looked. Hosts on a busy machine take a while.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a pass with nothing to do may take to end.
const MOMENT: Duration = Duration::from_secs(1);

async fn listed(host: &Host) -> Vec<Value> {
    host.read("controllers").await["items"].as_array().unwrap().clone()
}

/// The controller, once it has had so many passes.
async fn passed(host: &Host, name: &str, passes: u64) -> Value {
    wait::until(&format!("{name} to have had {passes} passes"), async || {
        let one = listed(host).await.into_iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(one["failures"], 0, "{one}");
        (one["passes"].as_u64().unwrap() >= passes).then_some(one)
    })
    .await
}

fn passes(one: &Value) -> u64 {
    one["passes"].as_u64().unwrap()
}

fn time(value: &Value) -> Time {
    value.as_str().unwrap().parse().unwrap()
}

async fn each_has_a_pass_an_interval_after_the_last(database: Database) {
    let folder = Folder::new(database, "").await.with_clock();
    let host = folder.serve().await;
    assert_eq!(listed(&host).await.len(), INTERVALS.len());
    for (name, secs) in INTERVALS {
        let one = passed(&host, name, 1).await;
        assert_eq!(one["interval_ms"], secs * 1000, "{one}");
        let last = time(&one["last"]["at"]);
        let due = last + Duration::from_secs(secs);
        // Sooner where it knows that there is something to do: recovery, when the clock has leapt.
        let next = time(&one["next_at"]);
        assert!(next <= due && (next > due - MOMENT || name == "command-recovery"), "{one}");
        if secs <= MARGIN.as_secs() {
            continue;
        }
        // Those that look more often have had a pass by then; this one has not.
        put_forward(&folder, next - MARGIN);
        let inbox = passes(&passed(&host, "inbox", 1).await);
        passed(&host, "inbox", inbox + 1).await;
        let before = passed(&host, name, 1).await;
        assert!(before == one || time(&before["last"]["at"]) >= next, "{before}");
        put_forward(&folder, next + MARGIN);
        passed(&host, name, passes(&one) + 1).await;
    }
}

/// Puts the host's clock forward to a moment, unless it is later there already.
fn put_forward(folder: &Folder, moment: Time) {
    let present: u64 = folder.read("clock").map_or(0, |lead| lead.parse().unwrap());
    folder.lead(moment.since(Clock.now()).max(Duration::from_millis(present)));
}

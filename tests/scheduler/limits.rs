//! Fire limits of jobs: in a rolling window, canceled runs not counted.

use hillock::model::run::RunStatus;
use hillock::model::scope::Scope;
use hillock::schedule::{self, ByHandError, Gate};
use hillock::store::commands;
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_limited_fire_is_canceled_and_the_cursor_waits,
    what_is_canceled_does_not_count,
    catching_up_stops_at_the_limit,
    a_fire_by_hand_counts_and_is_limited,
);

const MINUTE: u64 = 60;

async fn a_limited_fire_is_canceled_and_the_cursor_waits(database: Database) {
    let host = Host::open(database).await;
    let limit = json!({ "overlap": "allow", "fire_limit": { "max": 3, "window": "61m" } });
    let job = host.job("job", json!({ "every": "10m" }), limit).await;
    let free = host.job("free", json!({ "every": "10m" }), json!({ "overlap": "allow" })).await;
    let all = host.run_until(at(40 * MINUTE)).await;
    assert_eq!((all.fired, all.skipped), (3 + 4, 1));
    let limited = host.runs(&job).await.remove(3);
    assert_eq!(limited.status, RunStatus::Canceled);
    // The first of the three was made at 10 and leaves the window at 71.
    let retry_at = at(71 * MINUTE);
    let error = format!("fire limit: 3 runs in 1h 1m; retry_at {retry_at}");
    assert_eq!(limited.error, Some(error));
    let state = host.state(&job).await;
    assert_eq!((state.next_run_at, state.due_at), (Some(retry_at), Some(retry_at)));
    assert_eq!(host.state(&free).await.next_run_at, Some(at(50 * MINUTE)));
    // It fires there, and then on the grid again.
    host.run_until(retry_at).await;
    let slots = host.slots(&job).await;
    assert_eq!(slots[3..], [at(40 * MINUTE), retry_at]);
    assert_eq!(host.runs(&job).await[4].status, RunStatus::Scheduled);
    assert_eq!(host.state(&job).await.next_run_at, Some(at(80 * MINUTE)));
}

async fn what_is_canceled_does_not_count(database: Database) {
    let host = Host::open(database).await;
    let limit = json!({ "fire_limit": { "max": 2, "window": "1h" } });
    let job = host.job("job", json!({ "every": "10m" }), limit).await;
    // 10 fires, 20 and 30 overlap with it; then it is called off, and 40 fires.
    host.run_until(at(30 * MINUTE)).await;
    let first = host.runs(&job).await.remove(0).made.id;
    commands::cancel(&host.store, &Scope::Global, &first, at(30 * MINUTE)).await.unwrap();
    host.tick(at(40 * MINUTE)).await;
    host.complete_all(at(40 * MINUTE)).await;
    host.tick(at(50 * MINUTE)).await;
    host.complete_all(at(50 * MINUTE)).await;
    host.tick(at(60 * MINUTE)).await;
    let statuses: Vec<_> = host.runs(&job).await.iter().map(|run| run.status).collect();
    use RunStatus::{Canceled, Completed};
    assert_eq!(statuses, [Canceled, Canceled, Canceled, Completed, Completed, Canceled]);
    assert_eq!(host.state(&job).await.next_run_at, Some(at(100 * MINUTE)));
}

async fn catching_up_stops_at_the_limit(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({
        "catch_up_policy": "catch_up",
        "fire_limit": { "max": 2, "window": "1h" },
    });
    let job = host.job("job", json!({ "every": "10m" }), fields).await;
    let back = at(55 * MINUTE);
    let tick = host.tick(back).await;
    assert_eq!((tick.fired, tick.skipped, tick.missed), (2, 3, 0));
    let statuses: Vec<_> = host.runs(&job).await.iter().map(|run| run.status).collect();
    use RunStatus::{Canceled, Scheduled};
    assert_eq!(statuses, [Scheduled, Scheduled, Canceled, Canceled, Canceled]);
    assert_eq!(host.state(&job).await.next_run_at, Some(at(115 * MINUTE)));
}

async fn a_fire_by_hand_counts_and_is_limited(database: Database) {
    let host = Host::open(database).await;
    let limit = json!({ "fire_limit": { "max": 2, "window": "1h" } });
    let job = host.job("job", json!({ "every": "10m" }), limit).await;
    let stored = host.stored(&job).await;
    let trigger = async |now| {
        schedule::trigger(&host.store, hillock::clock::Clock, &Gate::default(), &stored, now).await
    };
    trigger(at(0)).await.unwrap();
    host.complete_all(at(0)).await;
    host.tick(at(10 * MINUTE)).await;
    let Err(ByHandError::Limited { retry_at }) = trigger(at(11 * MINUTE)).await else {
        panic!("two runs within the hour are the limit");
    };
    assert_eq!(retry_at, at(60 * MINUTE));
    assert_eq!(host.runs(&job).await.len(), 2, "nothing is recorded of it");
    trigger(retry_at).await.unwrap();
}

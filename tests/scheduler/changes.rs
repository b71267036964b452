//! Jobs that are switched, changed and deleted: what becomes of their cursor.

use hillock::store::schedules;
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_disabled_job_has_no_cursor_and_misses_nothing,
    another_schedule_begins_anew,
    another_prompt_keeps_the_cursor,
    a_deleted_job_fires_no_more,
);

const HOUR: u64 = 3600;

async fn a_disabled_job_has_no_cursor_and_misses_nothing(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({ "overlap": "allow" })).await;
    host.run_until(at(2 * HOUR)).await;
    host.set_enabled(&job, false, at(2 * HOUR + 60)).await;
    assert_eq!(schedules::state(&host.store, &job.id).await.unwrap(), None);
    let idle = host.tick(at(9 * HOUR)).await;
    assert_eq!((idle.fired, idle.missed, idle.next_due), (0, 0, None));
    host.set_enabled(&job, true, at(9 * HOUR + 60)).await;
    let all = host.run_until(at(11 * HOUR)).await;
    assert_eq!((all.fired, all.missed), (2, 0));
    let slots: Vec<_> = [1, 2, 10, 11].map(|n| at(n * HOUR)).to_vec();
    assert_eq!(host.slots(&job).await, slots);
}

async fn another_schedule_begins_anew(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({})).await;
    let before = host.state(&job).await;
    // It would be due now; what it was is not caught up with.
    let now = at(HOUR + 1800);
    let job = host.change(&job, (json!({ "every": "2h" }), json!({})), now).await;
    let state = host.state(&job).await;
    assert_ne!(state.schedule_hash, before.schedule_hash);
    assert_eq!(state.next_run_at, Some(at(2 * HOUR)));
    assert_eq!(host.tick(now).await.missed, 0);
    // The same in other words is the same.
    let changed = (json!({ "every": "120m" }), json!({}));
    let job = host.change(&job, changed, at(2 * HOUR + 1)).await;
    assert_eq!(host.state(&job).await.next_run_at, Some(at(2 * HOUR)));
}

async fn another_prompt_keeps_the_cursor(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({})).await;
    let other = json!({ "prompt": "other work", "jitter": "30m", "misfire_grace_seconds": 7200 });
    let now = at(HOUR + 1800);
    let job = host.change(&job, (json!({ "every": "1h" }), other), now).await;
    let state = host.state(&job).await;
    assert_eq!(state.next_run_at, Some(at(HOUR)));
    assert_eq!(state.due_at, Some(at(HOUR) + job.offset()));
    assert_eq!(state.misfire_grace_seconds, 7200);
    assert_eq!(host.tick(at(HOUR) + job.offset()).await.fired, 1);
    assert_eq!(host.runs(&job).await[0].made.prompt, "other work");
}

async fn a_deleted_job_fires_no_more(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({})).await;
    host.tick(at(HOUR)).await;
    host.delete(&job).await;
    let tick = host.tick(at(5 * HOUR)).await;
    assert_eq!((tick.fired, tick.next_due), (0, None));
    assert_eq!(host.runs(&job).await.len(), 1, "what it has made stays");
}

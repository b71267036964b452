//! Clocks that were wrong: cursors in a future that never was, and clocks that go back and come right.

use std::time::Duration;

use hillock::model::time::Time;
use hillock::schedule;
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_cursor_ahead_is_set_back,
    no_slot_fires_twice,
    a_clock_that_was_behind_leaves_nothing_missed,
    a_clock_a_few_seconds_ahead_is_not_wrong,
    a_limits_cursor_is_left_alone,
);

const HOUR: u64 = 3600;

async fn set_back(host: &Host, now: Time) -> u64 {
    schedule::set_back(&host.store, now).await.unwrap()
}

async fn a_cursor_ahead_is_set_back(database: Database) {
    let host = Host::open(database).await;
    let allow = || json!({ "overlap": "allow", "fire_limit": "none" });
    let far = 40 * 24 * HOUR;
    let mut jobs = vec![];
    for (schedule, period) in [
        (json!({ "cron": "* * * * *" }), 60),
        (json!({ "every": "10s" }), 10),
        (json!({ "cron": "0 0 * * *" }), 24 * HOUR),
    ] {
        let job = host.job(&format!("job-{period}"), schedule, allow()).await;
        // As a host with such a clock leaves it: all that was missed is skipped.
        host.catch_up_with(at(far)).await;
        assert!(host.state(&job).await.next_run_at.unwrap() > at(far));
        jobs.push((job, period));
    }
    let once = host.job("once", json!({ "at": "2027-06-01T12:00:00Z" }), allow()).await;
    assert_eq!(set_back(&host, at(100)).await, 3);
    assert_eq!(set_back(&host, at(100)).await, 0, "once is enough");
    for (job, period) in jobs {
        let (state, next) = (host.state(&job).await, at((100 / period + 1) * period));
        assert_eq!((state.next_run_at, state.due_at), (Some(next), Some(next)), "{}", job.name);
    }
    // A time that somebody named stays.
    assert_eq!(host.state(&once).await.next_run_at, Some("2027-06-01T12:00:00Z".parse().unwrap()));
}

async fn no_slot_fires_twice(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({ "overlap": "allow", "fire_limit": "none", "catch_up_policy": "catch_up" });
    let job = host.job("grid", json!({ "every": "60s" }), fields).await;
    // Ahead by an hour from the first minute on: it fires the slots of the next hour.
    host.catch_up_with(at(60)).await;
    host.set_cursor(&job, at(HOUR + 120), at(HOUR + 60)).await;
    host.run_until(at(HOUR + 300)).await;
    let ahead = host.slots(&job).await;
    assert_eq!(ahead, [60, HOUR + 120, HOUR + 180, HOUR + 240, HOUR + 300].map(at));
    // It is right again, and two hours pass.
    assert_eq!(set_back(&host, at(310)).await, 1);
    host.run_until(at(2 * HOUR)).await;
    let mut slots = host.slots(&job).await;
    slots.sort_unstable();
    let wanted: Vec<Time> = [60].into_iter().chain((360..=2 * HOUR).step_by(60)).map(at).collect();
    assert_eq!(slots, wanted, "each once");
}

async fn a_clock_that_was_behind_leaves_nothing_missed(database: Database) {
    let host = Host::open(database).await;
    for policy in ["skip_missed", "coalesce", "catch_up"] {
        let fields = json!({ "overlap": "allow", "fire_limit": "none", "catch_up_policy": policy });
        let job = host.job(policy, json!({ "every": "60s" }), fields).await;
        host.run_until(at(2 * HOUR)).await;
        let fired = host.slots(&job).await.len();
        // An hour behind for a minute: that minute's slot has fired.
        set_back(&host, at(HOUR + 2)).await;
        host.run_until(at(HOUR + 70)).await;
        assert_eq!(host.slots(&job).await.len(), fired, "{policy}: nothing twice");
        // Right again.
        let tick = host.catch_up_with(at(2 * HOUR + 70)).await;
        assert_eq!((tick.fired, tick.missed), (1, 0), "{policy}");
        assert_eq!(host.state(&job).await.misfire_count, 0, "{policy}");
        assert_eq!(host.state(&job).await.next_run_at, Some(at(2 * HOUR + 120)), "{policy}");
        host.set_enabled(&job, false, at(2 * HOUR + 71)).await;
    }
}

async fn a_clock_a_few_seconds_ahead_is_not_wrong(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("grid", json!({ "every": "10s" }), json!({ "fire_limit": "none" })).await;
    host.tick(at(10)).await;
    assert_eq!(set_back(&host, at(4)).await, 0);
    assert_eq!(host.state(&job).await.next_run_at, Some(at(20)));
}

async fn a_limits_cursor_is_left_alone(database: Database) {
    let host = Host::open(database).await;
    let limit = json!({ "overlap": "allow", "fire_limit": { "max": 1, "window": "1d" } });
    let job = host.job("grid", json!({ "every": "10m" }), limit).await;
    host.run_until(at(1200)).await;
    let next = host.state(&job).await.next_run_at.unwrap();
    assert_eq!(next, at(600) + Duration::from_secs(24 * HOUR));
    assert_eq!(set_back(&host, at(1201)).await, 0);
    assert_eq!(host.state(&job).await.next_run_at, Some(next));
}

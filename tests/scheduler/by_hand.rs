//! Fires that no clock asked for, and previews.

use hillock::clock::Clock;
use hillock::model::run::RunStatus;
use hillock::schedule::{self, ByHandError, Gate, Previewed};
use hillock::store::schedules::Backfilled;
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_job_is_fired_whatever_stands_against_it,
    past_slots_are_fired_once,
    a_backfill_goes_on_where_the_limit_stopped_it,
    too_many_slots_are_refused_with_their_number,
    a_backfilled_slot_is_not_fired_again,
    previews_are_what_comes,
);

const HOUR: u64 = 3600;
const SLOT: u64 = 600;

/// It is disabled, and a run is under way.
async fn a_job_is_fired_whatever_stands_against_it(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({})).await;
    host.tick(at(HOUR)).await;
    host.set_enabled(&job, false, at(HOUR)).await;
    let stored = host.stored(&job).await;
    assert!(!stored.enabled && stored.state.is_none());
    let run = schedule::trigger(&host.store, Clock, &Gate::default(), &stored, at(HOUR + 5))
        .await
        .unwrap();
    let runs = host.runs(&job).await;
    assert_eq!((&runs[1].made.id, runs[1].status), (&run, RunStatus::Scheduled));
    assert!(runs[1].made.fire.is_none());
    assert_eq!(host.claim(at(HOUR + 5)).await.len(), 2, "it does not wait");
}

async fn past_slots_are_fired_once(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({})).await;
    host.tick(at(SLOT)).await;
    let stored = host.stored(&job).await;
    let now = at(6 * SLOT + 60);
    let fill = async |from, to| {
        schedule::backfill(&host.store, Clock, &Gate::default(), &stored, (at(from), at(to)), now)
            .await
            .unwrap()
    };
    let done = |fired, skipped| Backfilled { fired, skipped, ..Backfilled::default() };
    // Both ends count; 1 has its run.
    assert_eq!(fill(SLOT, 4 * SLOT).await, done(3, 1));
    assert_eq!(fill(SLOT, 5 * SLOT).await, done(1, 4));
    assert_eq!(fill(SLOT + 1, 2 * SLOT - 1).await, done(0, 0));
    let slots: Vec<_> = (1..=5).map(|n| at(n * SLOT)).collect();
    assert_eq!(host.slots(&job).await, slots);
    // One after the other, behind what is under way, though the policy is to skip.
    for run in host.runs(&job).await {
        let claims = host.claim(now).await;
        assert_eq!((claims.len(), &claims[0].run_id), (1, &run.made.id));
        let ending = hillock::model::run::Ending::Completed;
        claims::finish(&host.store, &claims[0], ending, now).await.unwrap();
    }
    let backwards =
        schedule::backfill(&host.store, Clock, &Gate::default(), &stored, (at(9), at(8)), now)
            .await;
    assert!(matches!(backwards, Err(ByHandError::Backwards)), "{backwards:?}");
    let later = (at(0), at(7 * SLOT));
    let future =
        schedule::backfill(&host.store, Clock, &Gate::default(), &stored, later, now).await;
    assert!(matches!(future, Err(ByHandError::Future)), "{future:?}");
}

async fn a_backfill_goes_on_where_the_limit_stopped_it(database: Database) {
    let host = Host::open(database).await;
    let limit = json!({ "fire_limit": { "max": 3, "window": "1h" } });
    let job = host.job("job", json!({ "every": "1h" }), limit).await;
    let stored = host.stored(&job).await;
    let range = (at(0), at(5 * HOUR));
    let fill = async |now| {
        schedule::backfill(&host.store, Clock, &Gate::default(), &stored, range, now).await
    };
    let now = at(10 * HOUR);
    let first = fill(now).await.unwrap();
    let retry_at = Some(at(11 * HOUR));
    assert_eq!(first, Backfilled { fired: 3, skipped: 0, limited: 2, retry_at });
    let Err(ByHandError::Limited { retry_at }) = fill(now).await else { panic!("no room") };
    let second = fill(retry_at).await.unwrap();
    assert_eq!((second.fired, second.skipped, second.limited), (2, 3, 0));
    assert_eq!(host.slots(&job).await, (1..=5).map(|n| at(n * HOUR)).collect::<Vec<_>>());
}

async fn too_many_slots_are_refused_with_their_number(database: Database) {
    let host = Host::open(database).await;
    let unlimited = json!({ "fire_limit": "none" });
    let job = host.job("job", json!({ "every": "1m" }), unlimited).await;
    let stored = host.stored(&job).await;
    let fill = async |to| {
        schedule::backfill(
            &host.store,
            Clock,
            &Gate::default(),
            &stored,
            (at(0), at(to)),
            at(100 * HOUR),
        )
        .await
    };
    let refused = fill(60 * 1001).await;
    assert!(matches!(refused, Err(ByHandError::TooMany { count: 1001 })), "{refused:?}");
    assert!(host.runs(&job).await.is_empty());
    assert_eq!(fill(60 * 1000).await.unwrap().fired, 1000);
}

/// The cursor is still to come by the slot; `replace` must not take the run for an old one.
async fn a_backfilled_slot_is_not_fired_again(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "1h" }), json!({ "overlap": "replace" })).await;
    let stored = host.stored(&job).await;
    let range = (at(HOUR), at(HOUR));
    schedule::backfill(&host.store, Clock, &Gate::default(), &stored, range, at(HOUR))
        .await
        .unwrap();
    let tick = host.tick(at(HOUR)).await;
    assert_eq!((tick.fired, tick.skipped, tick.next_due), (0, 0, Some(at(2 * HOUR))));
    let runs = host.runs(&job).await;
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Scheduled));
}

async fn previews_are_what_comes(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({ "jitter": "10m", "overlap": "allow" });
    let job = host.job("job", json!({ "every": "1h" }), fields).await;
    let stored = host.stored(&job).await;
    let preview = schedule::preview(&stored, 4, at(5)).unwrap();
    let wanted: Vec<Previewed> = (1..=4)
        .map(|n| Previewed { scheduled_at: at(n * HOUR), due_at: at(n * HOUR) + job.offset() })
        .collect();
    assert_eq!(preview.next, wanted);
    host.run_until(at(5 * HOUR)).await;
    let slots: Vec<_> = wanted.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(host.slots(&job).await[..4], slots);
    let past = host.job("past", json!({ "at": "2026-01-01T01:00:00Z" }), json!({})).await;
    host.tick(at(HOUR)).await;
    assert!(schedule::preview(&host.stored(&past).await, 4, at(HOUR)).unwrap().next.is_empty());
}

//! The host stops over slots: what each policy fires, counts and goes on with.

use hillock::model::definition::Job;
use hillock::model::run::RunStatus;
use hillock::model::time::Time;
use hillock::store::notices;
use serde_json::{Value, json};

use super::fixture::{Host, at, time};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_stopped_host_does_what_each_policy_says,
    an_instant_in_the_past_follows_the_policy,
    what_is_caught_up_with_is_a_chain,
    catching_up_where_overlap_is_allowed_is_at_once,
    misfires_are_told_to_who_listens,
);

const HOUR: u64 = 3600;
const SLOT: u64 = 600;

/// Every hour from 1 on; the host stops after 2, and comes back at 20:30.
async fn a_stopped_host_does_what_each_policy_says(database: Database) {
    let host = Host::open(database).await;
    let policies = [
        ("skip_missed", json!({})),
        ("coalesce", json!({})),
        ("catch_up", json!({})),
        ("catch_up", json!({ "catch_up_max": 3 })),
    ];
    let mut jobs = vec![];
    for (n, (policy, fields)) in policies.into_iter().enumerate() {
        let mut fields = with(fields, "catch_up_policy", policy);
        fields = with(fields, "overlap", "allow");
        jobs.push(host.job(&format!("job-{n}"), json!({ "every": "1h" }), fields).await);
    }
    host.run_until(at(2 * HOUR)).await;
    let back = at(20 * HOUR + 1800);
    let all = host.catch_up_with(back).await;
    // Slots 3 to 20: eighteen of them.
    assert_eq!((all.fired, all.missed), (1 + 10 + 3, 18 + 17 + 8 + 15));
    assert_eq!(all.next_due, Some(at(21 * HOUR)));
    let hours = |hours: &[u64]| -> Vec<Time> { hours.iter().map(|n| at(n * HOUR)).collect() };
    let wanted = [
        (hours(&[1, 2]), 18),
        (hours(&[1, 2, 20]), 17),
        (hours(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), 8),
        (hours(&[1, 2, 3, 4, 5]), 15),
    ];
    for (job, (slots, missed)) in jobs.iter().zip(wanted) {
        assert_eq!(host.slots(job).await, slots, "{}", job.name);
        let state = host.state(job).await;
        assert_eq!(state.misfire_count, missed, "{}", job.name);
        assert_eq!(state.last_misfire_at, Some(back));
        assert_eq!(state.next_run_at, Some(at(21 * HOUR)));
    }
    // It goes on as if nothing had been, and a second stop is counted on top.
    assert_eq!(host.run_until(at(22 * HOUR)).await.fired, 8);
    host.catch_up_with(at(24 * HOUR + 1800)).await;
    assert_eq!(host.state(&jobs[0]).await.misfire_count, 20);
    assert_eq!(host.state(&jobs[1]).await.misfire_count, 18);
    assert_eq!(host.state(&jobs[2]).await.misfire_count, 8);
}

async fn an_instant_in_the_past_follows_the_policy(database: Database) {
    let host = Host::open(database).await;
    for (policy, fires) in [("skip_missed", false), ("coalesce", true), ("catch_up", true)] {
        let past = json!({ "at": "2025-06-01T12:00:00Z" });
        let job = host.job(policy, past, json!({ "catch_up_policy": policy })).await;
        let tick = host.tick(at(5)).await;
        assert_eq!((tick.fired, tick.missed), (usize::from(fires), u64::from(!fires)), "{policy}");
        let state = host.state(&job).await;
        assert_eq!((state.next_run_at, state.due_at), (None, None), "{policy}");
        assert_eq!(state.misfire_count, i64::from(!fires), "{policy}");
        let wanted = if fires { vec![time("2025-06-01T12:00:00Z")] } else { vec![] };
        assert_eq!(host.slots(&job).await, wanted, "{policy}");
    }
}

/// The overlap policy would skip all but the first, or replace all but the last.
async fn what_is_caught_up_with_is_a_chain(database: Database) {
    let host = Host::open(database).await;
    for overlap in ["skip", "queue", "replace"] {
        let fields = json!({ "catch_up_policy": "catch_up", "overlap": overlap });
        let job = host.job(overlap, json!({ "every": "10m" }), fields).await;
        host.tick(at(SLOT)).await;
        let back = at(4 * SLOT + 300);
        assert_eq!(host.tick(back).await.fired, 3, "{overlap}");
        assert_in_turn(&host, &job, 4, back).await;
        host.delete(&job).await;
    }
}

/// Each run is handed out when the one before it has ended, in the order of their slots.
async fn assert_in_turn(host: &Host, job: &Job, count: usize, now: Time) {
    let runs = host.runs(job).await;
    assert!(runs.iter().all(|run| run.status == RunStatus::Scheduled), "{runs:?}");
    assert_eq!(runs.len(), count);
    for run in runs {
        let claims = host.claim(now).await;
        let claimed: Vec<_> = claims.iter().map(|claim| &claim.run_id).collect();
        assert_eq!(claimed, [&run.made.id], "{}", job.name);
        let ending = hillock::model::run::Ending::Completed;
        claims::finish(&host.store, &claims[0], ending, now).await.unwrap();
    }
    assert!(host.claim(now).await.is_empty());
}

async fn catching_up_where_overlap_is_allowed_is_at_once(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({ "catch_up_policy": "catch_up", "overlap": "allow" });
    host.job("hourly", json!({ "every": "1h" }), fields).await;
    assert_eq!(host.tick(at(4 * HOUR + 1800)).await.fired, 4);
    assert_eq!(host.claim(at(4 * HOUR + 1800)).await.len(), 4);
}

async fn misfires_are_told_to_who_listens(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("hourly", json!({ "every": "1h" }), json!({})).await;
    host.tick(at(3 * HOUR + 1800)).await;
    assert!(notices::waiting(&host.store, 10).await.unwrap().is_empty(), "nobody listens yet");
    let listen = "INSERT INTO listeners (workspace_id, pattern, definition_id) \
                  VALUES ('', 'hook.*', '{id}')";
    host.database.execute(&listen.replace("{id}", job.id.as_str())).await;
    host.tick(at(6 * HOUR + 1800)).await;
    host.tick(at(7 * HOUR)).await;
    host.tick(at(8 * HOUR)).await;
    let notices = notices::waiting(&host.store, 10).await.unwrap();
    let told: Vec<(&str, Value)> = notices
        .iter()
        .map(|notice| (notice.point.as_str(), serde_json::from_str(&notice.data).unwrap()))
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    let (point, misfire) = &told[0];
    assert_eq!((*point, &misfire["name"]), ("job.misfired", &json!("hourly")));
    assert_eq!((&misfire["missed"], &misfire["fired"]), (&json!(3), &json!(0)));
    assert_eq!(misfire["next_run_at"], json!(at(7 * HOUR)));
    assert_eq!((told[1].0, &told[1].1["owner_id"]), ("run.scheduled", &json!(job.id)));
    // The slot that overlapped.
    assert_eq!((told[2].0, &told[2].1["status"]), ("run.canceled", &json!("canceled")));
    assert_eq!((notices[1].depth, notices[1].causes.len()), (1, 1));
}

fn with(mut fields: Value, name: &str, value: &str) -> Value {
    fields[name] = value.into();
    fields
}

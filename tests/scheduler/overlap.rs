//! A slot is due while the job's previous run has not ended.

use hillock::model::run::{Ending, RunStatus};
use hillock::model::scope::Scope;
use hillock::store::commands;
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    allow_runs_both,
    skip_records_why,
    queue_keeps_one,
    replace_ends_what_waits,
    replace_stops_what_runs,
    what_replaces_a_replacement_waits_for_the_first,
    many_are_ruled_at_once,
);

const SLOT: u64 = 600;

async fn allow_runs_both(database: Database) {
    let host = Host::open(database).await;
    host.job("job", json!({ "every": "10m" }), json!({ "overlap": "allow" })).await;
    assert_eq!(host.run_until(at(3 * SLOT)).await.fired, 3);
    assert_eq!(host.claim(at(3 * SLOT)).await.len(), 3);
}

async fn skip_records_why(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({})).await;
    assert_eq!(host.tick(at(SLOT)).await.fired, 1);
    let tick = host.tick(at(2 * SLOT)).await;
    assert_eq!((tick.fired, tick.skipped), (0, 1));
    let runs = host.runs(&job).await;
    let skipped = &runs[1];
    assert_eq!((skipped.status, skipped.ended_at), (RunStatus::Canceled, Some(at(2 * SLOT))));
    let error = format!("overlap: {} has not ended", runs[0].made.id);
    assert_eq!(skipped.error, Some(error));
    assert_eq!(skipped.made.fire.as_ref().unwrap().scheduled_at, at(2 * SLOT));
    let state = host.state(&job).await;
    assert_eq!(state.last_run_at, Some(at(SLOT)), "what is skipped does not run");
    assert_eq!(state.last_scheduled_at, Some(at(2 * SLOT)));
    // When it has ended, the next slot fires.
    assert_eq!(host.complete_all(at(2 * SLOT)).await.len(), 1);
    assert_eq!(host.tick(at(3 * SLOT)).await.fired, 1);
}

async fn queue_keeps_one(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({ "overlap": "queue" })).await;
    let all = host.run_until(at(4 * SLOT)).await;
    assert_eq!((all.fired, all.skipped), (2, 2));
    let runs = host.runs(&job).await;
    let statuses: Vec<_> = runs.iter().map(|run| run.status).collect();
    use RunStatus::{Canceled, Scheduled};
    assert_eq!(statuses, [Scheduled, Scheduled, Canceled, Canceled]);
    let first = host.claim(at(4 * SLOT)).await;
    assert_eq!(first.len(), 1, "the second waits for the first to end");
    assert!(host.claim(at(4 * SLOT)).await.is_empty());
    claims::finish(&host.store, &first[0], Ending::Completed, at(4 * SLOT)).await.unwrap();
    let second = host.claim(at(4 * SLOT)).await;
    assert_eq!(second[0].run_id, runs[1].made.id);
    assert_eq!(host.tick(at(5 * SLOT)).await.fired, 1, "there is a place in the queue again");
}

async fn replace_ends_what_waits(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({ "overlap": "replace" })).await;
    host.run_until(at(2 * SLOT)).await;
    let runs = host.runs(&job).await;
    assert_eq!((runs[0].status, runs[0].ended_at), (RunStatus::Canceled, Some(at(2 * SLOT))));
    let error = format!("overlap: replaced by {}", runs[1].made.id);
    assert_eq!(runs[0].error, Some(error));
    let claims = host.claim(at(2 * SLOT)).await;
    assert_eq!((claims.len(), &claims[0].run_id), (1, &runs[1].made.id));
}

async fn replace_stops_what_runs(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({ "overlap": "replace" })).await;
    host.tick(at(SLOT)).await;
    let old = host.claim(at(SLOT)).await.remove(0);
    claims::start(&host.store, &old, at(SLOT)).await.unwrap();
    let tick = host.tick(at(2 * SLOT)).await;
    assert_eq!((tick.fired, tick.stops.len()), (1, 1));
    assert_eq!(tick.stops[0].command_id, old.id);
    let renewed = claims::renew(&host.store, &old, at(2 * SLOT)).await.unwrap();
    assert!(renewed.canceling.contains(&old.id), "the heartbeat brings it too");
    assert!(host.claim(at(2 * SLOT)).await.is_empty(), "the new one waits");
    let ending = Ending::Canceled;
    claims::finish(&host.store, &old, ending, at(2 * SLOT)).await.unwrap();
    let new = host.claim(at(2 * SLOT)).await;
    assert_eq!(new[0].run_id, host.runs(&job).await[1].made.id);
    // It can be replaced in turn.
    assert_eq!(host.tick(at(3 * SLOT)).await.stops.len(), 1);
}

async fn what_replaces_a_replacement_waits_for_the_first(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("job", json!({ "every": "10m" }), json!({ "overlap": "replace" })).await;
    host.tick(at(SLOT)).await;
    let old = host.claim(at(SLOT)).await.remove(0);
    claims::start(&host.store, &old, at(SLOT)).await.unwrap();
    host.tick(at(2 * SLOT)).await;
    host.tick(at(3 * SLOT)).await;
    let runs = host.runs(&job).await;
    let statuses: Vec<_> = runs.iter().map(|run| run.status).collect();
    use RunStatus::{Canceled, Running, Scheduled};
    assert_eq!(statuses, [Running, Canceled, Scheduled]);
    assert!(host.claim(at(3 * SLOT)).await.is_empty(), "the first one is still at it");
    let ending = Ending::Canceled;
    claims::finish(&host.store, &old, ending, at(3 * SLOT)).await.unwrap();
    assert_eq!(host.claim(at(3 * SLOT)).await[0].run_id, runs[2].made.id);
}

/// One claim over jobs of every policy, some of which are under way.
async fn many_are_ruled_at_once(database: Database) {
    let host = Host::open(database).await;
    let mut jobs = vec![];
    for n in 0..40 {
        let overlap = ["allow", "skip", "queue", "replace"][n % 4];
        let fields = json!({ "overlap": overlap });
        jobs.push(host.job(&format!("job-{n}"), json!({ "every": "10m" }), fields).await);
    }
    assert_eq!(host.tick(at(SLOT)).await.fired, 40);
    // The first twenty end.
    for job in &jobs[..20] {
        let run = host.runs(job).await.remove(0).made.id;
        commands::cancel(&host.store, &Scope::Global, &run, at(SLOT)).await.unwrap();
    }
    let tick = host.tick(at(2 * SLOT)).await;
    assert_eq!((tick.fired, tick.skipped), (35, 5));
    for (n, job) in jobs.iter().enumerate() {
        let runs = host.runs(job).await;
        let replaced = n >= 20 && n % 4 == 3;
        let ended = n < 20 || replaced;
        assert_eq!(runs[0].status == RunStatus::Canceled, ended, "job {n}");
        assert_eq!(runs[0].error.is_some(), ended, "job {n}");
        assert_eq!(runs[1].status == RunStatus::Canceled, n >= 20 && n % 4 == 1, "job {n}");
    }
}

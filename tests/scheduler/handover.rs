//! Jobs that describe a task: the fire is handed over to one, and ends with it.

use hillock::model::definition::Job;
use hillock::model::id::TaskId;
use hillock::model::run::{Ending, Run, RunStatus};
use hillock::model::scope::Scope;
use hillock::model::task::TaskStatus;
use hillock::model::time::Time;
use hillock::store::commands::{self, Canceling};
use hillock::store::{runs, tasks};
use serde_json::json;

use super::fixture::{Host, at};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_fire_is_handed_over_and_ends_with_its_task,
    what_is_handed_over_is_under_way,
    a_queued_fire_waits_for_the_task,
    replacing_calls_the_task_off,
    calling_the_run_off_calls_the_task_off,
    a_limited_fire_makes_no_task,
);

const HOUR: u64 = 3600;

async fn job(host: &Host, overlap: &str) -> Job {
    let fields = json!({
        "overlap": overlap,
        "prompt": null,
        "task": { "title": "Nightly", "description": "look", "owner": "ops" },
    });
    host.job("job", json!({ "every": "1h" }), fields).await
}

async fn run(host: &Host, run: &Run) -> Run {
    runs::find(&host.store, &Scope::Global, &run.made.id).await.unwrap().unwrap()
}

fn task_of(run: &Run) -> TaskId {
    run.delegation.clone().unwrap().task_id
}

async fn status(host: &Host, id: &TaskId) -> TaskStatus {
    tasks::find(&host.store, &Scope::Global, id).await.unwrap().unwrap().status
}

/// Has a worker carry out the one run that waits.
async fn carry_out(host: &Host, ending: Ending, now: Time) {
    let claims = host.claim(now).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims::finish(&host.store, &claims[0], ending, now).await.unwrap();
}

async fn a_fire_is_handed_over_and_ends_with_its_task(database: Database) {
    let host = Host::open(database).await;
    let job = job(&host, "allow").await;
    for (n, ending, wanted, task_wanted) in [
        (0, Ending::Completed, RunStatus::Completed, TaskStatus::Done),
        (1, Ending::failed("exit 1"), RunStatus::Failed, TaskStatus::Error),
        (2, Ending::Canceled, RunStatus::Canceled, TaskStatus::Canceled),
    ] {
        let now = at((n + 1) * HOUR);
        assert_eq!(host.tick(now).await.fired, 1);
        let fired = host.runs(&job).await.remove(n as usize);
        assert_eq!(fired.status, RunStatus::Delegated);
        let task = tasks::find(&host.store, &Scope::Global, &task_of(&fired)).await;
        let task = task.unwrap().unwrap();
        assert_eq!(
            (task.made.message.as_str(), task.made.label.as_deref()),
            ("look", Some("Nightly"))
        );
        assert_eq!(task.run_id, fired.delegation.clone().unwrap().task_run_id);
        let spawned_by = task.made.terms.spawned_by.unwrap();
        assert_eq!(spawned_by["job"], "job");
        assert_eq!(spawned_by["run_id"], fired.made.id.as_str());
        assert_eq!(spawned_by["owner"], "ops");
        carry_out(&host, ending, now).await;
        let ended = run(&host, &fired).await;
        assert_eq!((ended.status, ended.ended_at), (wanted, Some(now)));
        assert_eq!(ended.error.is_some(), wanted != RunStatus::Completed);
        assert_eq!(status(&host, &task.made.id).await, task_wanted);
    }
}

async fn what_is_handed_over_is_under_way(database: Database) {
    let host = Host::open(database).await;
    let job = job(&host, "skip").await;
    host.tick(at(HOUR)).await;
    let tick = host.tick(at(2 * HOUR)).await;
    assert_eq!((tick.fired, tick.skipped), (0, 1));
    let runs = host.runs(&job).await;
    assert_eq!((runs[1].status, &runs[1].delegation), (RunStatus::Canceled, &None));
    assert_eq!(host.database.count("tasks").await, 1, "what is skipped is nobody's task");
    carry_out(&host, Ending::Completed, at(2 * HOUR)).await;
    assert_eq!(host.tick(at(3 * HOUR)).await.fired, 1);
}

async fn a_queued_fire_waits_for_the_task(database: Database) {
    let host = Host::open(database).await;
    let job = job(&host, "queue").await;
    host.tick(at(HOUR)).await;
    host.tick(at(2 * HOUR)).await;
    let runs = host.runs(&job).await;
    assert_eq!([runs[0].status, runs[1].status], [RunStatus::Delegated; 2]);
    let first = host.claim(at(2 * HOUR)).await;
    assert_eq!(first.len(), 1, "the second waits");
    claims::finish(&host.store, &first[0], Ending::Completed, at(2 * HOUR)).await.unwrap();
    carry_out(&host, Ending::Completed, at(2 * HOUR)).await;
    assert_eq!(run(&host, &runs[1]).await.status, RunStatus::Completed);
}

async fn replacing_calls_the_task_off(database: Database) {
    let host = Host::open(database).await;
    let job = job(&host, "replace").await;
    host.tick(at(HOUR)).await;
    host.tick(at(2 * HOUR)).await;
    let runs = host.runs(&job).await;
    assert_eq!(runs[0].status, RunStatus::Canceled);
    assert_eq!(runs[0].error, Some(format!("overlap: replaced by {}", runs[1].made.id)));
    assert_eq!(status(&host, &task_of(&runs[0])).await, TaskStatus::Canceled);
    // One that a worker has is asked to stop, and ends when it has.
    let held = host.claim(at(2 * HOUR)).await.remove(0);
    claims::start(&host.store, &held, at(2 * HOUR)).await.unwrap();
    let tick = host.tick(at(3 * HOUR)).await;
    assert_eq!(tick.stops.len(), 1);
    assert_eq!(tick.stops[0].command_id, held.id);
    assert!(host.claim(at(3 * HOUR)).await.is_empty());
    let ending = Ending::Canceled;
    claims::finish(&host.store, &held, ending, at(3 * HOUR)).await.unwrap();
    assert_eq!(run(&host, &runs[1]).await.status, RunStatus::Canceled);
    carry_out(&host, Ending::Completed, at(3 * HOUR)).await;
}

async fn calling_the_run_off_calls_the_task_off(database: Database) {
    let host = Host::open(database).await;
    let job = job(&host, "allow").await;
    let cancel = async |run: &Run, now| {
        let id = &run.made.id;
        commands::cancel(&host.store, &Scope::Global, id, now).await.unwrap().unwrap()
    };
    host.tick(at(HOUR)).await;
    let first = host.runs(&job).await.remove(0);
    assert_eq!(cancel(&first, at(HOUR)).await, Canceling::Ended);
    assert_eq!(run(&host, &first).await.status, RunStatus::Canceled);
    assert_eq!(status(&host, &task_of(&first)).await, TaskStatus::Canceled);
    assert_eq!(cancel(&first, at(HOUR)).await, Canceling::Over);

    host.tick(at(2 * HOUR)).await;
    let second = host.runs(&job).await.remove(1);
    let held = host.claim(at(2 * HOUR)).await.remove(0);
    claims::start(&host.store, &held, at(2 * HOUR)).await.unwrap();
    let asked = cancel(&second, at(2 * HOUR)).await;
    let Canceling::Asked { command_id, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(command_id, held.id);
    assert_eq!(run(&host, &second).await.status, RunStatus::Delegated);
    let ending = Ending::Canceled;
    claims::finish(&host.store, &held, ending, at(2 * HOUR)).await.unwrap();
    assert_eq!(run(&host, &second).await.status, RunStatus::Canceled);
}

async fn a_limited_fire_makes_no_task(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({
        "overlap": "allow",
        "fire_limit": { "max": 1, "window": "1d" },
        "task": { "title": "Nightly" },
    });
    let job = host.job("job", json!({ "every": "1h" }), fields).await;
    assert_eq!(host.tick(at(HOUR)).await.fired, 1);
    assert_eq!(host.tick(at(2 * HOUR)).await.skipped, 1);
    assert_eq!(host.database.count("tasks").await, 1);
    let task = task_of(&host.runs(&job).await[0]);
    let task = tasks::find(&host.store, &Scope::Global, &task).await.unwrap().unwrap();
    assert_eq!(task.made.message, "work", "the job's prompt is the task's description");
}

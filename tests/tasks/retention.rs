//! Tasks that have ended long ago: they go with their last run, and their keys before them.

use std::time::Duration;

use hillock::config::RetentionSettings;
use hillock::controllers::{Expired, Removed, retention, token_cleanup};
use hillock::model::id::TaskId;
use hillock::model::input::{Addressee, InputMode};
use hillock::model::run::Ending;
use hillock::model::scope::Scope;
use hillock::model::task::{NewTask, Task};
use hillock::model::time::Time;
use hillock::store::inputs::Given;
use hillock::store::tasks::{self, Created};

use super::fixture::{Host, at, idempotency, new_task};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_task_goes_with_its_last_run,
    what_goes_on_keeps_its_task,
    a_tasks_key_is_forgotten_a_day_after_its_end,
    an_inputs_key_is_forgotten_a_day_after_the_runs_end,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MOMENT: Duration = Duration::from_millis(1);

async fn removed(host: &Host, now: Time) -> Removed {
    let keep = RetentionSettings::default();
    let counted = retention(&host.store, &keep, now, true).await.unwrap();
    let removed = retention(&host.store, &keep, now, false).await.unwrap();
    assert_eq!(counted, removed, "what a dry run says is done");
    let again = retention(&host.store, &keep, now, false).await.unwrap();
    assert_eq!(again, Removed::default(), "again");
    removed
}

async fn forgotten(host: &Host, now: Time) -> u64 {
    let Expired { idempotency_keys, .. } = token_cleanup(&host.store, now, false).await.unwrap();
    let again = token_cleanup(&host.store, now, false).await.unwrap();
    assert_eq!(again, Expired::default(), "again");
    idempotency_keys
}

async fn found(host: &Host, id: &TaskId) -> Option<Task> {
    tasks::find(&host.store, &Scope::Global, id).await.unwrap()
}

async fn a_task_goes_with_its_last_run(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    let held = host.start(at(1)).await;
    host.give(Addressee::Task(task.made.id.clone()), InputMode::Followup, "more", at(2)).await;
    host.finish(&held, Ending::Completed, at(3)).await;
    let follow_up = host.start(at(4)).await;
    host.finish(&follow_up, Ending::Completed, at(3) + DAY / 2).await;

    assert_eq!(removed(&host, at(3) + MONTH - MOMENT).await, Removed::default());
    let first = removed(&host, at(3) + MONTH).await;
    assert_eq!((first.runs, first.commands, first.inputs, first.tasks), (1, 1, 1, 0));
    assert!(found(&host, &task.made.id).await.is_some());
    let last = removed(&host, at(3) + MONTH + DAY / 2).await;
    assert_eq!((last.runs, last.tasks, last.sessions), (1, 1, 1));
    assert!(found(&host, &task.made.id).await.is_none());
}

async fn what_goes_on_keeps_its_task(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    let held = host.start(at(1)).await;
    assert_eq!(removed(&host, at(1) + 12 * MONTH).await, Removed::default());
    host.finish(&held, Ending::Completed, at(2)).await;
    // Taken up again after its end, the task has a run that goes on.
    let to = Addressee::Task(task.made.id.clone());
    host.give(to, InputMode::Followup, "again", at(3)).await;
    let again = host.start(at(4)).await;
    let first = removed(&host, at(2) + MONTH).await;
    assert_eq!((first.runs, first.tasks, first.sessions), (1, 0, 0));
    assert!(found(&host, &task.made.id).await.is_some());
    host.finish(&again, Ending::Completed, at(5)).await;
    let last = removed(&host, at(5) + MONTH).await;
    assert_eq!((last.runs, last.tasks, last.sessions), (1, 1, 1));
}

async fn a_tasks_key_is_forgotten_a_day_after_its_end(database: Database) {
    let host = Host::open(database).await;
    let keyed = |now| NewTask { idempotency: Some(idempotency("key", "body")), ..new_task(now) };
    let first = host.task_as(|_| keyed(at(0)), at(0)).await;
    let held = host.start(at(1)).await;
    assert_eq!(forgotten(&host, at(1) + MONTH).await, 0, "it has not ended");
    host.finish(&held, Ending::Completed, at(10)).await;
    assert_eq!(forgotten(&host, at(10) + DAY - MOMENT).await, 0);
    let again = host.create(keyed(at(20))).await;
    assert!(matches!(&again, Created::Known(task) if task.made.id == first.made.id), "{again:?}");
    assert_eq!(forgotten(&host, at(10) + DAY).await, 1);
    assert!(found(&host, &first.made.id).await.is_some_and(|task| task.made.idempotency.is_none()));
    assert!(matches!(host.create(keyed(at(30))).await, Created::New));
}

async fn an_inputs_key_is_forgotten_a_day_after_the_runs_end(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    let give = async |now| {
        let to = Addressee::Task(task.clone());
        host.give_once(to, InputMode::Followup, "more", Some("key"), now).await
    };
    assert!(matches!(give(at(2)).await, Some(Given::New(_))));
    assert_eq!(forgotten(&host, at(2) + MONTH).await, 0, "the run has not ended");
    host.finish(&held, Ending::Completed, at(10)).await;
    assert_eq!(forgotten(&host, at(10) + DAY - MOMENT).await, 0);
    assert!(matches!(give(at(20)).await, Some(Given::Known(_))));
    assert_eq!(forgotten(&host, at(10) + DAY).await, 1);
    assert!(matches!(give(at(30)).await, Some(Given::New(_))));
}

//! Tasks as they are made, looked at, called off and put away.

use std::sync::Arc;

use hillock::model::id::TaskId;
use hillock::model::input::{Addressee, InputMode};
use hillock::model::policy::{Attempts, Policy};
use hillock::model::run::{Ending, Owner, RunStatus};
use hillock::model::scope::Scope;
use hillock::model::task::{NewTask, TaskStatus};
use hillock::store::tasks::{self, Archiving, Created, TaskCanceling, TaskFilter};
use hillock::store::{PageRequest, commands};
use tokio::task::JoinSet;

use super::fixture::{Host, at, idempotency, new_task, under};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_task_is_made_with_its_run_and_command,
    the_same_key_is_the_same_task,
    rivals_under_one_key_make_one_task,
    a_policy_says_how_often_it_is_tried,
    what_is_called_off_ends_with_all_that_waits_behind_it,
    only_what_has_ended_is_put_away,
    listings_are_filtered_and_paged,
    another_workspaces_task_is_not_found,
);

async fn a_task_is_made_with_its_run_and_command(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    assert_eq!((task.status, task.started_at, task.ended_at), (TaskStatus::Queued, None, None));
    let run = host.run(&task.run_id).await;
    assert_eq!(run.status, RunStatus::Scheduled);
    assert_eq!(run.made.owner, Owner::Task { id: task.made.id.clone(), agent: task.made.agent });
    let held = host.claim(at(1)).await;
    assert_eq!((&held.run_id, held.prompt.as_str()), (&task.run_id, "work"));
    assert_eq!(held.terms, task.made.terms);
}

async fn the_same_key_is_the_same_task(database: Database) {
    let host = Host::open(database).await;
    let asked =
        |body: &str| NewTask { idempotency: Some(idempotency("key", body)), ..new_task(at(0)) };
    let first = asked("a");
    assert!(matches!(host.create(first.clone()).await, Created::New));
    let Created::Known(known) = host.create(asked("a")).await else { panic!("it is known") };
    assert_eq!(known.made.id, first.id);
    assert!(matches!(host.create(asked("b")).await, Created::Mismatch));
    // Another agent's key is another key.
    let other = NewTask { agent: "other".parse().unwrap(), ..asked("b") };
    assert!(matches!(host.create(other).await, Created::New));
    assert_eq!(host.database.count("tasks").await, 2);
    assert_eq!(host.database.count("commands").await, 2);
}

async fn rivals_under_one_key_make_one_task(database: Database) {
    let host = Arc::new(Host::open(database).await);
    let mut rivals = JoinSet::new();
    for n in 0..16 {
        let host = Arc::clone(&host);
        let body = if n % 4 == 3 { "b" } else { "a" };
        let task = NewTask { idempotency: Some(idempotency("key", body)), ..new_task(at(0)) };
        rivals.spawn(async move { (task.id.clone(), body, host.create(task).await) });
    }
    let (mut made, mut known) = (vec![], vec![]);
    for created in rivals.join_all().await {
        match created {
            (id, body, Created::New) => made.push((id, body)),
            (_, body, Created::Known(task)) => known.push((task.made.id.clone(), body)),
            (_, body, Created::Mismatch) => known.push((made_id(&host).await, other(body))),
        }
    }
    assert_eq!((made.len(), known.len()), (1, 15));
    assert!(known.iter().all(|one| *one == made[0]), "{made:?} {known:?}");
    assert_eq!(host.database.count("runs").await, 1);
    assert_eq!(host.database.count("commands").await, 1);
}

fn other(body: &str) -> &'static str {
    if body == "a" { "b" } else { "a" }
}

async fn made_id(host: &Host) -> TaskId {
    let page = PageRequest::new(1, None).unwrap();
    let page = tasks::list(&host.store, &Scope::Global, &TaskFilter::default(), page).await;
    page.unwrap().items.remove(0).made.id
}

async fn a_policy_says_how_often_it_is_tried(database: Database) {
    let host = Host::open(database).await;
    let retry = Attempts { attempts: 2, delay_ms: 60_000 };
    let task = host.task_as(under(Policy { retry, ..Policy::default() }), at(0)).await;
    let id = &task.made.id;
    let held = host.start(at(1)).await;
    host.finish(&held, Ending::failed("exit 1"), at(2)).await;
    assert_eq!(host.status(id).await, TaskStatus::Sleeping);
    assert!(host.claim_all(at(10)).await.is_empty(), "it waits for its retry");
    let held = host.start(at(200)).await;
    assert_eq!(host.status(id).await, TaskStatus::Running);
    host.finish(&held, Ending::failed("exit 2"), at(201)).await;
    let task = host.read(id).await;
    assert_eq!((task.status, task.error.as_deref()), (TaskStatus::Error, Some("exit 2")));
    assert_eq!((task.started_at, task.ended_at), (Some(at(1)), Some(at(201))));
    // Without a policy it is tried once.
    let task = host.task(at(300)).await;
    let held = host.start(at(301)).await;
    host.finish(&held, Ending::failed("exit 1"), at(302)).await;
    assert_eq!(host.status(&task.made.id).await, TaskStatus::Error);
}

async fn what_is_called_off_ends_with_all_that_waits_behind_it(database: Database) {
    let host = Host::open(database).await;
    let cancel = async |id: &TaskId, now| {
        tasks::cancel(&host.store, &Scope::Global, id, now).await.unwrap().unwrap()
    };
    let queued = host.task(at(0)).await.made.id;
    assert_eq!(cancel(&queued, at(1)).await, TaskCanceling::Ended);
    assert_eq!(host.status(&queued).await, TaskStatus::Canceled);
    assert_eq!(cancel(&queued, at(2)).await, TaskCanceling::Over);

    let task = host.task(at(10)).await.made.id;
    let held = host.start(at(11)).await;
    let more = Addressee::Task(task.clone());
    host.give(more, InputMode::Followup, "more", at(12)).await;
    assert_eq!(cancel(&task, at(13)).await, TaskCanceling::Asked);
    assert_eq!(host.status(&task).await, TaskStatus::Running, "its program is still at it");
    let words = host.words(at(14)).await;
    assert_eq!(words.len(), 1, "the worker is told once: {words:?}");
    let runs = host.runs(&task).await;
    assert_eq!(runs[1].status, RunStatus::Canceled);
    host.finish(&held, Ending::Canceled, at(15)).await;
    let ended = host.read(&task).await;
    assert_eq!((ended.status, ended.ended_at), (TaskStatus::Canceled, Some(at(15))));
    assert!(host.claim_all(at(16)).await.is_empty());
    let missing = hillock::clock::Clock.task_id();
    let canceled = tasks::cancel(&host.store, &Scope::Global, &missing, at(17)).await.unwrap();
    assert_eq!(canceled, None);
}

async fn only_what_has_ended_is_put_away(database: Database) {
    let host = Host::open(database).await;
    let id = host.task(at(0)).await.made.id;
    let archive = async |now| tasks::archive(&host.store, &Scope::Global, &id, now).await.unwrap();
    assert_eq!(archive(at(1)).await, Some(Archiving::UnderWay));
    let held = host.start(at(2)).await;
    assert_eq!(archive(at(3)).await, Some(Archiving::UnderWay));
    host.finish(&held, Ending::Completed, at(4)).await;
    assert_eq!(archive(at(5)).await, Some(Archiving::Archived));
    assert_eq!(archive(at(6)).await, Some(Archiving::Archived), "once more changes nothing");
    assert_eq!(host.read(&id).await.archived_at, Some(at(5)));
}

async fn listings_are_filtered_and_paged(database: Database) {
    let host = Host::open(database).await;
    let mut ids = vec![];
    for n in 0..5 {
        let change = |task: NewTask| NewTask {
            label: (n == 3).then(|| "nightly".to_owned()),
            agent: if n == 4 { "other".parse().unwrap() } else { task.agent },
            ..task
        };
        ids.push(host.task_as(change, at(n)).await.made.id);
    }
    tasks::cancel(&host.store, &Scope::Global, &ids[0], at(9)).await.unwrap();
    tasks::archive(&host.store, &Scope::Global, &ids[0], at(9)).await.unwrap();
    let found = async |filter: TaskFilter| {
        let (mut found, mut cursor) = (vec![], None);
        loop {
            let page = PageRequest::new(2, cursor.as_deref()).unwrap();
            let page = tasks::list(&host.store, &Scope::Global, &filter, page).await.unwrap();
            found.extend(page.items.into_iter().map(|task| task.made.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                found.reverse();
                return found;
            }
        }
    };
    let session = host.read(&ids[2]).await.made.terms.session.map(|session| session.id);
    let all = TaskFilter::default;
    assert_eq!(found(all()).await, ids);
    assert_eq!(found(TaskFilter { archived: Some(false), ..all() }).await, ids[1..]);
    assert_eq!(found(TaskFilter { archived: Some(true), ..all() }).await, ids[..1]);
    let canceled = TaskFilter { status: Some(TaskStatus::Canceled), ..all() };
    assert_eq!(found(canceled).await, ids[..1]);
    let other = TaskFilter { agent: Some("other".parse().unwrap()), ..all() };
    assert_eq!(found(other).await, ids[4..]);
    assert_eq!(found(TaskFilter { label: Some("nightly".into()), ..all() }).await, ids[3..4]);
    assert_eq!(found(TaskFilter { session, ..all() }).await, ids[2..3]);
}

async fn another_workspaces_task_is_not_found(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    let (acme, id) = (Scope::parse("acme").unwrap(), &task.made.id);
    assert!(tasks::find(&host.store, &acme, id).await.unwrap().is_none());
    assert!(tasks::cancel(&host.store, &acme, id, at(1)).await.unwrap().is_none());
    assert!(tasks::archive(&host.store, &acme, id, at(1)).await.unwrap().is_none());
    assert!(commands::cancel(&host.store, &acme, &task.run_id, at(1)).await.unwrap().is_none());
    assert_eq!(host.status(id).await, TaskStatus::Queued);
}

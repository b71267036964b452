//! A task follows its runs: the table of transitions, cell by cell.

use hillock::model::input::{Addressee, InputMode, InputOutcome};
use hillock::model::run::Ending;
use hillock::model::scope::Scope;
use hillock::model::task::TaskStatus::{self, *};
use hillock::store::tasks::{Archiving, TaskCanceling};
use hillock::store::{commands, tasks};

use super::fixture::{Host, at};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    every_cell_of_the_table,
    it_says_what_its_present_run_does,
    one_that_is_told_more_after_its_end_is_open_again,
    what_is_asked_while_it_is_called_off_goes_on,
    one_that_nobody_began_is_dropped,
);

/// How a run stands that its task is to follow to this status.
fn run_of(status: TaskStatus) -> &'static str {
    match status {
        Queued | Blocked => "status = 'scheduled', due_at = NULL",
        Sleeping => "status = 'scheduled', due_at = 1",
        Running => "status = 'running', interaction = 'working'",
        Waiting => "status = 'running', interaction = 'waiting_for_input'",
        Done => "status = 'completed'",
        Error => "status = 'failed', attempt = 1",
        Dropped => "status = 'failed', attempt = 0",
        Canceled => "status = 'canceled'",
    }
}

async fn every_cell_of_the_table(database: Database) {
    let host = Host::open(database).await;
    // What is blocked is kept as queued.
    let kept = || TaskStatus::ALL.iter().filter(|(status, _)| *status != Blocked);
    for &(from, word) in kept() {
        for &(to, _) in kept() {
            let task = host.task(at(0)).await;
            let id = &task.made.id;
            let ended = if from.is_terminal() { "ended_at = 5" } else { "ended_at = NULL" };
            let set = format!(
                "UPDATE tasks SET status = '{word}', {ended} WHERE id = '{id}'; \
                 UPDATE runs SET {} WHERE id = '{}'",
                run_of(to),
                task.run_id,
            );
            host.database.execute(&set).await;
            let before = format!("{:?}", host.read(id).await);
            let changed = tasks::catch_up(&host.store, id, at(7)).await.unwrap();
            let after = host.read(id).await;
            // One that was begun is never dropped: it is in error. One that has ended does not
            // follow its runs: it is taken up when it is told more.
            let wanted = if to == Dropped && from != Queued { Error } else { to };
            if from.may_become(wanted) && !from.is_terminal() {
                assert!(changed, "{from} → {to}");
                assert_eq!(after.status, wanted, "{from} → {to}");
                assert_eq!(after.ended_at.is_some(), wanted.is_terminal(), "{from} → {to}");
            } else {
                assert!(!changed, "{from} → {to}");
                assert_eq!(format!("{after:?}"), before, "{from} → {to}");
            }
        }
    }
}

async fn it_says_what_its_present_run_does(database: Database) {
    let host = Host::open(database).await;
    let id = host.task(at(0)).await.made.id;
    let first = host.start(at(1)).await;
    assert_eq!(host.status(&id).await, Running);
    let to = || Addressee::Task(id.clone());
    let second = host.give(to(), InputMode::Queue, "second", at(2)).await.into_run_id;
    assert_eq!(host.read(&id).await.run_id, second, "the latest");
    assert_eq!(host.status(&id).await, Running, "the first is still at it");
    host.finish(&first, Ending::failed("exit 1"), at(3)).await;
    let task = host.read(&id).await;
    assert_eq!((task.status, task.ended_at), (Queued, None), "the second waits");
    let held = host.start(at(4)).await;
    assert_eq!(held.run_id, second);
    host.finish(&held, Ending::Completed, at(5)).await;
    let task = host.read(&id).await;
    assert_eq!((task.status, task.started_at, task.ended_at), (Done, Some(at(1)), Some(at(5))));
}

async fn one_that_is_told_more_after_its_end_is_open_again(database: Database) {
    let host = Host::open(database).await;
    for (ending, status) in
        [(Ending::Completed, Done), (Ending::failed("exit 1"), Error), (Ending::Canceled, Canceled)]
    {
        let id = host.task(at(0)).await.made.id;
        let first = host.start(at(1)).await;
        host.result(&first, "one", at(2)).await;
        host.finish(&first, ending, at(3)).await;
        tasks::archive(&host.store, &Scope::Global, &id, at(4)).await.unwrap();
        let ended = host.read(&id).await;
        assert_eq!((ended.status, ended.result), (status, Some("one".into())));

        let to = Addressee::Run(first.run_id.clone());
        let given = host.give(to, InputMode::Followup, "more", at(5)).await;
        let again = host.read(&id).await;
        assert_eq!((again.status, &again.run_id), (Queued, &given.into_run_id));
        assert_eq!((again.ended_at, again.archived_at, again.result), (None, None, None));
        assert_eq!(again.error, None);
        let second = host.start(at(6)).await;
        assert_eq!((host.status(&id).await, &second.run_id), (Running, &given.into_run_id));
        let away = tasks::archive(&host.store, &Scope::Global, &id, at(6)).await.unwrap();
        assert_eq!(away, Some(Archiving::UnderWay));
        let canceling = tasks::cancel(&host.store, &Scope::Global, &id, at(7)).await.unwrap();
        assert_eq!(canceling, Some(TaskCanceling::Asked));
        host.result(&second, "two", at(7)).await;
        host.finish(&second, Ending::Canceled, at(8)).await;
        let ended = host.read(&id).await;
        assert_eq!((ended.status, ended.ended_at), (Canceled, Some(at(8))));
        assert_eq!(ended.result, Some("two".into()));
        let first = host.run(&first.run_id).await;
        assert_eq!((first.ended_at, first.result), (Some(at(3)), Some("one".into())), "final");
    }
}

async fn what_is_asked_while_it_is_called_off_goes_on(database: Database) {
    let host = Host::open(database).await;
    let id = host.task(at(0)).await.made.id;
    let first = host.start(at(1)).await;
    tasks::cancel(&host.store, &Scope::Global, &id, at(2)).await.unwrap();
    let to = Addressee::Task(id.clone());
    let given = host.give(to, InputMode::Followup, "after all", at(3)).await;
    assert_eq!(given.outcome, InputOutcome::Restarted);
    host.finish(&first, Ending::Canceled, at(4)).await;
    let task = host.read(&id).await;
    assert_eq!((task.status, &task.run_id), (Queued, &given.into_run_id));
    let second = host.start(at(5)).await;
    host.finish(&second, Ending::Completed, at(6)).await;
    assert_eq!(host.status(&id).await, Done);
}

async fn one_that_nobody_began_is_dropped(database: Database) {
    let host = Host::open(database).await;
    let id = host.task(at(0)).await.made.id;
    commands::expire(&host.store, at(3599)).await.unwrap();
    assert_eq!(host.status(&id).await, Queued);
    commands::expire(&host.store, at(3600)).await.unwrap();
    let task = host.read(&id).await;
    assert_eq!((task.status, task.ended_at), (Dropped, Some(at(3600))));
    assert!(task.error.unwrap().starts_with("expired"));
}

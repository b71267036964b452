//! A task follows its runs: the table of transitions, cell by cell.

use hillock::model::input::{Addressee, InputMode};
use hillock::model::run::Ending;
use hillock::model::task::TaskStatus::{self, *};
use hillock::store::{commands, tasks};

use super::fixture::{Host, at};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    every_cell_of_the_table,
    it_says_what_its_present_run_does,
    one_that_nobody_began_is_dropped,
);

/// How a run stands that its task is to follow to this status.
fn run_of(status: TaskStatus) -> &'static str {
    match status {
        Queued => "status = 'scheduled', due_at = NULL",
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
    for &(from, word) in TaskStatus::ALL {
        for &(to, _) in TaskStatus::ALL {
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
            // One that was begun is never dropped: it is in error.
            let wanted = if to == Dropped && from != Queued { Error } else { to };
            if from.may_become(wanted) {
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
    // What is asked of it now is another matter.
    let third = host.give(to(), InputMode::Followup, "third", at(6)).await.into_run_id;
    let held = host.start(at(7)).await;
    assert_eq!(held.run_id, third);
    let after = host.read(&id).await;
    assert_eq!((after.status, after.run_id), (Done, second));
    host.finish(&held, Ending::failed("exit 1"), at(8)).await;
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

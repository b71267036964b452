//! Runs that nothing carries on, as somebody's hand in the tables may leave them.

use hillock::model::run::{Ending, RunStatus};
use hillock::store::orphans::{self, Look};

use super::fixture::{agent, at, claim, open, run, scheduled, worker};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    what_is_carried_on_is_left_alone,
    a_run_without_a_command_fails,
    a_run_ends_as_its_last_command_did,
);

async fn what_is_carried_on_is_left_alone(database: Database) {
    let store = open(&database).await;
    let waits = scheduled(&store, &agent()).await;
    assert_eq!(orphans::end(&store, 0, at(100)).await.unwrap(), Look::default());
    assert_eq!(run(&store, &waits).await.status, RunStatus::Scheduled);
}

async fn a_run_without_a_command_fails(database: Database) {
    let store = open(&database).await;
    let lost = scheduled(&store, &agent()).await;
    let kept = scheduled(&store, &agent()).await;
    database.execute(&format!("DELETE FROM commands WHERE run_id = '{lost}'")).await;
    assert_eq!(orphans::end(&store, 0, at(100)).await.unwrap(), Look { ended: 1, after: 0 });
    assert_eq!(orphans::end(&store, 0, at(100)).await.unwrap(), Look::default(), "again");
    let lost = run(&store, &lost).await;
    assert_eq!((lost.status, lost.ended_at), (RunStatus::Failed, Some(at(100))));
    assert!(lost.error.unwrap().starts_with("orphaned"));
    assert_eq!(run(&store, &kept).await.status, RunStatus::Scheduled);
}

async fn a_run_ends_as_its_last_command_did(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled(&store, &agent).await;
    let held = claim(&store, &worker(), &agent, at(10)).await.unwrap();
    claims::start(&store, &held, at(11)).await.unwrap();
    claims::finish(&store, &held, Ending::Completed, at(12)).await.unwrap();
    database
        .execute(&format!("UPDATE runs SET status = 'running', ended_at = NULL WHERE id = '{id}'"))
        .await;
    assert_eq!(orphans::end(&store, 0, at(100)).await.unwrap().ended, 1);
    assert_eq!(run(&store, &id).await.status, RunStatus::Completed);
}

//! Calling runs off, whatever they are doing.

use hillock::model::command::LEASE;
use hillock::model::run::{Ending, RunStatus};
use hillock::model::scope::Scope;
use hillock::store::commands::{Canceling, cancel, release_expired, release_others};

use super::fixture::{agent, at, claim, claimed, open, run, run_id, scheduled, scope, worker};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_waiting_run_ends_at_once,
    a_worker_is_asked_until_it_answers,
    a_called_off_run_never_goes_back_to_the_queue,
    work_done_in_the_meantime_counts,
    a_run_that_is_not_there_cannot_be_called_off,
);

async fn a_waiting_run_ends_at_once(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled(&store, &agent).await;
    let canceling = cancel(&store, &Scope::Global, &id, at(20)).await.unwrap();
    assert_eq!(canceling, Some(Canceling::Ended));
    let ended = run(&store, &id).await;
    assert_eq!((ended.status, ended.ended_at), (RunStatus::Canceled, Some(at(20))));
    assert!(claim(&store, &worker(), &agent, at(21)).await.is_none());
}

async fn a_worker_is_asked_until_it_answers(database: Database) {
    let store = open(&database).await;
    let (worker_id, claim) = claimed(&store, &agent(), at(10)).await;
    let asked = Canceling::Asked { command_id: claim.id.clone(), worker_id };
    for now in [at(11), at(12)] {
        let canceling = cancel(&store, &Scope::Global, &claim.run_id, now).await.unwrap();
        assert_eq!(canceling.as_ref(), Some(&asked));
        let renewed = claims::renew(&store, &claim, now).await.unwrap();
        assert_eq!((renewed.lost, renewed.canceling), (vec![], vec![claim.id.clone()]));
    }
    claims::finish(&store, &claim, Ending::Canceled, at(13)).await.unwrap();
    assert_eq!(run(&store, &claim.run_id).await.status, RunStatus::Canceled);
}

async fn a_called_off_run_never_goes_back_to_the_queue(database: Database) {
    let store = open(&database).await;
    for way in ["expired", "released", "handed back"] {
        let agent = agent();
        let (holder, held) = claimed(&store, &agent, at(10)).await;
        cancel(&store, &Scope::Global, &held.run_id, at(11)).await.unwrap();
        match way {
            "expired" => drop(release_expired(&store, at(10) + LEASE).await.unwrap()),
            "released" => drop(release_others(&store, &holder, &[], at(12)).await.unwrap()),
            _ => drop(claims::hand_back(&store, &held, at(12)).await.unwrap()),
        }
        assert_eq!(run(&store, &held.run_id).await.status, RunStatus::Canceled, "{way}");
        assert!(claim(&store, &worker(), &agent, at(200)).await.is_none(), "{way}");
    }
}

async fn work_done_in_the_meantime_counts(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    cancel(&store, &Scope::Global, &claim.run_id, at(11)).await.unwrap();
    claims::finish(&store, &claim, Ending::Completed, at(12)).await.unwrap();
    assert_eq!(run(&store, &claim.run_id).await.status, RunStatus::Completed);
    let again = cancel(&store, &Scope::Global, &claim.run_id, at(13)).await.unwrap();
    assert_eq!(again, Some(Canceling::Over));
}

async fn a_run_that_is_not_there_cannot_be_called_off(database: Database) {
    let store = open(&database).await;
    let id = scheduled(&store, &agent()).await;
    assert_eq!(cancel(&store, &scope("acme"), &id, at(20)).await.unwrap(), None);
    assert_eq!(run(&store, &id).await.status, RunStatus::Scheduled);
    assert_eq!(cancel(&store, &Scope::Global, &run_id(), at(20)).await.unwrap(), None);
}

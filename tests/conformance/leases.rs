//! Leases: how long a command is a worker's, and what becomes of it when it is lost.

use std::time::Duration;

use hillock::model::command::LEASE;
use hillock::model::run::{Ending, RunStatus};
use hillock::store::commands::{Fence, Renewed, release_expired, release_others, renew};

use super::fixture::{agent, at, claim, claimed, open, run, scheduled, token, tokens, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_lease_lasts_to_the_millisecond,
    starting_and_renewing_prolong_a_lease,
    a_lost_command_is_redone_under_another_token,
    the_third_loss_is_the_last,
    handing_back_uses_no_attempt,
    a_worker_loses_all_but_what_it_kept,
    a_run_tells_of_its_present_attempt,
);

const MOMENT: Duration = Duration::from_millis(1);

async fn a_lease_lasts_to_the_millisecond(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    claimed(&store, &agent, at(10)).await;
    assert_eq!(release_expired(&store, at(10) + LEASE - MOMENT).await.unwrap(), 0);
    assert!(claim(&store, &worker(), &agent, at(10)).await.is_none());
    assert_eq!(release_expired(&store, at(10) + LEASE).await.unwrap(), 1);
    assert!(claim(&store, &worker(), &agent, at(10)).await.is_some());
}

async fn starting_and_renewing_prolong_a_lease(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    claims::start(&store, &claim, at(30)).await.unwrap();
    assert_eq!(release_expired(&store, at(10) + LEASE).await.unwrap(), 0);
    assert_eq!(claims::renew(&store, &claim, at(60)).await.unwrap(), Renewed::default());
    assert_eq!(release_expired(&store, at(60) + LEASE - MOMENT).await.unwrap(), 0);
    assert_eq!(release_expired(&store, at(60) + LEASE).await.unwrap(), 1);
}

async fn a_lost_command_is_redone_under_another_token(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (_, lost) = claimed(&store, &agent, at(10)).await;
    claims::start(&store, &lost, at(10)).await.unwrap();
    release_expired(&store, at(100)).await.unwrap();
    let again = claim(&store, &worker(), &agent, at(100)).await.unwrap();
    assert_eq!((&again.id, &again.run_id), (&lost.id, &lost.run_id));

    let late = claims::finish(&store, &lost, Ending::Completed, at(101)).await.unwrap();
    assert_eq!(late, Fence::Lost);
    let stale = (lost.id, lost.token);
    let held = vec![stale.clone(), (again.id.clone(), again.token.clone())];
    assert_eq!(renew(&store, &again.worker_id, held, at(101)).await.unwrap().lost, [stale]);
    assert_eq!(run(&store, &again.run_id).await.status, RunStatus::Scheduled);
    let failed = Ending::failed("exit status 2");
    claims::finish(&store, &again, failed, at(102)).await.unwrap();
    let run = run(&store, &again.run_id).await;
    assert_eq!((run.status, run.error.as_deref()), (RunStatus::Failed, Some("exit status 2")));
}

async fn the_third_loss_is_the_last(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled(&store, &agent).await;
    for (loss, status) in
        [(1, RunStatus::Scheduled), (2, RunStatus::Scheduled), (3, RunStatus::Failed)]
    {
        let now = at(loss * 100);
        claim(&store, &worker(), &agent, now).await.expect("it is in the queue");
        assert_eq!(release_expired(&store, now + LEASE).await.unwrap(), 1);
        assert_eq!(run(&store, &id).await.status, status, "loss {loss}");
    }
    let error = run(&store, &id).await.error.unwrap();
    assert!(error.contains("max dispatch attempts exceeded"), "{error}");
    assert!(claim(&store, &worker(), &agent, at(1000)).await.is_none());
}

async fn handing_back_uses_no_attempt(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled(&store, &agent).await;
    for turn in 0..5 {
        let claim = claim(&store, &worker(), &agent, at(turn)).await.unwrap();
        claims::start(&store, &claim, at(turn)).await.unwrap();
        let fence = claims::hand_back(&store, &claim, at(turn)).await.unwrap();
        assert_eq!(fence, Fence::Held, "turn {turn}");
    }
    claim(&store, &worker(), &agent, at(10)).await.unwrap();
    release_expired(&store, at(10) + LEASE).await.unwrap();
    assert_eq!(run(&store, &id).await.status, RunStatus::Scheduled);
}

async fn a_worker_loses_all_but_what_it_kept(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    for _ in 0..4 {
        scheduled(&store, &agent).await;
    }
    let (mine, others) = (worker(), worker());
    let agents = [agent];
    let claims = claims::claim(&store, &mine, &agents, tokens(3), u32::MAX, at(10)).await;
    claims::claim(&store, &others, &agents, tokens(1), u32::MAX, at(10)).await;

    let kept = [claims[1].id.clone()];
    assert_eq!(release_others(&store, &mine, &kept, at(11)).await.unwrap(), 2);
    assert_eq!(release_others(&store, &mine, &kept, at(11)).await.unwrap(), 0);
    let held = claims.into_iter().map(|claim| (claim.id, claim.token)).collect();
    assert_eq!(renew(&store, &mine, held, at(12)).await.unwrap().lost.len(), 2);
    let back = claims::claim(&store, &mine, &agents, tokens(9), u32::MAX, at(12)).await;
    assert_eq!(back.len(), 2);
}

async fn a_run_tells_of_its_present_attempt(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (_, first) = claimed(&store, &agent, at(10)).await;
    assert_eq!(run(&store, &first.run_id).await.started_at, None);
    claims::start(&store, &first, at(11)).await.unwrap();
    claims::start(&store, &first, at(12)).await.unwrap();
    let running = run(&store, &first.run_id).await;
    assert_eq!((running.status, running.started_at), (RunStatus::Running, Some(at(11))));

    claims::hand_back(&store, &first, at(13)).await.unwrap();
    assert_eq!(run(&store, &first.run_id).await.started_at, None);
    let second = claim(&store, &worker(), &agent, at(14)).await.unwrap();
    claims::finish(&store, &second, Ending::Completed, at(15)).await.unwrap();
    let ended = run(&store, &first.run_id).await;
    assert_eq!((ended.started_at, ended.ended_at), (Some(at(15)), Some(at(15))));
    assert_eq!(ended.attempt, 1);
    let stale = Held { token: token(), ..second };
    assert_eq!(claims::start(&store, &stale, at(16)).await.unwrap(), Fence::Lost);
}

//! Failed attempts and those that follow them: due times in the store.

use std::time::Duration;

use hillock::model::command::LEASE;
use hillock::model::definition::{Agent, Priority, Retry};
use hillock::model::id::RunId;
use hillock::model::run::{Ending, NewRun, RunStatus};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::Store;
use hillock::store::commands::{Canceling, Fence, cancel, release_expired};

use super::fixture::{agent, at, claim, open, run, scheduled, scheduled_as, tokens, worker};
use crate::harness::claims;
use crate::harness::claims::Held;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_failed_attempt_is_followed_by_another_after_its_wait,
    the_last_failure_is_the_runs,
    an_agent_says_how_long_to_wait,
    a_success_after_a_failure_is_a_success,
    what_waits_for_its_retry_can_be_called_off,
    nothing_follows_what_was_called_off,
    a_lost_worker_uses_no_attempt,
    an_old_attempts_token_changes_nothing,
    no_more_runs_are_out_than_allowed,
    the_most_urgent_goes_first,
);

const SECOND: Duration = Duration::from_secs(1);

fn backoff(max_retries: u32) -> impl FnOnce(NewRun) -> NewRun {
    move |run| NewRun { retry: Retry::Backoff { max_retries, base_delay_ms: 2000 }, ..run }
}

/// An attempt that was begun.
async fn begun(store: &Store, agent: &Agent, now: Time) -> Held {
    let claim = claim(store, &worker(), agent, now).await.unwrap();
    assert_eq!(claims::start(store, &claim, now).await.unwrap(), Fence::Held);
    claim
}

async fn failed(store: &Store, claim: &Held, now: Time) {
    let ending = Ending::failed(format!("attempt {}", claim.attempt));
    assert_eq!(claims::finish(store, claim, ending, now).await.unwrap(), Fence::Held);
}

/// Fails attempt after attempt as soon as each is due, from `now` on; the waits between them.
async fn fail_all(store: &Store, agent: &Agent, id: &RunId, mut now: Time) -> Vec<Duration> {
    let mut waits = vec![];
    loop {
        let claim = begun(store, agent, now).await;
        failed(store, &claim, now).await;
        let Some(due_at) = run(store, id).await.due_at else { return waits };
        waits.push(due_at.since(now));
        now = due_at;
    }
}

async fn a_failed_attempt_is_followed_by_another_after_its_wait(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(1)).await;
    let first = begun(&store, &agent, at(10)).await;
    failed(&store, &first, at(20)).await;

    let waiting = run(&store, &id).await;
    assert_eq!((waiting.status, waiting.attempt), (RunStatus::Scheduled, 1));
    assert_eq!(waiting.error.as_deref(), Some("attempt 1"));
    assert_eq!((waiting.started_at, waiting.ended_at), (None, None));
    let due_at = waiting.due_at.unwrap();
    assert!((1600..=2400).contains(&due_at.since(at(20)).as_millis()), "{due_at}");

    let moment = Duration::from_millis(1);
    assert!(claim(&store, &worker(), &agent, due_at - moment).await.is_none());
    let second = begun(&store, &agent, due_at).await;
    assert_eq!((second.attempt, &second.run_id), (2, &id));
    assert_ne!(second.id, first.id);
    let running = run(&store, &id).await;
    assert_eq!((running.status, running.attempt, running.due_at), (RunStatus::Running, 2, None));
}

async fn the_last_failure_is_the_runs(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(3)).await;
    let waits = fail_all(&store, &agent, &id, at(10)).await;
    assert_eq!(waits.len(), 3);
    for (wait, wanted) in waits.iter().zip([2, 4, 8]) {
        let share = wait.as_secs_f64() / f64::from(wanted);
        assert!((0.799..=1.201).contains(&share), "{waits:?}");
    }
    let ended = run(&store, &id).await;
    assert_eq!((ended.status, ended.attempt), (RunStatus::Failed, 4));
    assert_eq!(ended.error.as_deref(), Some("attempt 4"));
    assert!(claim(&store, &worker(), &agent, at(10_000)).await.is_none());
}

async fn an_agent_says_how_long_to_wait(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(1)).await;
    let claim = begun(&store, &agent, at(10)).await;
    let ending = Ending::Failed { error: "busy".to_owned(), retry_after_ms: Some(90_000) };
    claims::finish(&store, &claim, ending, at(20)).await.unwrap();
    assert_eq!(run(&store, &id).await.due_at, Some(at(110)));

    // A worker's word is no reason to wait for ever.
    let agent = self::agent();
    let id = scheduled_as(&store, &agent, backoff(1)).await;
    let claim = begun(&store, &agent, at(10)).await;
    let ending = Ending::Failed { error: "busy".to_owned(), retry_after_ms: Some(u64::MAX) };
    claims::finish(&store, &claim, ending, at(20)).await.unwrap();
    assert_eq!(run(&store, &id).await.due_at, Some(at(20 + 24 * 60 * 60)));

    // Who may not try again does not because of it.
    let once = self::agent();
    let id = scheduled(&store, &once).await;
    let claim = begun(&store, &once, at(10)).await;
    let ending = Ending::Failed { error: "busy".to_owned(), retry_after_ms: Some(90_000) };
    claims::finish(&store, &claim, ending, at(20)).await.unwrap();
    assert_eq!(run(&store, &id).await.status, RunStatus::Failed);
}

async fn a_success_after_a_failure_is_a_success(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(3)).await;
    let first = begun(&store, &agent, at(10)).await;
    failed(&store, &first, at(10)).await;
    let second = begun(&store, &agent, at(13)).await;
    claims::finish(&store, &second, Ending::Completed, at(14)).await.unwrap();
    let ended = run(&store, &id).await;
    assert_eq!((ended.status, ended.error, ended.due_at), (RunStatus::Completed, None, None));
    assert!(claim(&store, &worker(), &agent, at(10_000)).await.is_none());
}

async fn what_waits_for_its_retry_can_be_called_off(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(3)).await;
    let first = begun(&store, &agent, at(10)).await;
    failed(&store, &first, at(10)).await;
    let canceling = cancel(&store, &Scope::Global, &id, at(11)).await.unwrap();
    assert_eq!(canceling, Some(Canceling::Ended));
    let ended = run(&store, &id).await;
    assert_eq!((ended.status, ended.due_at), (RunStatus::Canceled, None));
    assert!(claim(&store, &worker(), &agent, at(10_000)).await.is_none());
}

async fn nothing_follows_what_was_called_off(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(3)).await;
    let first = begun(&store, &agent, at(10)).await;
    cancel(&store, &Scope::Global, &id, at(11)).await.unwrap();
    failed(&store, &first, at(12)).await;
    assert_eq!(run(&store, &id).await.status, RunStatus::Failed);
    assert!(claim(&store, &worker(), &agent, at(10_000)).await.is_none());
}

async fn a_lost_worker_uses_no_attempt(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(1)).await;
    begun(&store, &agent, at(10)).await;
    release_expired(&store, at(10) + LEASE).await.unwrap();
    let again = begun(&store, &agent, at(100)).await;
    assert_eq!(again.attempt, 1);
    failed(&store, &again, at(101)).await;
    assert_eq!(run(&store, &id).await.status, RunStatus::Scheduled);
}

async fn an_old_attempts_token_changes_nothing(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled_as(&store, &agent, backoff(1)).await;
    let first = begun(&store, &agent, at(10)).await;
    failed(&store, &first, at(10)).await;
    let fence = claims::finish(&store, &first, Ending::Completed, at(11)).await.unwrap();
    assert_eq!(fence, Fence::Lost);
    let fence = claims::write(&store, &first, 1, vec![], at(11)).await.unwrap();
    assert_eq!(fence, Fence::Lost);
    // Said again, a failure makes no second retry.
    failed(&store, &first, at(12)).await;
    let due_at = run(&store, &id).await.due_at.unwrap();
    assert!(due_at <= at(10) + 3 * SECOND, "{due_at}");
    begun(&store, &agent, due_at).await;
    assert!(claim(&store, &worker(), &agent, at(10_000)).await.is_none());
}

async fn no_more_runs_are_out_than_allowed(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    for _ in 0..5 {
        scheduled(&store, &agent).await;
    }
    let agents = [agent];
    let take =
        async |most| claims::claim(&store, &worker(), &agents, tokens(4), most, at(10)).await;
    let first = take(3).await;
    assert_eq!(first.len(), 3);
    assert!(take(3).await.is_empty());
    claims::finish(&store, &first[0], Ending::Completed, at(11)).await.unwrap();
    assert_eq!(take(3).await.len(), 1);
    assert_eq!(take(4).await.len(), 1, "nobody was left behind");
}

async fn the_most_urgent_goes_first(database: Database) {
    use Priority::{Critical, High, Low, Normal};
    let store = open(&database).await;
    let agent = agent();
    for priority in [Low, Normal, Critical, High, Normal, Critical] {
        scheduled_as(&store, &agent, |run| NewRun { priority, ..run }).await;
    }
    let mut order = vec![];
    while let Some(claim) = claim(&store, &worker(), &agent, at(10)).await {
        order.push(run(&store, &claim.run_id).await.made.priority);
    }
    assert_eq!(order, [Critical, Critical, High, Normal, Normal, Low]);
}

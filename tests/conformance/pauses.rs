//! Pauses, at times of the tests' choosing: what is claimed in one, and when what waits expires.

use std::time::Duration;

use hillock::controllers::{put_right, recover};
use hillock::model::definition::Agent;
use hillock::model::id::RunId;
use hillock::model::run::{Ending, NewRun, RunStatus, SessionRef};
use hillock::model::scope::{Reach, Scope};
use hillock::model::time::Time;
use hillock::store::Store;
use hillock::store::commands::{self, Claimant, pause, pauses, resume};
use hillock::store::queues::waited_on;

use super::fixture::{agent, at, claim, open, run, scheduled, scheduled_as, scope, tokens, worker};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_pause_does_not_count_as_waiting,
    what_says_until_when_expires_all_the_same,
    what_came_or_came_back_in_a_pause_waits_from_its_end,
    what_is_due_later_waits_from_then,
    of_two_pauses_each_counts_once,
    what_was_behind_another_gets_a_whole_wait,
    a_clock_that_goes_back_shortens_nothing,
    a_pause_by_a_clock_ahead_began_now,
    no_claim_is_behind_a_pause,
);

const MOMENT: Duration = Duration::from_millis(1);

fn own() -> Reach {
    Reach::One(Scope::Global)
}

async fn paused(store: &Store, reach: Reach, secs: i64) {
    pause(store, reach, None, at(secs)).await.unwrap();
}

async fn resumed(store: &Store, reach: Reach, secs: i64) {
    resume(store, reach, at(secs)).await.unwrap();
}

/// A run that waits so long for this agent, from `at(3)` unless it is changed.
async fn patient(store: &Store, agent: &Agent, secs: u64, change: fn(NewRun) -> NewRun) -> RunId {
    scheduled_as(store, agent, |mut run| {
        run.terms.queue_timeout_ms = Some(secs * 1000);
        change(run)
    })
    .await
}

/// The run expires at this instant and not before.
async fn expires(store: &Store, id: &RunId, secs: i64) {
    recover(store, at(secs) - MOMENT, true).await.unwrap();
    assert_eq!(run(store, id).await.status, RunStatus::Scheduled, "before {secs}");
    recover(store, at(secs), true).await.unwrap();
    assert_eq!(run(store, id).await.status, RunStatus::Failed, "at {secs}");
}

async fn a_pause_does_not_count_as_waiting(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let waits = patient(&store, &agent, 5, |run| run).await;
    paused(&store, own(), 5).await;
    paused(&store, own(), 50).await;
    assert!(claim(&store, &worker(), &agent, at(6)).await.is_none());
    assert_eq!(recover(&store, at(100), true).await.unwrap().expired, 0);
    assert_eq!(run(&store, &waits).await.status, RunStatus::Scheduled);
    // Another workspace has nothing to do with it.
    let elsewhere = Agent { scope: scope("acme"), name: agent.name.clone() };
    patient(&store, &elsewhere, 5, |run| run).await;
    assert_eq!(recover(&store, at(100), true).await.unwrap().expired, 1);
    resumed(&store, own(), 105).await;
    assert!(pauses(&store).await.unwrap().is_empty());
    resumed(&store, own(), 106).await;
    expires(&store, &waits, 108).await;

    let late = patient(&store, &agent, 200, |run| run).await;
    paused(&store, own(), 110).await;
    resumed(&store, own(), 300).await;
    let held = claim(&store, &worker(), &agent, at(301)).await.unwrap();
    assert_eq!(held.run_id, late);
}

async fn what_says_until_when_expires_all_the_same(database: Database) {
    let store = open(&database).await;
    let until = |mut run: NewRun| {
        run.terms.expires_at = Some(at(8));
        run
    };
    let waits = patient(&store, &agent(), 5, until).await;
    paused(&store, Reach::All, 5).await;
    expires(&store, &waits, 8).await;
}

async fn what_came_or_came_back_in_a_pause_waits_from_its_end(database: Database) {
    let store = open(&database).await;
    let (agent, worker) = (agent(), worker());
    let back = patient(&store, &agent, 5, |run| run).await;
    let held = claim(&store, &worker, &agent, at(4)).await.unwrap();
    paused(&store, own(), 5).await;
    let came = patient(&store, &agent, 5, |mut run| {
        run.created_at = at(50);
        run
    })
    .await;
    claims::hand_back(&store, &held, at(60)).await.unwrap();
    assert!(claim(&store, &worker, &agent, at(61)).await.is_none());
    resumed(&store, own(), 105).await;
    recover(&store, at(110) - MOMENT, true).await.unwrap();
    assert_eq!(run(&store, &back).await.status, RunStatus::Scheduled);
    expires(&store, &came, 110).await;
    assert_eq!(run(&store, &back).await.status, RunStatus::Failed);
}

async fn what_is_due_later_waits_from_then(database: Database) {
    let store = open(&database).await;
    let due = |mut run: NewRun| {
        run.terms.scheduled_at = Some(at(50));
        run
    };
    let within = patient(&store, &agent(), 5, due).await;
    paused(&store, own(), 5).await;
    resumed(&store, own(), 40).await;
    paused(&store, own(), 45).await;
    resumed(&store, own(), 60).await;
    expires(&store, &within, 65).await;
    let behind = patient(&store, &agent(), 5, |mut run| {
        run.terms.scheduled_at = Some(at(90));
        run
    })
    .await;
    paused(&store, own(), 70).await;
    resumed(&store, own(), 80).await;
    expires(&store, &behind, 95).await;
}

/// Whichever of the two begins and ends first, all the time that one of them was in force is put
/// off, and no more.
async fn of_two_pauses_each_counts_once(database: Database) {
    let store = open(&database).await;
    for (i, [first, second, ends_first]) in [
        [Reach::All, own(), Reach::All],
        [Reach::All, own(), own()],
        [own(), Reach::All, Reach::All],
        [own(), Reach::All, own()],
    ]
    .into_iter()
    .enumerate()
    {
        let base = 1000 * i64::try_from(i).unwrap();
        let waits = scheduled_as(&store, &agent(), |mut run| {
            run.terms.queue_timeout_ms = Some(100_000);
            run.created_at = at(base);
            run
        })
        .await;
        paused(&store, first, base + 10).await;
        paused(&store, second, base + 20).await;
        let ends_last = ends_first.pick(Reach::All, own());
        resumed(&store, ends_first, base + 30).await;
        assert_eq!(recover(&store, at(base + 500), true).await.unwrap().expired, 0);
        resumed(&store, ends_last, base + 40).await;
        expires(&store, &waits, base + 130).await;
    }
}

async fn what_was_behind_another_gets_a_whole_wait(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let in_session = |mut run: NewRun| {
        run.terms.session = Some(SessionRef::of(&Scope::Global, "talk".parse().unwrap()));
        run
    };
    patient(&store, &agent, 5, in_session).await;
    let behind = patient(&store, &agent, 5, in_session).await;
    let held = claim(&store, &worker(), &agent, at(4)).await.unwrap();
    paused(&store, own(), 20).await;
    claims::start(&store, &held, at(21)).await.unwrap();
    claims::finish(&store, &held, Ending::Completed, at(22)).await.unwrap();
    assert_eq!(recover(&store, at(100), false).await.unwrap().expired, 0);
    resumed(&store, own(), 100).await;
    expires(&store, &behind, 105).await;
}

async fn a_clock_that_goes_back_shortens_nothing(database: Database) {
    let store = open(&database).await;
    let waits = patient(&store, &agent(), 2000, |run| run).await;
    paused(&store, own(), 1000).await;
    resumed(&store, own(), 500).await;
    expires(&store, &waits, 2003).await;
}

async fn a_pause_by_a_clock_ahead_began_now(database: Database) {
    let store = open(&database).await;
    let waits = patient(&store, &agent(), 5, |run| run).await;
    paused(&store, own(), 4000).await;
    let right = put_right(&store, at(5)).await.unwrap();
    assert_eq!(right.get("pauses"), Some(&1), "{right:?}");
    resumed(&store, own(), 105).await;
    expires(&store, &waits, 108).await;
}

/// Who has looked before the pause claims nothing after it.
async fn no_claim_is_behind_a_pause(database: Database) {
    let store = open(&database).await;
    scheduled(&store, &agent()).await;
    let lots: Vec<_> = waited_on(&store).await.unwrap().into_iter().map(claims::lot).collect();
    assert_eq!(lots.len(), 1);
    let seat =
        Claimant { worker_id: worker(), lots: vec![0], capacity: 1, active: 0, degraded: false };
    let claim = async |now: Time| {
        let seats = vec![seat.clone()];
        commands::claim(&store, seats, &lots, tokens(1), u32::MAX, now).await.unwrap().len()
    };
    for reach in [own(), Reach::All] {
        paused(&store, reach.clone(), 5).await;
        assert!(waited_on(&store).await.unwrap().is_empty());
        assert_eq!(claim(at(6)).await, 0);
        resumed(&store, reach, 7).await;
    }
    paused(&store, Reach::One(scope("acme")), 8).await;
    assert_eq!(claim(at(9)).await, 1);
}

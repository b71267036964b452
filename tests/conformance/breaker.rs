//! The breaker of an execution class, step by step: what it counts is in the store, so that every
//! replica sees it open and close.

use std::time::Duration;

use hillock::model::definition::Agent;
use hillock::model::queue::{Breaker, Queue};
use hillock::model::run::{Ending, Terms};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::classes::{self, Class};
use hillock::store::commands::ClaimableQueue;
use hillock::store::{Store, commands::Fence};

use super::fixture::{agent, at, open, scheduled, scheduled_as, token, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_class_that_fails_is_left_alone_then_probed,
    cancels_say_nothing_of_a_class,
    another_class_of_the_agent_goes_on,
    two_replicas_see_the_same,
);

const BREAKER: Breaker = Breaker { failures: 5, cooldown: Duration::from_secs(60) };
const MOMENT: Duration = Duration::from_millis(1);

async fn claim(store: &Store, agent: &Agent, now: Time) -> Option<Held> {
    let lot = |queue: Queue| ClaimableQueue { breaker: BREAKER, ..claims::lot(queue) };
    let agents = std::slice::from_ref(agent);
    claims::claim_of(store, &worker(), agents, vec![token()], u32::MAX, now, lot).await.pop()
}

async fn end(store: &Store, claim: &Held, ending: Ending, now: Time) {
    let fence = claims::finish(store, claim, ending, now).await.unwrap();
    assert_eq!(fence, Fence::Held);
}

/// Claims and fails one command after the other.
async fn fail(store: &Store, agent: &Agent, times: u32, now: Time) {
    for n in 1..=times {
        let claim = claim(store, agent, now).await.unwrap_or_else(|| panic!("number {n}"));
        end(store, &claim, Ending::failed("exit status 1"), now).await;
    }
}

async fn class(store: &Store, agent: &Agent) -> Class {
    let classes = classes::list(store, &Scope::Global, 100).await.unwrap();
    classes.into_iter().find(|class| class.agent == agent.name).unwrap()
}

async fn fill(store: &Store, agent: &Agent, count: usize) {
    for _ in 0..count {
        scheduled(store, agent).await;
    }
}

async fn a_class_that_fails_is_left_alone_then_probed(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    fill(&store, &agent, 20).await;
    fail(&store, &agent, 4, at(10)).await;
    let success = claim(&store, &agent, at(10)).await.expect("four are not five");
    end(&store, &success, Ending::Completed, at(10)).await;
    assert_eq!(class(&store, &agent).await.failures, 0, "a success closes the row of failures");

    fail(&store, &agent, 5, at(20)).await;
    let degraded = class(&store, &agent).await;
    assert_eq!((degraded.failures, degraded.failed_at), (5, Some(at(20))));
    assert!(claim(&store, &agent, at(20)).await.is_none());
    assert!(claim(&store, &agent, at(80) - MOMENT).await.is_none());

    let probe = claim(&store, &agent, at(80)).await.expect("a probe");
    assert!(claim(&store, &agent, at(80)).await.is_none(), "exactly one");
    assert!(claim(&store, &agent, at(800)).await.is_none(), "as long as it is out");
    end(&store, &probe, Ending::failed("again"), at(90)).await;
    assert!(claim(&store, &agent, at(150) - MOMENT).await.is_none(), "another cool-down");

    let probe = claim(&store, &agent, at(150)).await.expect("another probe");
    assert!(claim(&store, &agent, at(150)).await.is_none());
    end(&store, &probe, Ending::Completed, at(160)).await;
    for n in 1..=5 {
        assert!(claim(&store, &agent, at(160)).await.is_some(), "open again: number {n}");
    }
}

async fn cancels_say_nothing_of_a_class(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    fill(&store, &agent, 12).await;
    fail(&store, &agent, 4, at(10)).await;
    for _ in 0..3 {
        let canceled = claim(&store, &agent, at(10)).await.unwrap();
        end(&store, &canceled, Ending::Canceled, at(10)).await;
    }
    assert_eq!(class(&store, &agent).await.failures, 4, "neither for it nor against it");
    fail(&store, &agent, 1, at(10)).await;
    assert!(claim(&store, &agent, at(10)).await.is_none());

    // A canceled probe leaves the class as it is: the next one is due at once.
    let probe = claim(&store, &agent, at(70)).await.unwrap();
    end(&store, &probe, Ending::Canceled, at(70)).await;
    assert!(claim(&store, &agent, at(70)).await.is_some());
    assert!(claim(&store, &agent, at(70)).await.is_none());
}

async fn another_class_of_the_agent_goes_on(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    fill(&store, &agent, 6).await;
    fail(&store, &agent, 5, at(10)).await;
    let in_lane = scheduled_as(&store, &agent, |mut run| {
        run.terms = Terms { lane: Some("slow".parse().unwrap()), ..Terms::default() };
        run
    })
    .await;
    assert_eq!(claim(&store, &agent, at(10)).await.unwrap().run_id, in_lane);
    assert!(claim(&store, &agent, at(10)).await.is_none());
}

async fn two_replicas_see_the_same(database: Database) {
    let (one, other) = (open(&database).await, open(&database).await);
    let agent = agent();
    fill(&one, &agent, 10).await;
    fail(&one, &agent, 3, at(10)).await;
    fail(&other, &agent, 2, at(10)).await;
    assert!(claim(&one, &agent, at(10)).await.is_none());
    assert!(claim(&other, &agent, at(10)).await.is_none());
    let (a, b) = tokio::join!(claim(&one, &agent, at(70)), claim(&other, &agent, at(70)));
    assert!(a.is_some() != b.is_some(), "exactly one probe");
    let (store, probe) = if let Some(probe) = a { (&other, probe) } else { (&one, b.unwrap()) };
    end(store, &probe, Ending::Completed, at(71)).await;
    assert!(claim(&one, &agent, at(71)).await.is_some());
    assert!(claim(&other, &agent, at(71)).await.is_some());
}

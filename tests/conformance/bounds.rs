//! How many commands of a class, a lane and a workspace are out at once.

use hillock::model::definition::Agent;
use hillock::model::queue::Queue;
use hillock::model::run::{Ending, Terms};
use hillock::model::scope::Scope;
use hillock::store::commands::{self, ClaimableQueue};
use hillock::store::{Store, classes};

use super::fixture::{agent, at, open, scheduled, scheduled_as, scope, tokens, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_class_has_its_concurrency,
    a_lane_has_its_limit_over_all_its_classes,
    a_workspace_has_its_limit_and_its_own,
    what_waits_is_counted_up_to_a_bound,
    the_bonus_of_a_workspace_counts,
);

/// As many as there are to be had.
async fn claim_all(
    store: &Store,
    agents: &[Agent],
    lot: impl Fn(Queue) -> ClaimableQueue,
) -> Vec<Held> {
    claims::claim_of(store, &worker(), agents, tokens(20), u32::MAX, at(10), lot).await
}

async fn finish(store: &Store, claim: &Held) {
    claims::finish(store, claim, Ending::Completed, at(11)).await.unwrap();
}

async fn in_lane(store: &Store, agent: &Agent, lane: &str, tool: Option<&str>) {
    scheduled_as(store, agent, |mut run| {
        run.terms = Terms { lane: Some(lane.parse().unwrap()), ..Terms::default() };
        run.terms.routing.tools = tool.map(str::to_owned).into_iter().collect();
        run
    })
    .await;
}

async fn a_class_has_its_concurrency(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    for _ in 0..5 {
        scheduled(&store, &agent).await;
    }
    let lot = |queue| ClaimableQueue { class_max: Some(2), ..claims::lot(queue) };
    let agents = [agent];
    let out = claim_all(&store, &agents, lot).await;
    assert_eq!(out.len(), 2);
    assert!(claim_all(&store, &agents, lot).await.is_empty());
    finish(&store, &out[0]).await;
    assert_eq!(claim_all(&store, &agents, lot).await.len(), 1);
    let class = &classes::list(&store, &Scope::Global, 10).await.unwrap()[0];
    assert_eq!((class.running, class.stopping, class.pending, class.blocked), (2, 0, 2, 0));
    commands::cancel(&store, &Scope::Global, &out[1].run_id, at(12)).await.unwrap();
    let class = &classes::list(&store, &Scope::Global, 10).await.unwrap()[0];
    assert_eq!((class.running, class.stopping), (1, 1));
}

async fn a_lane_has_its_limit_over_all_its_classes(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    for tool in [None, Some("cargo"), None] {
        in_lane(&store, &agent, "slow", tool).await;
    }
    in_lane(&store, &agent, "fast", None).await;
    let lot = |queue: Queue| {
        let slow = queue.lane.as_ref().is_some_and(|lane| lane.as_str() == "slow");
        ClaimableQueue { lane_max: slow.then_some(1), ..claims::lot(queue) }
    };
    let agents = [agent];
    let out = claim_all(&store, &agents, lot).await;
    assert_eq!(out.len(), 2, "one of the slow lane, one of the fast");
    finish(&store, &out[0]).await;
    assert_eq!(claim_all(&store, &agents, lot).await.len(), 1);
}

async fn a_workspace_has_its_limit_and_its_own(database: Database) {
    let store = open(&database).await;
    let name = agent().name;
    let agents = ["acme", "umbrella"].map(|of| Agent { scope: scope(of), name: name.clone() });
    for agent in &agents {
        for _ in 0..3 {
            scheduled(&store, agent).await;
        }
    }
    let lot = |queue: Queue| {
        let acme = queue.scope == scope("acme");
        ClaimableQueue { workspace_max: acme.then_some(1), ..claims::lot(queue) }
    };
    let out = claim_all(&store, &agents, lot).await;
    let of = |workspace: &str| out.iter().filter(|one| one.scope == scope(workspace)).count();
    assert_eq!((of("acme"), of("umbrella")), (1, 3));
}

async fn what_waits_is_counted_up_to_a_bound(database: Database) {
    let store = open(&database).await;
    let name = agent().name;
    let agents = ["acme", "umbrella"].map(|of| Agent { scope: scope(of), name: name.clone() });
    for agent in &agents {
        for _ in 0..4 {
            scheduled(&store, agent).await;
        }
    }
    let out = claim_all(&store, &agents[..1], claims::lot).await;
    assert_eq!(out.len(), 4);
    let waiting = async |of: Option<&str>, max| {
        let scope = of.map(scope);
        commands::waiting(&store, scope.as_ref(), max).await.unwrap()
    };
    assert_eq!(waiting(Some("acme"), 10).await, 0, "what is out does not wait");
    assert_eq!(waiting(Some("umbrella"), 10).await, 4);
    assert_eq!(waiting(Some("umbrella"), 3).await, 3);
    assert_eq!(waiting(None, 10).await, 4);
    assert_eq!(waiting(None, 2).await, 2);
}

async fn the_bonus_of_a_workspace_counts(database: Database) {
    let store = open(&database).await;
    let name = agent().name;
    let agents = ["acme", "umbrella"].map(|of| Agent { scope: scope(of), name: name.clone() });
    for agent in &agents {
        scheduled(&store, agent).await;
    }
    let lot = |queue: Queue| {
        let bonus = i64::from(queue.scope == scope("umbrella"));
        ClaimableQueue { bonus, ..claims::lot(queue) }
    };
    let first = claims::claim_of(&store, &worker(), &agents, tokens(1), 9, at(10), lot).await;
    assert_eq!(first[0].scope, scope("umbrella"), "though the other is older");
}

//! Claiming straight from the store, as the dispatch does for workers that serve these agents and
//! offer nothing.

use hillock::model::command::{Charge, Claim, Token};
use hillock::model::definition::Agent;
use hillock::model::id::{CommandId, RunId, WorkerId};
use hillock::model::name::Name;
use hillock::model::queue::{Breaker, Queue};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::{self, Lot, Seat};
use hillock::store::{Store, queues};

/// An attempt of a run in a worker's hands.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: CommandId,
    pub(crate) token: Token,
    pub(crate) run_id: RunId,
    pub(crate) scope: Scope,
    pub(crate) agent: Name,
    pub(crate) prompt: String,
    pub(crate) attempt: u32,
}

impl From<Claim> for Held {
    fn from(claim: Claim) -> Self {
        let Charge::Run(attempt) = claim.charge else { panic!("a word, not a run: {claim:?}") };
        Self {
            id: claim.id,
            token: claim.token,
            run_id: attempt.run_id,
            scope: attempt.scope,
            agent: attempt.agent,
            prompt: attempt.prompt,
            attempt: attempt.attempt,
        }
    }
}

/// A lot without limits.
pub(crate) fn lot(queue: Queue) -> Lot {
    let breaker = Breaker::default();
    Lot { queue, class_max: None, lane_max: None, workspace_max: None, bonus: 0, breaker }
}

/// The best commands for a worker of these agents, as many as there are tokens.
pub(crate) async fn claim(
    store: &Store,
    worker: &WorkerId,
    agents: &[Agent],
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
) -> Vec<Held> {
    claim_of(store, worker, agents, tokens, active_max, now, lot).await
}

/// The same within limits.
pub(crate) async fn claim_of(
    store: &Store,
    worker: &WorkerId,
    agents: &[Agent],
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
    lot: impl Fn(Queue) -> Lot,
) -> Vec<Held> {
    let serves = |queue: &Queue| {
        agents.iter().any(|agent| agent.scope == queue.scope && agent.name == queue.agent)
    };
    let queues = queues::waited_on(store).await.unwrap().into_iter();
    let lots: Vec<Lot> = queues.filter(serves).map(lot).collect();
    let seat = Seat {
        worker_id: worker.clone(),
        lots: (0..lots.len()).collect(),
        capacity: u32::try_from(tokens.len()).unwrap(),
        active: 0,
    };
    let claims = commands::claim(store, vec![seat], &lots, tokens, active_max, now).await.unwrap();
    claims.into_iter().map(Held::from).collect()
}

//! Claiming straight from the store, as the dispatch does for workers that serve these agents and
//! offer nothing.

use hillock::model::command::{Charge, Claim, Hold, Token};
use hillock::model::definition::Agent;
use hillock::model::id::{CommandId, RunId, WorkerId};
use hillock::model::name::Name;
use hillock::model::queue::{Breaker, Queue};
use hillock::model::run::{Ending, LogLine, RunEvent, Terms};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::{self, ClaimableQueue, Claimant, Fence, Renewed};
use hillock::store::{Store, StoreError, logs, queues, run_events};

/// An attempt of a run in a worker's hands.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) worker_id: WorkerId,
    pub(crate) id: CommandId,
    pub(crate) token: Token,
    pub(crate) run_id: RunId,
    pub(crate) scope: Scope,
    pub(crate) agent: Name,
    pub(crate) prompt: String,
    pub(crate) attempt: u32,
    pub(crate) terms: Terms,
}

impl From<Claim> for Held {
    fn from(claim: Claim) -> Self {
        let Charge::Run(attempt) = claim.charge else { panic!("a word, not a run: {claim:?}") };
        Self {
            worker_id: claim.worker_id,
            id: claim.id,
            token: claim.token,
            run_id: attempt.run_id,
            scope: attempt.scope,
            agent: attempt.agent,
            prompt: attempt.prompt,
            attempt: attempt.attempt,
            terms: attempt.terms,
        }
    }
}

impl Held {
    /// What its worker shows.
    pub(crate) fn hold(&self) -> Hold {
        Hold {
            worker_id: self.worker_id.clone(),
            command_id: self.id.clone(),
            token: self.token.clone(),
        }
    }
}

type Said = Result<Fence, StoreError>;

/// Its worker says that it has it.
pub(crate) async fn acknowledge(store: &Store, held: &Held, now: Time) -> Said {
    commands::acknowledge(store, &held.hold(), now).await
}

/// Its worker says that it has it, and begins.
pub(crate) async fn start(store: &Store, held: &Held, now: Time) -> Said {
    acknowledge(store, held, now).await?;
    commands::start(store, &held.hold(), now).await
}

/// Its worker says that it has it, and how it ended.
pub(crate) async fn finish(store: &Store, held: &Held, ending: Ending, now: Time) -> Said {
    acknowledge(store, held, now).await?;
    commands::finish(store, &held.hold(), ending, now).await
}

/// Its worker gives it back.
pub(crate) async fn hand_back(store: &Store, held: &Held, now: Time) -> Said {
    commands::hand_back(store, &held.hold(), now).await
}

/// Its worker says that it has it still.
pub(crate) async fn renew(store: &Store, held: &Held, now: Time) -> Result<Renewed, StoreError> {
    let named = vec![(held.id.clone(), held.token.clone())];
    commands::renew(store, &held.worker_id, named, now).await
}

/// Its worker says that it has it, and what its program wrote.
pub(crate) async fn write(
    store: &Store,
    held: &Held,
    first: u64,
    lines: Vec<LogLine>,
    now: Time,
) -> Said {
    acknowledge(store, held, now).await?;
    logs::append(store, &held.hold(), first, lines, now).await
}

/// Its worker says that it has it, and what its program told.
pub(crate) async fn tell(
    store: &Store,
    held: &Held,
    first: u64,
    events: Vec<RunEvent>,
    now: Time,
) -> Said {
    acknowledge(store, held, now).await?;
    run_events::append(store, &held.hold(), first, events, now).await
}

/// A lot without limits.
pub(crate) fn lot(queue: Queue) -> ClaimableQueue {
    let breaker = Breaker::default();
    ClaimableQueue {
        queue,
        class_max: None,
        lane_max: None,
        workspace_max: None,
        bonus: 0,
        breaker,
    }
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
    lot: impl Fn(Queue) -> ClaimableQueue,
) -> Vec<Held> {
    let serves = |queue: &Queue| {
        agents.iter().any(|agent| agent.scope == queue.scope && agent.name == queue.agent)
    };
    let queues = queues::waited_on(store).await.unwrap().into_iter();
    let lots: Vec<ClaimableQueue> = queues.filter(serves).map(lot).collect();
    let seat = Claimant {
        worker_id: worker.clone(),
        lots: (0..lots.len()).collect(),
        capacity: u32::try_from(tokens.len()).unwrap(),
        active: 0,
        degraded: false,
    };
    let claims = commands::claim(store, vec![seat], &lots, tokens, active_max, now).await.unwrap();
    claims.into_iter().map(Held::from).collect()
}

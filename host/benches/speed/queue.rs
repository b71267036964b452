//! A claim, by how many commands are queued.

use std::collections::HashSet;
use std::time::Instant;

use hillock::clock::Clock;
use hillock::model::command::{Charge, Claim, Hold, Token};
use hillock::model::id::RunId;
use hillock::model::queue::{Breaker, Queue};
use hillock::model::routing::Routing;
use hillock::model::run::Ending;
use hillock::model::scope::Scope;
use hillock::store::commands::{self, ClaimableQueue, Claimant};
use hillock::store::{Store, queues};

use crate::place::Place;
use crate::spread;

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
/// The commands are those of so many agents, each at all four priorities.
const AGENTS: u32 = 8;
const ROUNDS: usize = 60;
const CLAIMANTS: usize = 16;
/// How many commands each of the claimants takes, one after the other.
const EACH: usize = 5;

pub(crate) async fn measure() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = |name: &str| Place::Sqlite(folder.path().join(name).display().to_string());
    let few = Queued::fill(file("few.db"), FEW).await;
    let many = Queued::fill(file("many.db"), MANY).await;
    compare("SQLite", &few, &many).await;
    let Ok(server) = std::env::var("HILLOCK_TEST_POSTGRES") else {
        return println!("PostgreSQL: not measured, HILLOCK_TEST_POSTGRES is not set");
    };
    let few = Queued::fill(Place::postgres(&server, "hillock_queue_few").await, FEW).await;
    let many = Queued::fill(Place::postgres(&server, "hillock_queue_many").await, MANY).await;
    compare("PostgreSQL, 1 ms away, never analyzed", &few, &many).await;
    for queued in [&few, &many] {
        queued.place.execute("VACUUM ANALYZE".to_owned()).await;
    }
    compare("PostgreSQL, 1 ms away", &few, &many).await;
}

/// In turn, so that a machine that changes its speed changes it for both.
async fn compare(title: &str, few: &Queued, many: &Queued) {
    let (mut ratios, mut with_few, mut with_many) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS + 5 {
        let (one, other) = (few.claim().await, many.claim().await);
        // The first ones warm up.
        if round >= 5 {
            ratios.push(other / one);
            with_few.push(one);
            with_many.push(other);
        }
    }
    println!("{title}: a claim with {FEW} queued: {} ms", spread(with_few));
    println!("{title}: a claim with {MANY} queued: {} ms", spread(with_many));
    println!("{title}: the one with {MANY} takes {} of the other (at most 2)", spread(ratios));
    let (mut ratios, mut rates) = (vec![], vec![]);
    for _ in 0..3 {
        let (one, other) = (few.share().await, many.share().await);
        ratios.push(other / one);
        rates.push(other);
    }
    println!("{title}: {CLAIMANTS} claimants on {MANY}: {} ms a claim", spread(rates));
    println!("{title}: {CLAIMANTS} claimants: {} of that with {FEW} (at most 2)", spread(ratios));
}

struct Queued {
    place: Place,
    store: Store,
}

impl Queued {
    async fn fill(place: Place, count: u32) -> Self {
        let store = Store::open(&place.url()).await.expect("a store");
        let queue = |n: u32| {
            let agent = format!("agent-{n}").parse().expect("a name");
            Queue::new(Scope::Global, agent, None, None, Routing::default())
        };
        for queue in (0..AGENTS).map(queue) {
            let Queue { id, class_id, agent, .. } = queue;
            place
                .execute(format!(
                    "INSERT INTO queues (id, class_id, workspace_id, agent, routing) \
                     VALUES ('{id}', '{class_id}', '', '{agent}', '{{}}'); \
                     INSERT INTO classes (id, workspace_id, agent) VALUES ('{class_id}', '', '{agent}')"
                ))
                .await;
        }
        let digits = match place {
            Place::Sqlite(_) => "printf('%032d', i)",
            Place::Postgres { .. } => "lpad(i::text, 32, '0')",
        };
        let now = Clock.now().as_millis();
        place
            .execute(format!(
                "INSERT INTO runs (id, workspace_id, owner_kind, owner_id, owner_name, agent, prompt,
                                   untrusted_content, priority, retry, depth, causes, stages, status,
                                   attempt, created_at)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT 'run_' || {digits}, '', 'trigger', 'trg_' || {digits}, 'all',
                        'agent-' || (i % {AGENTS}), 'Look after it.', 'fenced', 'normal',
                        '{{\"mode\":\"none\"}}', 0, '[]', '{{}}', 'scheduled', 0, {now}
                   FROM n;
                 INSERT INTO commands (id, type, workspace_id, run_id, queue, class_id, state, attempt,
                                       dispatch_attempts, priority, on_lost, expires_at, log_lines,
                                       events, created_at)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT 'cmd_' || {digits}, 'run', '', 'run_' || {digits}, q.id, q.class_id, 'pending',
                        1, 0, 250 * (1 + (i / {AGENTS}) % 4), 'requeue', {now} + 86400000, 0, 0, {now}
                   FROM n
                   JOIN queues q ON q.agent = 'agent-' || (i % {AGENTS})
                  ORDER BY i"
            ))
            .await;
        Self { place, store }
    }

    /// Claims one command, and says how many milliseconds that took: what a dispatch asks the store.
    async fn claim(&self) -> f64 {
        let begin = Instant::now();
        let claim = self.take().await;
        let took = begin.elapsed().as_secs_f64() * 1000.0;
        self.finish(claim).await;
        took
    }

    /// Has all the claimants claim at the same time; the milliseconds for one claim.
    async fn share(&self) -> f64 {
        let begin = Instant::now();
        let claimants = (0..CLAIMANTS).map(async |_| {
            let mut claims = vec![];
            for _ in 0..EACH {
                claims.push(self.take().await);
            }
            claims
        });
        let claims = futures_util::future::join_all(claimants).await.concat();
        let took = begin.elapsed().as_secs_f64() * 1000.0;
        let runs: HashSet<RunId> = claims.iter().map(run_of).collect();
        assert_eq!(runs.len(), CLAIMANTS * EACH, "nobody has another's");
        for claim in claims {
            self.finish(claim).await;
        }
        took / (CLAIMANTS * EACH) as f64
    }

    async fn take(&self) -> Claim {
        let queues = queues::waited_on(&self.store).await.expect("queues");
        let lot = |queue| {
            let breaker = Breaker::default();
            ClaimableQueue {
                queue,
                class_max: None,
                lane_max: None,
                workspace_max: None,
                bonus: 0,
                breaker,
            }
        };
        let lots: Vec<ClaimableQueue> = queues.into_iter().map(lot).collect();
        let seat = Claimant {
            worker_id: Clock.worker_id(),
            lots: (0..lots.len()).collect(),
            capacity: 1,
            active: 0,
            degraded: false,
        };
        let tokens = vec![Token::mint(Clock.random())];
        let claims =
            commands::claim(&self.store, vec![seat], &lots, tokens, u32::MAX, Clock.now()).await;
        claims.expect("a claim").pop().expect("something waits")
    }

    async fn finish(&self, claim: Claim) {
        let Claim { worker_id, id: command_id, token, .. } = claim;
        let hold = Hold { worker_id, command_id, token };
        commands::acknowledge(&self.store, &hold, Clock.now()).await.expect("a holder");
        let done = commands::finish(&self.store, &hold, Ending::Completed, Clock.now()).await;
        done.expect("an end");
    }
}

fn run_of(claim: &Claim) -> RunId {
    match &claim.charge {
        Charge::Run(attempt) => attempt.run_id.clone(),
        Charge::Control(_) => unreachable!("nothing else is queued"),
    }
}

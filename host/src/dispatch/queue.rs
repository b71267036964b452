//! Handing out: what waits is claimed for the workers that may take it, and sent.

use super::hub::{AvailableWorker, Hub};
use super::limits::Limits;
use super::protocol::{Held, Served, ToWorker};
use crate::clock::Clock;
use crate::model::command::{Attempt, Charge, Claim, Hold, Token};
use crate::model::queue::Queue;
use crate::model::time::Time;
use crate::model::worker::{DEGRADED_AFTER, Worker};
use crate::store::commands::{self, ClaimableQueue, Claimant};
use crate::store::{Store, StoreError, queues, workers};

/// How many commands one transaction hands out.
const CLAIMS_MAX: usize = 64;
/// How many words one worker gets at once.
const WORDS_MAX: usize = 16;

/// Hands out what is pending to the workers that have room, within the limits. Counts the commands
/// sent.
///
/// # Errors
/// When the store fails; what was sent stays sent.
pub async fn hand_out(
    store: &Store,
    hub: &Hub,
    clock: Clock,
    limits: &Limits,
) -> Result<usize, StoreError> {
    let mut sent = say_words(store, hub, clock).await?;
    loop {
        let lots = limits.lots(queues::waited_on(store).await?);
        // Nothing waits, as a rule: then it costs the same however many workers there are.
        if lots.is_empty() {
            return Ok(sent);
        }
        let vacancies = hub.vacancies(clock.now());
        let seats: Vec<Claimant> =
            vacancies.iter().filter_map(|worker| seat(worker, &lots)).collect();
        let seats = give_way(store, seats, &lots, clock.now()).await?;
        if seats.is_empty() {
            return Ok(sent);
        }
        let room: usize = vacancies.iter().map(|vacancy| vacancy.room).sum();
        let tokens = tokens(clock, room.min(CLAIMS_MAX));
        let (active_max, now) = (limits.active_max, clock.now());
        let claims = commands::claim(store, seats, &lots, tokens, active_max, now).await?;
        let claimed = claims.len();
        sent += send_all(store, hub, clock, claims).await?;
        if claimed < CLAIMS_MAX {
            return Ok(sent);
        }
    }
}

/// Sends each connected worker the words that wait for it.
async fn say_words(store: &Store, hub: &Hub, clock: Clock) -> Result<usize, StoreError> {
    let mut sent = 0;
    for worker in commands::addressees(store).await? {
        if hub.has(&worker) {
            let tokens = tokens(clock, WORDS_MAX);
            let claims = commands::claim_control(store, &worker, tokens, clock.now()).await?;
            sent += send_all(store, hub, clock, claims).await?;
        }
    }
    Ok(sent)
}

fn tokens(clock: Clock, count: usize) -> Vec<Token> {
    (0..count).map(|_| Token::mint(clock.random())).collect()
}

/// The worker's place among the claimants; none when it may take nothing of the lots.
fn seat(vacancy: &AvailableWorker, lots: &[ClaimableQueue]) -> Option<Claimant> {
    let may_take = |(_, lot): &(usize, &ClaimableQueue)| {
        let Queue { scope, agent, policy, routing, .. } = &lot.queue;
        vacancy.agents.iter().any(|served| served.scope == *scope && served.name == *agent)
            && vacancy.offer.unmet(routing, policy.as_ref()).is_none()
    };
    let own: Vec<usize> = lots.iter().enumerate().filter(may_take).map(|(i, _)| i).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (!own.is_empty()).then(|| Claimant {
        worker_id: vacancy.id.clone(),
        lots: own,
        // No more than its outbox has room for.
        capacity: count(vacancy.active + vacancy.room),
        active: count(vacancy.active),
        degraded: vacancy.degraded,
    })
}

/// The seats, without the lots of degraded workers that an online one has room for, on whatever
/// replica it is.
async fn give_way(
    store: &Store,
    mut seats: Vec<Claimant>,
    lots: &[ClaimableQueue],
    now: Time,
) -> Result<Vec<Claimant>, StoreError> {
    if !seats.iter().any(|seat| seat.degraded) {
        return Ok(seats);
    }
    let on_duty = workers::on_duty(store).await?;
    let fresh = |worker: &Worker| {
        worker.last_heartbeat_at.is_some_and(|heard| now.since(heard) < DEGRADED_AFTER)
    };
    let free: Vec<Worker> = on_duty
        .into_iter()
        .filter(|worker| fresh(worker) && worker.active < worker.capacity)
        .collect();
    for seat in seats.iter_mut().filter(|seat| seat.degraded) {
        let wanted = |place: &usize| lots.get(*place).is_some_and(|lot| is_taken(&free, lot));
        seat.lots.retain(|place| !wanted(place));
    }
    seats.retain(|seat| !seat.lots.is_empty());
    Ok(seats)
}

/// Whether one of these workers may take the lot.
fn is_taken(workers: &[Worker], lot: &ClaimableQueue) -> bool {
    let Queue { scope, agent, policy, routing, .. } = &lot.queue;
    workers.iter().any(|worker| {
        worker.agents.iter().any(|served| served.scope == *scope && served.name == *agent)
            && worker.offer.unmet(routing, policy.as_ref()).is_none()
    })
}

async fn send_all(
    store: &Store,
    hub: &Hub,
    clock: Clock,
    claims: Vec<Claim>,
) -> Result<usize, StoreError> {
    let (mut sent, mut failed) = (0, None);
    for claim in claims {
        let (worker_id, command_id, token) =
            (claim.worker_id.clone(), claim.id.clone(), claim.token.clone());
        let hold = Hold { worker_id, command_id, token };
        if hub.send(&hold.worker_id, message(claim)).is_ok() {
            sent += 1;
        // The worker went away in between: as if it had never had the command.
        } else if let Err(error) = commands::hand_back(store, &hold, clock.now()).await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(sent), Err)
}

fn message(claim: Claim) -> ToWorker {
    let held = Held { command_id: claim.id, token: claim.token };
    match claim.charge {
        Charge::Control(control) => ToWorker::Control { held, control },
        Charge::Run(attempt) => {
            let Attempt { run_id, scope, agent, prompt, attempt, dispatch, task_id, terms } =
                *attempt;
            let agent = Served { workspace_id: scope.workspace_id().to_owned(), name: agent };
            let terms = Box::new(terms);
            ToWorker::Run { held, run_id, agent, attempt, dispatch, prompt, task_id, terms }
        }
    }
}

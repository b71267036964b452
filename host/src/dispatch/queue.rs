//! Handing out: for every worker with room, claim and send.

use super::hub::{Hub, Vacancy};
use super::protocol::{Held, Served, ToWorker};
use crate::clock::Clock;
use crate::model::command::{Claim, Token};
use crate::store::{Store, StoreError, commands};

/// Hands out what is pending to the workers that have room, while less than `active_max` commands
/// are out. Counts the commands sent.
///
/// # Errors
/// When the store fails; what was sent stays sent.
pub async fn hand_out(
    store: &Store,
    hub: &Hub,
    clock: Clock,
    active_max: u32,
) -> Result<usize, StoreError> {
    let mut sent = 0;
    for vacancy in hub.vacancies() {
        sent += hand_to(&vacancy, store, hub, clock, active_max).await?;
    }
    Ok(sent)
}

async fn hand_to(
    vacancy: &Vacancy,
    store: &Store,
    hub: &Hub,
    clock: Clock,
    active_max: u32,
) -> Result<usize, StoreError> {
    let tokens = (0..vacancy.room).map(|_| Token::mint(clock.random())).collect();
    let Vacancy { id, agents, .. } = vacancy;
    let claims = commands::claim(store, id, agents, tokens, active_max, clock.now()).await?;
    let (mut sent, mut failed) = (0, None);
    for claim in claims {
        let (id, token) = (claim.id.clone(), claim.token.clone());
        if hub.send(&vacancy.id, message(claim)).is_ok() {
            sent += 1;
        // The worker went away in between: as if it had never had the command.
        } else if let Err(error) = commands::hand_back(store, &id, &token, clock.now()).await {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(sent), Err)
}

fn message(claim: Claim) -> ToWorker {
    let workspace_id = claim.scope.workspace_id().to_owned();
    ToWorker::Run {
        held: Held { command_id: claim.id, token: claim.token },
        run_id: claim.run_id,
        agent: Served { workspace_id, name: claim.agent },
        attempt: claim.attempt,
        prompt: claim.prompt,
    }
}

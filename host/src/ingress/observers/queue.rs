//! Queues, looked at every so often: how many commands wait for each agent.
//!
//! An agent is told of while commands wait for it, and once more when none does. Which agents were
//! told of last is the observer's cursor.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Observed, Observers, Seen};
use crate::ingress::looks::{Looks, hand_over};
use crate::model::definition::{Definitions, Observer, Watch};
use crate::model::name::Name;
use crate::model::time::Time;
use crate::store::commands::{self, Backlog};
use crate::store::source_states::{self, SourceState};
use crate::store::{Store, StoreError};

/// The observers of queues.
#[derive(Debug)]
pub struct Queues(pub Arc<Observers>);

impl Looks for Queues {
    fn ids(definitions: &Definitions) -> Vec<String> {
        let queues = definitions
            .observers
            .iter()
            .filter(|observer| observer.enabled && matches!(observer.watch, Watch::Queue { .. }));
        queues.map(|observer| observer.id.to_string()).collect()
    }

    async fn look(&self, claimed: SourceState) -> Result<(), StoreError> {
        let Some(observer) = self.0.find(&claimed.definition_id) else { return Ok(()) };
        let Watch::Queue { agent, interval } = &observer.watch else { return Ok(()) };
        let now = self.0.asking.clock.now();
        let backlogs = waiting(&self.0.store, &observer, agent.as_ref(), now).await?;
        let told = told(claimed.cursor.as_deref());
        let seen = seen(&observer, &claimed, &backlogs, told, now);
        let agents: Vec<&Name> = backlogs.iter().map(|backlog| &backlog.agent).collect();
        let next = SourceState {
            cursor: Some(json!(agents).to_string()),
            next_at: Some(now + *interval),
            set_at: Some(now),
            ..claimed.clone()
        };
        // A component that is busy hears of it all the next time.
        let busy = SourceState { next_at: next.next_at, set_at: next.set_at, ..claimed };
        let Observed { state, deliveries } = match self.0.asking.ask(&observer, next, &seen).await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::warn!(observer = %observer.name, %error, "queue observation deferred");
                Observed { state: busy, deliveries: Vec::new() }
            }
        };
        if let Some(accepted) = source_states::commit(&self.0.store, &state, &deliveries).await? {
            hand_over(&self.0.inbox, &deliveries, &accepted);
        }
        Ok(())
    }
}

async fn waiting(
    store: &Store,
    observer: &Observer,
    agent: Option<&Name>,
    now: Time,
) -> Result<Vec<Backlog>, StoreError> {
    let mut backlogs = commands::backlogs(store, &observer.scope, now).await?;
    backlogs.retain(|backlog| agent.is_none_or(|agent| *agent == backlog.agent));
    Ok(backlogs)
}

/// The agents that a cursor names.
fn told(cursor: Option<&str>) -> BTreeSet<Name> {
    let names: Vec<String> =
        cursor.and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// What is seen of each agent: those that commands wait for, and those of before.
fn seen(
    observer: &Observer,
    state: &SourceState,
    backlogs: &[Backlog],
    mut told: BTreeSet<Name>,
    now: Time,
) -> Vec<Seen> {
    for backlog in backlogs {
        told.remove(&backlog.agent);
    }
    let one = |agent: &Name, waiting: u32, oldest_ms: Option<u64>| Seen {
        id: identity(state, agent, now),
        at: now,
        data: json!({
            "agent": agent,
            "workspace_id": observer.scope.workspace_id(),
            "waiting": waiting,
            "oldest_ms": oldest_ms,
        })
        .to_string(),
        depth: 0,
        causes: Vec::new(),
    };
    let present = backlogs.iter().map(|Backlog { agent, waiting, oldest_at }| {
        let oldest_ms = u64::try_from(now.since(*oldest_at).as_millis()).unwrap_or(u64::MAX);
        one(agent, *waiting, Some(oldest_ms))
    });
    present.chain(told.iter().map(|agent| one(agent, 0, None))).collect()
}

/// Each look is one of its own.
fn identity(state: &SourceState, agent: &Name, now: Time) -> String {
    let SourceState { definition_id, revision, .. } = state;
    let text = format!("{definition_id} {revision} {} {agent}", now.as_millis());
    hex::encode(Sha256::digest(text))
}

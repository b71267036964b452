//! Extensions: what they find outside becomes events.
//!
//! ```text
//!   due ─► claimed for a while ─► poll, outside of any transaction ─► events, cursor and state,
//!    ▲                                                                in one, and when next
//!    └───────────────────────────────────────────────────────────────────┘
//! ```
//! A claim moves what is due ahead by more than a poll can take: of two replicas one polls, and one
//! that dies delays the poll and loses nothing. A poll that fails leaves cursor and state as they
//! were, and is made again after a while that doubles each time.

use std::sync::Arc;
use std::time::Duration;

use super::granted::Granted;
use super::inbox::InboxSender;
use super::looks::{LEASE, Looks, hand_over};
use super::mint::{Forged, Mint};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::secrets;
use crate::egress::{Egress, Network};
use crate::model::definition::{Definitions, Extension};
use crate::model::envelope::{Producer, Source};
use crate::model::problem::Problems;
use crate::model::text::shortened;
use crate::model::time::Time;
use crate::sandbox::{Poll, PollRefusal, Polled, Sandbox, SandboxError};
use crate::store::events::Delivery;
use crate::store::source_states::{self, SourceState};
use crate::store::{Store, StoreError};

/// How often an extension that has more is polled at once.
const ROUNDS_MAX: u32 = 20;
/// What an extension may ask for as the time to its next poll.
const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest time between two polls that fail, unless the extension's own interval is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a poll waits for a component that is busy.
const BUSY_DELAY: Duration = Duration::from_secs(2);
/// The longest error that is kept, in bytes.
const ERROR_BYTES_MAX: usize = 4096;

/// Polls extensions.
#[derive(Debug)]
pub struct Extensions {
    store: Store,
    sandbox: Arc<Sandbox>,
    catalog: Catalog,
    clock: Clock,
    inbox: InboxSender,
    network: Arc<Network>,
}

/// Why a poll came to nothing.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error("its grants cannot be used:\n{0}")]
    Grants(Problems),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{0}")]
    Refused(#[from] PollRefusal),
    #[error(transparent)]
    Forged(#[from] Forged),
}

impl Extensions {
    /// Polls what the catalog has, and puts what it finds into the store's inbox.
    pub fn new(
        store: Store,
        sandbox: Arc<Sandbox>,
        catalog: Catalog,
        clock: Clock,
        inbox: InboxSender,
        network: Arc<Network>,
    ) -> Self {
        Self { store, sandbox, catalog, clock, inbox, network }
    }

    /// Polls once, and again while there is more.
    async fn poll_all(&self, mut before: SourceState) -> Result<(), StoreError> {
        for round in 1..=ROUNDS_MAX {
            let Some(extension) = self.extension(&before.definition_id) else { return Ok(()) };
            let found = match self.poll(&extension, &before).await {
                Ok(found) => found,
                Err(error) => return self.put_off(&extension, before, error).await,
            };
            let more = found.polled.more && round < ROUNDS_MAX;
            let now = self.clock.now();
            let after = SourceState {
                cursor: found.polled.cursor,
                state: found.polled.state,
                next_at: Some(now + if more { LEASE } else { found.delay }),
                set_at: Some(now),
                last_at: Some(now),
                failures: 0,
                last_error: None,
                ..before
            };
            if !self.keep(&extension, &after, &found.deliveries).await? || !more {
                return Ok(());
            }
            before = SourceState { revision: after.revision + 1, ..after };
        }
        Ok(())
    }

    async fn poll(&self, extension: &Extension, state: &SourceState) -> Result<Found, PollError> {
        let (network, grants) = (Arc::clone(&self.network), extension.grants.clone());
        let egress = Egress::new(network, extension.name.clone(), grants, secrets::read);
        let fetch = Arc::new(Granted::new(egress.map_err(PollError::Grants)?));
        let now = self.clock.now();
        let poll = Poll {
            name: extension.name.clone(),
            config: extension.config.as_str().into(),
            cursor: state.cursor.clone(),
            now,
        };
        let (component, scope) = (&extension.component, &extension.scope);
        let mut polled =
            self.sandbox.poll(component, scope, poll, state.state.clone(), fetch).await??;
        let signals = std::mem::take(&mut polled.signals);
        let deliveries = self.mint(extension, state, now)?.deliveries(self.clock, signals)?;
        let delay =
            polled.next_delay.map_or(extension.interval, |delay| delay.clamp(DELAY_MIN, DELAY_MAX));
        Ok(Found { polled, deliveries, delay })
    }

    fn mint(
        &self,
        extension: &Extension,
        state: &SourceState,
        at: Time,
    ) -> Result<Mint, SandboxError> {
        Ok(Mint {
            source: Source::Extension,
            producer: Producer { id: extension.id.to_string(), name: extension.name.clone() },
            scope: extension.scope.clone(),
            origin: self.sandbox.origin(&extension.component)?.clone(),
            at,
            depth: 0,
            causes: Vec::new(),
            // A definition that was removed and made again counts from the beginning.
            call: format!("{} {}", at.as_millis(), state.revision),
        })
    }

    /// Keeps when to try again, and why.
    async fn put_off(
        &self,
        extension: &Extension,
        before: SourceState,
        error: PollError,
    ) -> Result<(), StoreError> {
        let (name, now) = (&extension.name, self.clock.now());
        let after = if let PollError::Sandbox(SandboxError::Busy { .. }) = error {
            tracing::warn!(extension = %name, %error, "failed to poll an extension; trying again");
            SourceState { next_at: Some(now + BUSY_DELAY), set_at: Some(now), ..before }
        } else {
            tracing::error!(extension = %name, %error, "extension poll failed");
            let failures = before.failures.saturating_add(1);
            SourceState {
                next_at: Some(now + backoff(extension.interval, failures)),
                set_at: Some(now),
                last_at: Some(now),
                failures,
                last_error: Some(shortened(&error.to_string(), ERROR_BYTES_MAX)),
                ..before
            }
        };
        self.keep(extension, &after, &[]).await?;
        Ok(())
    }

    /// False when the definition has changed meanwhile, or somebody else has polled.
    async fn keep(
        &self,
        extension: &Extension,
        after: &SourceState,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError> {
        let accepted = source_states::commit(&self.store, after, deliveries).await?;
        match &accepted {
            Some(accepted) => hand_over(&self.inbox, deliveries, accepted),
            None => {
                tracing::debug!(
                    extension = %extension.name,
                    "extension poll discarded: another replica was faster"
                )
            }
        }
        Ok(accepted.is_some())
    }

    fn extension(&self, id: &str) -> Option<Extension> {
        let definitions = self.catalog.now();
        let mut enabled = definitions.extensions.iter().filter(|extension| extension.enabled);
        enabled.find(|extension| extension.id.as_str() == id).cloned()
    }
}

/// What a poll found, ready to be kept.
struct Found {
    polled: Polled,
    deliveries: Vec<Delivery>,
    delay: Duration,
}

impl Looks for Extensions {
    fn ids(definitions: &Definitions) -> Vec<String> {
        let enabled = definitions.extensions.iter().filter(|extension| extension.enabled);
        enabled.map(|extension| extension.id.to_string()).collect()
    }

    async fn look(&self, claimed: SourceState) -> Result<(), StoreError> {
        self.poll_all(claimed).await
    }
}

/// How long to wait after so many failures, at least one: the interval, doubled each time.
fn backoff(interval: Duration, failures: u32) -> Duration {
    let doubled = interval.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(BACKOFF_MAX).max(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_an_hour() {
        for (interval_secs, failures, secs) in [
            (300, 1, 300),
            (300, 2, 600),
            (300, 4, 2400),
            (300, 5, 3600),
            (300, u32::MAX, 3600),
            (1, 12, 2048),
            (1, 13, 3600),
            (3600, 2, 3600),
            (86_400, 1, 86_400),
            (86_400, 9, 86_400),
        ] {
            let wait = backoff(Duration::from_secs(interval_secs), failures);
            assert_eq!(wait.as_secs(), secs, "{interval_secs} s after {failures}");
        }
    }
}

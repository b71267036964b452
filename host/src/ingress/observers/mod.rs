//! Observers: what the host sees for them becomes events.
//!
//! ```text
//!   files ── the kernel's hints ── quiet ── compared with what was there ─┐
//!   queue ── counted every so often ──────────────────────────────────────┼─► observe ─► events
//!   runs ─── notices (see `lifecycle`) ───────────────────────────────────┘     and state, in one
//! ```
//! An observer is asked of one thing after the other. What it remembers is kept together with the
//! events that it makes, if nobody else has kept anything since it was read; else it is asked again.
//! A call that fails makes no events, changes no state, and what it was told of is over: the error
//! is kept.

mod files;
mod queue;
mod quiet;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use super::inbox::InboxSender;
use super::looks::hand_over;
use super::mint::{Forged, Mint};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::model::definition::{Observer, Watch};
use crate::model::envelope::{Producer, Source};
use crate::model::text::shortened;
use crate::model::time::Time;
use crate::sandbox::{Observation, Sandbox, SandboxError, State, Subject};
use crate::store::events::Delivery;
use crate::store::source_states::{self, SourceState};
use crate::store::{Store, StoreError};
pub use queue::Queues;

/// The longest error that is kept, in bytes.
const ERROR_BYTES_MAX: usize = 4096;
/// How long a component that is busy is left alone.
const BUSY_DELAY: Duration = Duration::from_millis(200);

/// Watches files and queues for observers.
#[derive(Debug)]
pub struct Observers {
    store: Store,
    asking: Asking,
    catalog: Catalog,
    inbox: InboxSender,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What it is recognised by when it is seen again.
    pub(super) id: String,
    /// When.
    pub(super) at: Time,
    /// What, as JSON text.
    pub(super) data: String,
    /// How many runs lie between it and the outside world.
    pub(super) depth: u32,
    /// The runs that led to it.
    pub(super) causes: Vec<String>,
}

/// What an observer made of what was seen: to be kept together.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) state: SourceState,
    pub(super) deliveries: Vec<Delivery>,
}

/// How observers are asked.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) clock: Clock,
}

/// Why a call on an observer came to nothing.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Forged(#[from] Forged),
}

impl Asking {
    /// Asks an observer of one thing after the other, from this state on.
    ///
    /// # Errors
    /// When its component is busy. What else may go wrong becomes part of the state.
    pub(super) async fn ask(
        &self,
        observer: &Observer,
        before: SourceState,
        seen: &[Seen],
    ) -> Result<Observed, SandboxError> {
        let (mut state, mut deliveries, mut last_error) = (before.state, Vec::new(), None);
        for seen in seen {
            match self.call(observer, seen, state.clone()).await {
                Ok((made, after)) => {
                    deliveries.extend(made);
                    state = after;
                }
                Err(CallError::Sandbox(busy @ SandboxError::Busy { .. })) => return Err(busy),
                Err(error) => {
                    tracing::error!(observer = %observer.name, %error, "observer failed");
                    last_error = Some(shortened(&error.to_string(), ERROR_BYTES_MAX));
                }
            }
        }
        let failures = last_error.as_ref().map_or(0, |_| before.failures.saturating_add(1));
        let last_at = Some(self.clock.now());
        let state = SourceState { state, last_at, failures, last_error, ..before };
        Ok(Observed { state, deliveries })
    }

    async fn call(
        &self,
        observer: &Observer,
        seen: &Seen,
        state: State,
    ) -> Result<(Vec<Delivery>, State), CallError> {
        let observation = Observation {
            id: seen.id.clone(),
            subject: subject(&observer.watch),
            at: seen.at,
            data: seen.data.clone(),
            config: observer.config.as_str().into(),
        };
        let (component, scope) = (&observer.component, &observer.scope);
        let (signals, state) = self.sandbox.observe(component, scope, observation, state).await?;
        let mint = Mint {
            source: Source::Observer,
            producer: Producer { id: observer.id.to_string(), name: observer.name.clone() },
            scope: observer.scope.clone(),
            origin: self.sandbox.origin(component)?.clone(),
            at: seen.at,
            depth: seen.depth,
            causes: seen.causes.clone(),
            call: seen.id.clone(),
        };
        Ok((mint.deliveries(self.clock, signals)?, state))
    }
}

fn subject(watch: &Watch) -> Subject {
    match watch {
        Watch::Files { .. } => Subject::File,
        Watch::Queue { .. } => Subject::Queue,
        Watch::Runs => Subject::Run,
    }
}

impl Observers {
    /// Watches for those that the catalog has, and puts their events into the store's inbox.
    pub fn new(
        store: Store,
        sandbox: Arc<Sandbox>,
        catalog: Catalog,
        clock: Clock,
        inbox: InboxSender,
    ) -> Self {
        Self { store, asking: Asking { sandbox, clock }, catalog, inbox }
    }

    fn find(&self, id: &str) -> Option<Observer> {
        let definitions = self.catalog.now();
        let mut enabled = definitions.observers.iter().filter(|observer| observer.enabled);
        enabled.find(|observer| observer.id.as_str() == id).cloned()
    }

    /// Asks an observer of what was seen, and keeps what it makes of it, whoever else asks it at
    /// the same time. A `fault` of what is watched goes before errors of the observer's own.
    async fn tell(
        &self,
        observer: &Observer,
        seen: &[Seen],
        fault: Option<&str>,
    ) -> Result<(), StoreError> {
        loop {
            let id = observer.id.as_str();
            let Some(before) = source_states::open(&self.store, id).await? else { return Ok(()) };
            let failures = before.failures;
            let Ok(mut observed) = self.asking.ask(observer, before, seen).await else {
                self.asking.clock.sleep(BUSY_DELAY).await;
                continue;
            };
            if let Some(fault) = fault {
                observed.state.failures = failures.saturating_add(1);
                observed.state.last_error = Some(fault.to_owned());
            }
            // It is told of things, and does not look by itself.
            observed.state.next_at = None;
            let Observed { state, deliveries } = observed;
            if let Some(accepted) = source_states::commit(&self.store, &state, &deliveries).await? {
                hand_over(&self.inbox, &deliveries, &accepted);
                return Ok(());
            }
        }
    }
}

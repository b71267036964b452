//! Activation: from an event in the inbox to its decisions, and to the runs they lead to.
//!
//! Each trigger that considers the event is asked in turn:
//!
//! ```text
//!   enabled? ─► loop guard ─► filter ─► gather? ─► template ─► pre-fire hooks ─► fire limit ─► run
//!                                          └ held: later, from there on
//! ```
//! Every answer is a decision, and all of them are committed together with the runs, after the last
//! guest has returned; the fire limit is the store's to check, in that transaction. One trigger's
//! failure is its own decision and nobody else's trouble. Doing it twice is harmless: the second
//! time, the store says that it was done.

pub mod check;
mod flush;
mod guard;
mod manual;
mod stages;
mod trial;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::admission::{AdmissionControl, QueueFull};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::model::decision::{Decision, Verdict};
use crate::model::definition::{Batching, Definitions, Trigger};
use crate::model::envelope::{Envelope, Event};
use crate::model::id::EventId;
use crate::model::json::NotJson;
use crate::model::scope::Scope;
use crate::sandbox::{Sandbox, SandboxError};
use crate::store::events::{self, Activation};
use crate::store::firing::Firing;
use crate::store::gatherings::BatchMember;
use crate::store::{Store, StoreError};
use crate::trace;
pub use manual::{FireError, Occasion};
pub use trial::{Answer, Trial};

/// Why an event still waits.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A component is busy. The event is set aside, so that the others' events go on.
    #[error(transparent)]
    Busy(SandboxError),
    /// Too many commands wait already. The event waits in their place.
    #[error(transparent)]
    Full(#[from] QueueFull),
    /// Its data is not JSON, which ingress makes sure of.
    #[error("the event's data cannot be read")]
    Data(#[from] NotJson),
}

/// What a trigger wants of an event.
enum Wish {
    /// A run.
    Fire(Box<Firing>),
    /// To wait for more.
    Hold(BatchMember),
}

/// Why a trigger makes no run.
enum Unfired {
    /// It is decided.
    Because(Verdict),
    /// It cannot be decided now.
    Busy(SandboxError),
}

impl From<Verdict> for Unfired {
    fn from(verdict: Verdict) -> Self {
        Self::Because(verdict)
    }
}

impl From<SandboxError> for Unfired {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Busy { .. } => Self::Busy(error),
            error => Self::Because(Verdict::ComponentError(error.to_string())),
        }
    }
}

/// Activates events.
#[derive(Debug)]
pub struct Activator {
    store: Store,
    sandbox: Arc<Sandbox>,
    clock: Clock,
    catalog: Catalog,
    /// Without limit when absent.
    admission: Option<AdmissionControl>,
    in_hand: Mutex<HashSet<EventId>>,
    gathered: Notify,
}

impl Activator {
    /// Activates for the triggers of the catalog.
    pub fn new(store: Store, sandbox: Arc<Sandbox>, clock: Clock, catalog: Catalog) -> Self {
        let (in_hand, gathered) = Default::default();
        Self { store, sandbox, clock, catalog, admission: None, in_hand, gathered }
    }

    /// The same, as long as admission control has room for the runs.
    pub fn within(self, admission: AdmissionControl) -> Self {
        Self { admission: Some(admission), ..self }
    }

    /// Whether events of this scope can lead to runs at present.
    ///
    /// # Errors
    /// When the store fails. That there is no room is the answer.
    pub async fn has_room(&self, scope: &Scope) -> Result<Result<(), QueueFull>, StoreError> {
        match &self.admission {
            Some(admission) => admission.has_room(scope).await,
            None => Ok(Ok(())),
        }
    }

    async fn count(&self, scope: &Scope, runs: usize) {
        if let Some(admission) = self.admission.as_ref().filter(|_| runs > 0) {
            admission.add(scope, u32::try_from(runs).unwrap_or(u32::MAX)).await;
        }
    }

    /// Decides on an event, and says how many runs it led to. None when somebody else has it in
    /// hand, or had.
    ///
    /// # Errors
    /// When the event has to wait for another try.
    pub async fn activate(&self, event: Arc<Event>) -> Result<Option<usize>, ActivationError> {
        let Some(_hand) = self.take_in_hand(&event.id) else { return Ok(None) };
        let parent = event.traceparent.as_deref().and_then(|parent| parent.parse().ok());
        let span = tracing::info_span!("activation", event = %event.id);
        trace::within(parent.as_ref(), span, self.clock, self.activate_in_hand(event)).await
    }

    async fn activate_in_hand(&self, event: Arc<Event>) -> Result<Option<usize>, ActivationError> {
        let scope = event.scope.clone();
        self.has_room(&scope).await??;
        let activation = self.decide_all(event).await?;
        let has_held = !activation.held.is_empty();
        let runs = events::activate(&self.store, activation).await?;
        self.count(&scope, runs.unwrap_or(0)).await;
        if has_held {
            self.gathered.notify_one();
        }
        Ok(runs)
    }

    /// Waits until an event has joined a gathering.
    pub async fn gathered(&self) {
        self.gathered.notified().await;
    }

    async fn decide_all(&self, event: Arc<Event>) -> Result<Activation, ActivationError> {
        let definitions = self.catalog.now();
        let considering = considering(&definitions, &event);
        let mut activation = Activation {
            event_id: event.id.clone(),
            decisions: Vec::with_capacity(considering.len()),
            runs: vec![],
            held: vec![],
            at: self.clock.now(),
        };
        if considering.is_empty() {
            // Nobody looks: there is nothing to parse.
            return Ok(activation);
        }
        let ancestors = guard::ancestors(&self.store, &event).await?;
        let envelope = Envelope::open(event)?;
        for trigger in considering {
            let verdict = match self.decide(&definitions, trigger, &envelope, &ancestors).await {
                Ok(Wish::Fire(firing)) => {
                    let verdict = Verdict::Fired(firing.run.id.clone());
                    activation.runs.push(*firing);
                    verdict
                }
                Ok(Wish::Hold(holding)) => {
                    activation.held.push(holding);
                    Verdict::Held
                }
                Err(Unfired::Because(verdict)) => verdict,
                Err(Unfired::Busy(error)) => return Err(ActivationError::Busy(error)),
            };
            let (trigger_id, trigger) = (trigger.id.clone(), trigger.name.clone());
            let at = self.clock.now();
            activation.decisions.push(Decision { trigger_id, trigger, verdict, at });
        }
        activation.at = self.clock.now();
        Ok(activation)
    }

    async fn decide(
        &self,
        definitions: &Definitions,
        trigger: &Trigger,
        envelope: &Envelope,
        ancestors: &HashSet<String>,
    ) -> Result<Wish, Unfired> {
        if !trigger.enabled {
            return Err(Verdict::Disabled.into());
        }
        guard::check(trigger, envelope.event(), ancestors)?;
        self.pass(trigger, envelope).await?;
        if let Some(gather) = &trigger.gather {
            return Ok(Wish::Hold(self.holding(trigger, gather, envelope)));
        }
        let rendered = self.render(definitions, trigger, envelope).await?;
        let firing = self.firing(definitions, trigger, envelope.event(), rendered);
        Ok(Wish::Fire(Box::new(firing)))
    }

    fn holding(&self, trigger: &Trigger, gather: &Batching, envelope: &Envelope) -> BatchMember {
        BatchMember {
            id: self.clock.gathering_id(),
            trigger_id: trigger.id.clone(),
            key: flush::key(gather, envelope),
            gather: gather.clone(),
        }
    }

    fn take_in_hand(&self, id: &EventId) -> Option<Hand<'_>> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.insert(id.clone()).then(|| Hand { of: self, id: id.clone() })
    }
}

fn considering<'d>(definitions: &'d Definitions, event: &Event) -> Vec<&'d Trigger> {
    let owner = definitions.owner_of(event);
    let considers = |trigger: &&Trigger| trigger.considers(event, owner);
    definitions.triggers.iter().filter(considers).collect()
}

/// An event in hand, for as long as this lives.
struct Hand<'a> {
    of: &'a Activator,
    id: EventId,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        let mut in_hand = self.of.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.remove(&self.id);
    }
}

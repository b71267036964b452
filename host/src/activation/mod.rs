//! Activation: from an event in the inbox to its decisions, and to the runs they lead to.
//!
//! Each trigger that considers the event is asked in turn: enabled? does its filter let the event
//! pass? what prompt does its template make? Every answer is a decision, and all of them are
//! committed together with the runs, after the last guest has returned. One trigger's failure is
//! its own decision and nobody else's trouble. Doing it twice is harmless: the second time, the
//! store says that it was done.

pub mod check;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::model::decision::{Decision, Verdict};
use crate::model::definition::{PROMPT_BYTES_MAX, Trigger};
use crate::model::envelope::{Envelope, Event};
use crate::model::id::{CommandId, EventId};
use crate::model::json::NotJson;
use crate::model::run::{NewRun, Stages};
use crate::sandbox::{FilterVerdict, Sandbox, SandboxError};
use crate::store::events::{self, Activation};
use crate::store::{Store, StoreError};

/// Why an event still waits.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A component is busy. The event is set aside, so that the others' events go on.
    #[error(transparent)]
    Busy(SandboxError),
    /// Its data is not JSON, which ingress makes sure of.
    #[error("the event's data cannot be read")]
    Data(#[from] NotJson),
}

/// A run with its first command.
type Fired = (NewRun, CommandId);

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
    triggers: Vec<Trigger>,
    in_hand: Mutex<HashSet<EventId>>,
}

impl Activator {
    /// Activates for these triggers.
    pub fn new(store: Store, sandbox: Arc<Sandbox>, clock: Clock, triggers: Vec<Trigger>) -> Self {
        Self { store, sandbox, clock, triggers, in_hand: Mutex::default() }
    }

    /// Decides on an event, and says how many runs it led to. None when somebody else has it in
    /// hand, or had.
    ///
    /// # Errors
    /// When the event has to wait for another try.
    pub async fn activate(&self, event: Arc<Event>) -> Result<Option<usize>, ActivationError> {
        let Some(_hand) = self.take_in_hand(&event.id) else { return Ok(None) };
        let event_id = event.id.clone();
        let (decisions, runs) = self.decide_all(event).await?;
        let fired = runs.len();
        let activation = Activation { event_id, decisions, runs, at: self.clock.now() };
        let first = events::activate(&self.store, activation).await?;
        Ok(first.then_some(fired))
    }

    async fn decide_all(
        &self,
        event: Arc<Event>,
    ) -> Result<(Vec<Decision>, Vec<Fired>), ActivationError> {
        let (mut decisions, mut runs) = (Vec::new(), Vec::new());
        let considering = self.considering(&event);
        if considering.is_empty() {
            // Nobody looks: there is nothing to parse.
            return Ok((decisions, runs));
        }
        let envelope = Envelope::open(event)?;
        for trigger in considering {
            let verdict = match self.decide(trigger, &envelope).await {
                Ok(fired) => {
                    let verdict = Verdict::Fired(fired.0.id.clone());
                    runs.push(fired);
                    verdict
                }
                Err(Unfired::Because(verdict)) => verdict,
                Err(Unfired::Busy(error)) => return Err(ActivationError::Busy(error)),
            };
            let (trigger_id, trigger) = (trigger.id.clone(), trigger.name.clone());
            decisions.push(Decision { trigger_id, trigger, verdict, at: self.clock.now() });
        }
        Ok((decisions, runs))
    }

    fn considering(&self, event: &Event) -> Vec<&Trigger> {
        let Event { scope, kind, arrival, .. } = event;
        let considers = |trigger: &&Trigger| trigger.considers(scope, kind, &arrival.slug);
        self.triggers.iter().filter(considers).collect()
    }

    /// The run that a trigger makes of the event, or why it makes none.
    async fn decide(&self, trigger: &Trigger, envelope: &Envelope) -> Result<Fired, Unfired> {
        if !trigger.enabled {
            return Err(Verdict::Disabled.into());
        }
        self.pass(trigger, envelope).await?;
        let prompt = self.render(trigger, envelope).await?;
        let component = |name| self.sandbox.origin(name).cloned();
        let stages = Stages {
            source: envelope.event().origin.clone(),
            filter: trigger.filter.as_ref().map(|f| component(&f.component)).transpose()?,
            template: component(&trigger.template)?,
        };
        let run = NewRun {
            id: self.clock.run_id(),
            scope: trigger.scope.clone(),
            event_id: envelope.event().id.clone(),
            trigger_id: trigger.id.clone(),
            trigger: trigger.name.clone(),
            agent: trigger.agent.clone(),
            prompt,
            stages,
            created_at: self.clock.now(),
        };
        Ok((run, self.clock.command_id()))
    }

    async fn pass(&self, trigger: &Trigger, envelope: &Envelope) -> Result<(), Unfired> {
        let Some(filter) = &trigger.filter else { return Ok(()) };
        match self.sandbox.matches(&filter.component, &filter.config, envelope).await {
            Ok(FilterVerdict::Matched) => Ok(()),
            Ok(FilterVerdict::Unmatched(clause)) => Err(Verdict::Filtered(clause).into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn render(&self, trigger: &Trigger, envelope: &Envelope) -> Result<String, Unfired> {
        match self.sandbox.render(&trigger.template, &trigger.prompt, envelope).await {
            Ok(prompt) if prompt.trim().is_empty() => {
                Err(Verdict::RenderError("the prompt is empty".to_owned()).into())
            }
            Ok(prompt) if prompt.len() > PROMPT_BYTES_MAX => {
                let bytes = prompt.len();
                let why = format!("the prompt has {bytes} bytes, more than {PROMPT_BYTES_MAX}");
                Err(Verdict::RenderError(why).into())
            }
            Ok(prompt) => Ok(prompt),
            Err(SandboxError::Refused { reason, .. }) => Err(Verdict::RenderError(reason).into()),
            Err(error) => Err(error.into()),
        }
    }

    fn take_in_hand(&self, id: &EventId) -> Option<Hand<'_>> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.insert(id.clone()).then(|| Hand { of: self, id: id.clone() })
    }
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

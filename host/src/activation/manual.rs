//! A trigger fired by hand: for an event that is in the inbox, or for none.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Activator, Unfired};
use crate::model::decision::Verdict;
use crate::model::definition::Trigger;
use crate::model::envelope::{Envelope, Event};
use crate::model::id::RunId;
use crate::model::json::NotJson;
use crate::model::name::KindPattern;
use crate::model::problem::Problems;
use crate::model::sample::{self, Defaults};
use crate::sandbox::SandboxError;
use crate::store::{Store, StoreError, firing};

/// What a trigger is fired for.
#[derive(Clone, Debug)]
pub enum Occasion {
    /// An event.
    Event(Arc<Event>),
    /// Nothing that happened; the prompt is rendered with this data.
    Data(Value),
}

/// Why a trigger was not fired.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// Its template, a hook or its limit says so.
    #[error("the trigger does not fire")]
    Because(Verdict),
    /// A component is busy.
    #[error(transparent)]
    Busy(SandboxError),
    /// The data cannot be an event's.
    #[error("the data cannot be an event's")]
    Occasion(Problems),
    /// The event's data is not JSON, which ingress makes sure of.
    #[error("the event's data cannot be read")]
    Data(#[from] NotJson),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Unfired> for FireError {
    fn from(unfired: Unfired) -> Self {
        match unfired {
            Unfired::Because(verdict) => Self::Because(verdict),
            Unfired::Busy(error) => Self::Busy(error),
        }
    }
}

impl Activator {
    /// Fires a trigger now, in the hands that the store is in. Its filter is not asked and nothing is waited for; all else is as for
    /// an event that comes in. The run is no event's: one that the event has led to stands beside
    /// it.
    ///
    /// # Errors
    /// When there is no run, says why.
    pub async fn fire(
        &self,
        store: &Store,
        trigger: &Trigger,
        occasion: Occasion,
    ) -> Result<RunId, FireError> {
        if !trigger.enabled {
            return Err(FireError::Because(Verdict::Disabled));
        }
        let is_event = matches!(occasion, Occasion::Event(_));
        let envelope = self.envelope_of(trigger, occasion)?;
        let definitions = self.catalog.now();
        let prompt = self.render(&definitions, trigger, &envelope).await?;
        let mut firing = self.firing(&definitions, trigger, envelope.event(), prompt);
        firing.run.event_id = None;
        firing.run.stages.filter = None;
        if is_event {
            firing.run.causes.push(envelope.event().id.to_string());
        } else {
            firing.run.stages.source = None;
        }
        match firing::by_hand(store, firing, self.clock.now()).await? {
            Verdict::Fired(run_id) => Ok(run_id),
            verdict => Err(FireError::Because(verdict)),
        }
    }

    fn envelope_of(&self, trigger: &Trigger, occasion: Occasion) -> Result<Envelope, FireError> {
        match occasion {
            Occasion::Event(event) => Ok(Envelope::open(event)?),
            Occasion::Data(data) => {
                let (KindPattern::Exact(kind) | KindPattern::Below(kind)) = &trigger.event;
                let defaults = Defaults { scope: trigger.scope.clone(), now: self.clock.now() };
                let sample = json!({ "kind": kind, "data": data });
                sample::envelope(&sample, defaults).map_err(FireError::Occasion)
            }
        }
    }
}

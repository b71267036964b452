//! Triggers: standing rules from events to runs.

use super::Demands;
use super::firing::{Batching, FireLimit, Priority, Retry, Untrusted};
use crate::model::envelope::Event;
use crate::model::id::{TriggerId, WebhookId};
use crate::model::name::{KindPattern, Name, Slug};
use crate::model::scope::Scope;

/// A filter component and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The component.
    pub component: Name,
    /// Its configuration, as JSON text.
    pub config: String,
}

/// A standing rule: which events make which agent do what.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its identifier, the same at every start.
    pub id: TriggerId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
    /// The kinds of event it considers.
    pub event: KindPattern,
    /// The one endpoint it listens to; any when absent.
    pub endpoint: Option<Slug>,
    /// What an event must satisfy; everything passes when absent.
    pub filter: Option<Filter>,
    /// The template component.
    pub template: Name,
    /// The template that makes the prompt.
    pub prompt: String,
    /// Who does the work.
    pub agent: Name,
    /// What becomes of a failed attempt.
    pub retry: Retry,
    /// How often it may fire; without limit when absent.
    pub fire_limit: Option<FireLimit>,
    /// How urgent its runs are.
    pub priority: Priority,
    /// How they are to be carried out.
    pub demands: Demands,
    /// Whether its prompt may hold what a sender wrote outside of a fence.
    pub untrusted: Untrusted,
    /// Whether it fires on events that its own runs caused.
    pub allow_self: bool,
    /// Whether several events lead to one run.
    pub gather: Option<Batching>,
    /// Whether it fires.
    pub enabled: bool,
}

/// Why a trigger does not consider an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overlooked<'t> {
    /// The event belongs elsewhere.
    #[error("the event belongs to another scope")]
    Scope,
    /// The trigger listens to other kinds.
    #[error("it listens to `{0}`")]
    Kind(&'t KindPattern),
    /// The trigger listens to another endpoint.
    #[error("it listens to the endpoint `{0}`")]
    Endpoint(&'t Slug),
    /// The event's endpoint belongs to another trigger.
    #[error("the event's endpoint belongs to another trigger alone")]
    Owned,
}

impl Trigger {
    /// Whether the trigger considers an event at all. `owner` is the trigger that the event's
    /// endpoint belongs to alone, if it does.
    pub fn considers(&self, event: &Event, owner: Option<&TriggerId>) -> bool {
        self.overlooks(event, owner).is_none()
    }

    /// Why the trigger does not consider an event, if it does not.
    pub fn overlooks(&self, event: &Event, owner: Option<&TriggerId>) -> Option<Overlooked<'_>> {
        let elsewhere = |slug: &&Slug| event.endpoint().is_none_or(|at| at.slug != **slug);
        if self.scope != event.scope {
            return Some(Overlooked::Scope);
        }
        if !self.event.matches(&event.kind) {
            return Some(Overlooked::Kind(&self.event));
        }
        if let Some(slug) = self.endpoint.as_ref().filter(elsewhere) {
            return Some(Overlooked::Endpoint(slug));
        }
        owner.is_some_and(|owner| *owner != self.id).then_some(Overlooked::Owned)
    }

    /// The identifier of the endpoint that it declares for itself: it stays whatever the slug.
    pub fn own_endpoint_id(scope: &Scope, id: &TriggerId) -> WebhookId {
        WebhookId::derive(scope, id.as_str())
    }

    /// The same as it was made by earlier versions.
    pub fn own_endpoint_id_of_slug(scope: &Scope, slug: &Slug) -> WebhookId {
        WebhookId::derive(scope, slug.as_str())
    }
}

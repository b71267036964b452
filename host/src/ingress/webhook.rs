//! Webhook requests: read by the source component, verified, recognised, committed.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::endpoints::{Address, EndpointState, Endpoints, OpenEndpoint, decoy};
use super::inbox::InboxSender;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::model::definition::{Definitions, Endpoint};
use crate::model::envelope::{Arrival, Event, Source, Verified, Way};
use crate::model::id::EventId;
use crate::model::name::Kind;
use crate::model::time::Time;
use crate::sandbox::{
    Activation, Identity, Outcome, Received, Rejection, Reply, Request, Sandbox, SandboxError,
};
use crate::store::events::{self, Accepted, Delivery, Likeness, Meaning};
use crate::store::{Store, StoreError};

/// How many events of one delivery are found by its identifier.
const EVENTS_FOUND_MAX: usize = 8;

/// A request whose body has been read within its limit.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// The method, in upper case.
    pub method: String,
    /// The headers, each as often as it was sent, names in lower case.
    pub headers: Vec<(String, Bytes)>,
    /// The query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The body as it was sent, which is what senders sign.
    pub sent: Bytes,
    /// The same without its content coding.
    pub body: Bytes,
    /// The trace that the sender belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// What the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The events are in the inbox.
    Accepted(Vec<EventId>),
    /// They were there already.
    Known(Vec<EventId>),
    /// They read like these events, by other names, and the endpoint refuses that.
    Repeated(Vec<EventId>),
    /// The request leads to no event.
    Nothing,
    /// What the sender's protocol asks for.
    Reply(Reply),
    /// Nobody learns why.
    Unauthorized,
    /// The request is not what the source expects.
    Malformed(String),
    /// The content type is not one the source reads.
    UnsupportedMediaType(String),
}

/// Why the sender has to try again.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The source component crashed or exceeded a limit.
    #[error(transparent)]
    Component(#[from] SandboxError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Receives webhooks.
#[derive(Debug)]
pub struct Webhooks {
    store: Store,
    sandbox: Arc<Sandbox>,
    clock: Clock,
    catalog: Catalog,
    /// The endpoints, and the definitions they were opened for.
    endpoints: RwLock<(Arc<Definitions>, Endpoints)>,
    decoy: OpenEndpoint,
    inbox: InboxSender,
}

impl Webhooks {
    /// Receives on the endpoints of the catalog.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new(
        store: Store,
        sandbox: Arc<Sandbox>,
        clock: Clock,
        catalog: Catalog,
        inbox: InboxSender,
    ) -> Result<Self, String> {
        let definitions = catalog.now();
        let endpoints = Endpoints::open(&definitions);
        let endpoints = RwLock::new((definitions, endpoints));
        Ok(Self { store, sandbox, clock, catalog, endpoints, decoy: decoy(clock)?, inbox })
    }

    /// What is at an address at present.
    pub fn find(&self, address: &Address) -> Option<EndpointState> {
        {
            let opened = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&opened.0, &self.catalog.now()) {
                return opened.1.find(address);
            }
        }
        // The first to come after a change opens for all.
        let mut opened = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.catalog.now();
        if !Arc::ptr_eq(&opened.0, &now) {
            let endpoints = Endpoints::open(&now);
            *opened = (now, endpoints);
        }
        opened.1.find(address)
    }

    /// Receives one request. When this returns [`Answer::Accepted`], its events are durable.
    ///
    /// # Errors
    /// When the sender should try again; then nothing was accepted.
    pub async fn receive(
        &self,
        endpoint: &OpenEndpoint,
        request: WebhookRequest,
    ) -> Result<Answer, IngressError> {
        let WebhookRequest { traceparent, body, .. } = &request;
        let (traceparent, body) = (traceparent.clone(), body.clone());
        let (id, received_at) = (self.clock.event_id(), self.clock.now());
        let received = self.read(endpoint, request, &id, received_at).await?;
        let activations = match self.outcome(endpoint, &received) {
            Ok(activations) => activations,
            Err(answer) => return Ok(answer),
        };
        let seed = Seed { endpoint, received: &received, id, received_at, traceparent, body };
        match self.deliveries(&seed, activations) {
            Ok(deliveries) => Ok(self.accept(deliveries).await?),
            Err(reason) => Ok(unfit(endpoint, &reason)),
        }
    }

    /// Does for an unknown endpoint what it takes to refuse a wrong signature.
    ///
    /// # Errors
    /// As [`Webhooks::receive`].
    pub async fn refuse(&self, request: WebhookRequest) -> Result<(), IngressError> {
        let (id, received_at) = (self.clock.event_id(), self.clock.now());
        self.read(&self.decoy, request, &id, received_at).await?;
        Ok(())
    }

    async fn read(
        &self,
        endpoint: &OpenEndpoint,
        request: WebhookRequest,
        id: &EventId,
        received_at: Time,
    ) -> Result<Received, SandboxError> {
        let WebhookRequest { method, headers, query, sent, body, .. } = request;
        let (config, secrets) = (Arc::clone(&endpoint.config), Arc::clone(&endpoint.secrets));
        let id = id.clone();
        let request =
            Request { id, received_at, method, headers, query, sent, body, config, secrets };
        let definition = &endpoint.definition;
        self.sandbox.receive(&definition.source, &definition.scope, request).await
    }

    /// The activations that may be accepted, or the answer that ends the request.
    fn outcome(
        &self,
        endpoint: &OpenEndpoint,
        received: &Received,
    ) -> Result<Vec<Activation>, Answer> {
        let slug = &endpoint.definition.slug;
        match &received.answer {
            Err(Rejection::Unauthorized) => {
                let failure = received.proof.failure.map(|failure| failure.to_string());
                tracing::info!(
                    endpoint = %slug, reason = failure,
                    "webhook rejected: not authorized"
                );
                Err(Answer::Unauthorized)
            }
            // Whatever else it says: a sender who has proved nothing learns nothing.
            _ if !endpoint.secrets.is_empty() && received.proof.verified.is_none() => {
                tracing::warn!(
                    endpoint = %slug,
                    "webhook rejected: the source component verified no signature"
                );
                Err(Answer::Unauthorized)
            }
            Err(Rejection::Unfit(why)) => Err(unfit(endpoint, why)),
            Err(Rejection::Malformed(why)) => Err(Answer::Malformed(why.clone())),
            Err(Rejection::UnsupportedMediaType(why)) => {
                Err(Answer::UnsupportedMediaType(why.clone()))
            }
            Ok(Outcome::Reply(reply)) => Err(Answer::Reply(reply.clone())),
            Ok(Outcome::Activations(list)) if list.is_empty() => Err(Answer::Nothing),
            Ok(Outcome::Activations(list)) => Ok(list.clone()),
        }
    }

    /// The events that these mean, or why one of them is not a webhook's to make.
    fn deliveries(
        &self,
        seed: &Seed<'_>,
        activations: Vec<Activation>,
    ) -> Result<Vec<Delivery>, String> {
        let mut deliveries = Vec::with_capacity(activations.len());
        for (i, activation) in activations.into_iter().enumerate() {
            refuse_reserved(seed, &activation)?;
            let id = if i == 0 { seed.id.clone() } else { self.clock.event_id() };
            deliveries.push(seed.delivery(i, id, activation));
        }
        Ok(deliveries)
    }

    async fn accept(&self, deliveries: Vec<Delivery>) -> Result<Answer, StoreError> {
        let events: Vec<Arc<Event>> = deliveries.iter().map(|d| Arc::clone(&d.event)).collect();
        let accepted = events::accept(&self.store, deliveries).await?;
        let (mut any_new, mut any_known) = (false, false);
        let ids = accepted.into_iter().zip(events).map(|(accepted, event)| match accepted {
            Accepted::New(id) => {
                any_new = true;
                self.inbox.put(event);
                id
            }
            Accepted::Duplicate(id) => {
                any_known = true;
                id
            }
            Accepted::Refused(id) => id,
        });
        let ids = ids.collect();
        Ok(match (any_new, any_known) {
            (true, _) => Answer::Accepted(ids),
            (false, true) => Answer::Known(ids),
            (false, false) => Answer::Repeated(ids),
        })
    }
}

/// What the source made of the request is nothing that the host takes. Its sender hears so, since
/// sending it again helps nobody.
fn unfit(endpoint: &OpenEndpoint, reason: &str) -> Answer {
    let Endpoint { slug, source, .. } = &endpoint.definition;
    tracing::warn!(endpoint = %slug, component = %source, reason, "webhook rejected");
    Answer::Malformed(format!("what `{source}` makes of it cannot be taken: {reason}"))
}

fn refuse_reserved(seed: &Seed<'_>, activation: &Activation) -> Result<(), String> {
    let kind = &activation.kind;
    if Source::Webhook.may_mint(seed.endpoint.definition.slug.as_str(), kind) {
        return Ok(());
    }
    Err(format!("a webhook source may not make events of the kind `{kind}`"))
}

/// What all events of one request have in common.
struct Seed<'r> {
    endpoint: &'r OpenEndpoint,
    received: &'r Received,
    id: EventId,
    received_at: Time,
    traceparent: Option<String>,
    body: Bytes,
}

impl Seed<'_> {
    fn delivery(&self, index: usize, id: EventId, activation: Activation) -> Delivery {
        let definition = &self.endpoint.definition;
        let mut identities = Vec::new();
        let mut meaning = None;
        for identity in &activation.identities {
            match identity {
                Identity::BodyHash => meaning = Some(Meaning::Same),
                Identity::Id(id) => {
                    identities.push(named(index, id));
                    if !self.received.proof.signed.contains(id) {
                        meaning = meaning.or(Some(Meaning::Replay(definition.replay)));
                    }
                }
            }
        }
        let likeness = meaning.map(|meaning| self.likeness(index, &activation.kind, meaning));
        let verified = self.received.proof.verified.as_ref().map(|(scheme, key_ref)| Verified {
            scheme: scheme.clone(),
            key_ref: key_ref.to_string(),
            at: self.received_at,
        });
        let event = Event {
            id,
            scope: definition.scope.clone(),
            kind: activation.kind,
            source: Source::Webhook,
            way: Way::Endpoint(Arrival {
                webhook_id: definition.id.clone(),
                slug: definition.slug.clone(),
            }),
            occurred_at: activation.occurred_at.unwrap_or(self.received_at),
            received_at: self.received_at,
            origin: self.received.origin.clone(),
            verified,
            depth: 0,
            causes: Vec::new(),
            traceparent: self.traceparent.clone(),
            body: self.body.clone(),
            payload: activation.payload,
        };
        Delivery { event: Arc::new(event), identities, likeness }
    }

    fn likeness(&self, index: usize, kind: &Kind, meaning: Meaning) -> Likeness {
        let body: &[u8] = &self.body;
        // No kind has a space.
        let kind = format!("kind {kind} ");
        Likeness {
            hash: hash(index, [kind.as_bytes(), body]),
            former: hash(index, [b"body", body]),
            meaning,
        }
    }
}

/// The keys by which the first events of the delivery with this identifier are found, on any of
/// these endpoints.
pub fn delivery_keys<'e>(
    endpoints: impl IntoIterator<Item = &'e Endpoint>,
    id: &str,
) -> Vec<String> {
    let identities: Vec<_> = (0..EVENTS_FOUND_MAX).map(|index| named(index, id)).collect();
    let keys = |endpoint: &'e Endpoint| {
        identities.iter().map(|identity| events::key(endpoint.id.as_str(), identity))
    };
    endpoints.into_iter().flat_map(keys).collect()
}

/// What an event of a delivery is recognised by that has an identifier.
fn named(index: usize, id: &str) -> [u8; 32] {
    hash(index, [b"id", id.as_bytes()])
}

/// Events of one request are told apart by their place in it.
fn hash(index: usize, parts: [&[u8]; 2]) -> [u8; 32] {
    let hash = Sha256::new().chain_update((index as u64).to_be_bytes());
    parts.iter().fold(hash, |hash, part| hash.chain_update(part)).finalize().into()
}

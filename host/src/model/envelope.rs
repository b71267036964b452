//! Events and their normalised form, the envelope: all that filters and templates see.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::id::{EventId, WebhookId};
use super::json::{self, NotJson};
use super::name::{Kind, Name, Slug};
use super::scope::Scope;
use super::time::Time;

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An HTTP request on an endpoint.
    Webhook,
}

impl Source {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "webhook" => Ok(Self::Webhook),
            _ => Err(format!("`{text}` is not a source")),
        }
    }
}

/// A component as it was when it made something: enough to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The component's name.
    pub component: Name,
    /// Its version, as its author wrote it.
    pub version: String,
    /// `sha256:` and the digest of its bytes.
    pub digest: String,
}

/// What the host verified of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The signature scheme, by the source component's word.
    pub scheme: String,
    /// The reference of the secret that fitted.
    pub key_ref: String,
    /// When it was checked.
    pub at: Time,
}

/// The endpoint that an event came in on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// The endpoint's stable identifier.
    pub webhook_id: WebhookId,
    /// Its slug at that time.
    pub slug: Slug,
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The raw body, which is JSON.
    Body,
    /// JSON that the source component made.
    Json(Bytes),
}

/// One thing that arrived, as it is kept in the inbox.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its identifier.
    pub id: EventId,
    /// Whose it is.
    pub scope: Scope,
    /// What happened.
    pub kind: Kind,
    /// Where it came from.
    pub source: Source,
    /// The endpoint, for webhooks.
    pub arrival: Arrival,
    /// When it happened, by the sender's word; else when it was received.
    pub occurred_at: Time,
    /// When the host had all of it.
    pub received_at: Time,
    /// The source component.
    pub origin: Origin,
    /// What was verified; none for endpoints that declare `verification = "none"`.
    pub verified: Option<Verified>,
    /// How many runs lie between this event and the outside world.
    pub depth: u32,
    /// The runs or events that led to it.
    pub causes: Vec<String>,
    /// The trace it belongs to (W3C Trace Context), where the sender gave one.
    pub traceparent: Option<String>,
    /// The raw form.
    pub body: Bytes,
    /// What filters and templates see as `data`.
    pub payload: Payload,
}

impl Event {
    /// The JSON text of `data`.
    pub fn data(&self) -> &Bytes {
        match &self.payload {
            Payload::Body => &self.body,
            Payload::Json(json) => json,
        }
    }
}

/// An event with its data parsed, once for all the triggers that look at it.
#[derive(Clone, Debug)]
pub struct Envelope {
    event: Arc<Event>,
    data: Arc<Value>,
}

impl Envelope {
    /// Opens an event.
    ///
    /// # Errors
    /// When its data is not JSON, which ingress has made sure of.
    pub fn open(event: Arc<Event>) -> Result<Self, NotJson> {
        let data = Arc::new(json::parse(event.data())?);
        Ok(Self { event, data })
    }

    /// The event itself.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The value at a dotted path: `kind`, `data.issue.number`, `origin.digest`.
    pub fn at(&self, path: &str) -> Option<Cow<'_, Value>> {
        if path == "data" {
            return Some(Cow::Borrowed(&self.data));
        }
        match path.strip_prefix("data.") {
            Some(rest) => json::at(&self.data, rest).map(Cow::Borrowed),
            None => json::at(&self.stamps(), path).cloned().map(Cow::Owned),
        }
    }

    /// The scalar at a dotted path as text; see [`json::scalar_text`].
    pub fn text_at(&self, path: &str) -> Option<String> {
        // The fields that every filter asks for are answered without building the stamps.
        match path {
            "kind" => Some(self.event.kind.to_string()),
            "source" => Some(self.event.source.as_str().to_owned()),
            _ => json::scalar_text(self.at(path)?.as_ref()).map(Cow::into_owned),
        }
    }

    /// The whole envelope.
    pub fn to_json(&self) -> Value {
        let mut whole = self.stamps();
        whole["data"] = (*self.data).clone();
        whole
    }

    /// All but `data`.
    fn stamps(&self) -> Value {
        let event = &*self.event;
        let mut stamps = json!({
            "id": event.id,
            "kind": event.kind,
            "scope": event.scope.word(),
            "source": event.source,
            "endpoint": event.arrival,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
            "origin": event.origin,
            "verified": event.verified,
            "depth": event.depth,
            "causes": event.causes,
            "traceparent": event.traceparent,
        });
        if event.scope != Scope::Global {
            stamps["workspace_id"] = event.scope.workspace_id().into();
        }
        stamps
    }
}

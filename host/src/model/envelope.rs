//! Events and their normalised form, the envelope: all that filters and templates see.

mod batch;

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
pub use batch::{BATCH_BYTES_MAX, Batch, TooLarge};

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An HTTP request on an endpoint.
    Webhook,
    /// A point in the host's own life.
    Hook,
    /// Something that the host watches.
    Observer,
    /// A component that polls something outside.
    Extension,
}

/// The first segments of the kinds that observers make.
const OBSERVED: [&str; 4] = ["session", "file", "queue", "run"];

impl Source {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Webhook, "webhook"),
        (Self::Hook, "hook"),
        (Self::Observer, "observer"),
        (Self::Extension, "extension"),
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(source, _)| *source == self).map_or("", |(_, word)| word)
    }

    /// Whether a component of the source called `producer` may make events of a kind: none may make
    /// another source's, and an extension none of another extension's.
    pub fn may_mint(self, producer: &str, kind: &Kind) -> bool {
        let first = kind.as_str().split('.').next().unwrap_or_default();
        match self {
            Self::Webhook => first != "hook" && first != "ext" && !OBSERVED.contains(&first),
            Self::Hook => kind.as_str().starts_with("hook."),
            Self::Observer => OBSERVED.contains(&first),
            Self::Extension => {
                let own = kind.as_str().strip_prefix("ext.").and_then(|k| k.strip_prefix(producer));
                own.is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(source, _)| *source).ok_or_else(|| format!("`{text}` is not a source"))
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

/// The hook, observer or extension that made an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its identifier.
    pub id: String,
    /// Its name at that time.
    pub name: Name,
}

/// By which way an event came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// On an endpoint.
    Endpoint(Arrival),
    /// From a hook, an observer or an extension.
    Producer(Producer),
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
    /// By which way it came in.
    pub way: Way,
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
    /// How deep chains of runs and the events that they cause may go; an event this deep is kept
    /// and not activated.
    pub const DEPTH_MAX: u32 = 8;

    /// One that brings the same once more, and is caused by it.
    pub fn again(&self, id: EventId, now: Time, traceparent: Option<String>) -> Self {
        let mut again = Self { id, received_at: now, traceparent, ..self.clone() };
        again.causes.push(self.id.to_string());
        again
    }

    /// The endpoint, for webhooks.
    pub fn endpoint(&self) -> Option<&Arrival> {
        match &self.way {
            Way::Endpoint(arrival) => Some(arrival),
            Way::Producer(_) => None,
        }
    }

    /// What made it, unless it came in on an endpoint.
    pub fn producer(&self) -> Option<&Producer> {
        match &self.way {
            Way::Endpoint(_) => None,
            Way::Producer(producer) => Some(producer),
        }
    }

    /// The JSON text of `data`, as it came.
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

    /// Whether what stands at a path is the sender's word; all else is the host's.
    pub fn is_senders(path: &str) -> bool {
        path.strip_prefix("data")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// The value at a path: `kind`, `data.issue.number`, `data.labels[0]`, `origin.digest`.
    pub fn at(&self, path: &str) -> Option<Cow<'_, Value>> {
        let Some(rest) = path.strip_prefix("data") else {
            return json::at(&self.stamps(), path).cloned().map(Cow::Owned);
        };
        match (rest.strip_prefix('.'), rest.as_bytes().first()) {
            (_, None) => Some(Cow::Borrowed(&self.data)),
            (Some(below), _) => json::at(&self.data, below).map(Cow::Borrowed),
            (None, Some(b'[')) => json::at(&self.data, rest).map(Cow::Borrowed),
            (None, Some(_)) => None,
        }
    }

    /// The scalar at a path as text; see [`json::scalar_text`].
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
            "endpoint": event.endpoint(),
            "producer": event.producer(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_data_is_the_senders_in_every_spelling() {
        for path in ["data", "data.a", "data.[a.b]", "data[\"a.b\"].c", "data[0]"] {
            assert!(Envelope::is_senders(path), "{path}");
        }
        for path in ["kind", "database", "[data]", ""] {
            assert!(!Envelope::is_senders(path), "{path}");
        }
    }

    #[test]
    fn no_source_mints_anothers_kinds() {
        use Source::*;
        for (source, producer, kind, allowed) in [
            (Webhook, "github", "github.push", true),
            (Webhook, "hooks", "hook.run.failed", false),
            (Webhook, "hooks", "hook", false),
            (Webhook, "hooks", "ext.rss.item", false),
            (Webhook, "hooks", "file.created", false),
            (Webhook, "hooks", "session.stopped", false),
            (Webhook, "hooks", "hooked.x", true),
            (Hook, "lifecycle", "hook.run.failed", true),
            (Hook, "lifecycle", "run.failed", false),
            (Observer, "inbox", "file.created", true),
            (Observer, "inbox", "run.failed", true),
            (Observer, "inbox", "hook.run.failed", false),
            (Observer, "inbox", "github.push", false),
            (Extension, "rss", "ext.rss.item", true),
            (Extension, "rss", "ext.rss", false),
            (Extension, "rss", "ext.rssx.item", false),
            (Extension, "rss", "ext.other.item", false),
            (Extension, "a.b", "ext.a.b.item", true),
        ] {
            let verdict = source.may_mint(producer, &kind.parse().unwrap());
            assert_eq!(verdict, allowed, "{} {producer} {kind}", source.as_str());
        }
    }
}

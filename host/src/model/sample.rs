//! Samples: events that somebody wrote down to try filters and templates on.
//!
//! A sample is an envelope as JSON. Only `kind` has to be there; whatever else the host would have
//! stamped has a default, and what is there has to be right. A sample's identifier comes from its
//! data and the time it was received, so that the same sample gives the same answers.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::envelope::{Arrival, Envelope, Event, Origin, Payload, Producer, Source, Way};
use super::id::{EventId, WebhookId};
use super::name::{InvalidName, Kind, Slug};
use super::problem::Problems;
use super::scope::Scope;
use super::time::Time;

const FIELDS: [&str; 15] = [
    "kind",
    "data",
    "scope",
    "workspace_id",
    "source",
    "id",
    "occurred_at",
    "received_at",
    "depth",
    "endpoint",
    "producer",
    "origin",
    "verified",
    "causes",
    "traceparent",
];

/// What holds for a sample that does not say it.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Whose event it is.
    pub scope: Scope,
    /// When it was received.
    pub now: Time,
}

/// The envelope of a sample. Without `data`, its data is an empty object.
///
/// # Errors
/// Everything that is wrong with it, each by its path.
pub fn envelope(sample: &Value, defaults: Defaults) -> Result<Envelope, Problems> {
    let mut problems = Problems::default();
    let event = match sample {
        Value::Object(fields) => Fields { fields, problems: &mut problems }.event(defaults),
        _ => {
            let shape = r#"an envelope is an object such as {"kind": "github.issues", "data": {}}"#;
            problems.add("", shape);
            None
        }
    };
    let opened = event.map(|event| Envelope::open(Arc::new(event)));
    let envelope = opened.and_then(|opened| problems.take("data", opened));
    problems.unless_any(envelope).and_then(|envelope| envelope.ok_or_else(Problems::default))
}

struct Fields<'s, 'p> {
    fields: &'s Map<String, Value>,
    problems: &'p mut Problems,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    slug: Slug,
    webhook_id: Option<WebhookId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Global,
    Workspace,
}

impl Fields<'_, '_> {
    fn event(mut self, defaults: Defaults) -> Option<Event> {
        self.refuse_unknown();
        let kind: Option<Kind> = self.required("kind", "it says what happened: `github.issues`");
        let scope = self.scope(defaults.scope);
        let received_at = self.field("received_at").unwrap_or(defaults.now);
        let data = self.fields.get("data").map_or_else(|| "{}".to_owned(), Value::to_string);
        let digest: [u8; 32] = Sha256::digest(&data).into();
        Some(Event {
            id: self.field("id").unwrap_or_else(|| id(received_at, &digest)),
            source: self.field("source").unwrap_or(Source::Webhook),
            way: self.way(&scope),
            occurred_at: self.field("occurred_at").unwrap_or(received_at),
            origin: self.field("origin").unwrap_or_else(|| origin(&digest)),
            verified: self.field("verified"),
            depth: self.field("depth").unwrap_or_default(),
            causes: self.field("causes").unwrap_or_default(),
            traceparent: self.field("traceparent"),
            received_at,
            scope,
            body: Bytes::from(data),
            payload: Payload::Body,
            kind: kind?,
        })
    }

    fn refuse_unknown(&mut self) {
        for name in self.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            let known = FIELDS.join(", ");
            self.problems.add(name, format_args!("is no field of an envelope; those are {known}"));
        }
    }

    /// A field that may be missing, or null.
    fn field<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        self.problems.take(name, T::deserialize(value))
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str, meaning: &str) -> Option<T> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            self.problems.add(name, format_args!("is missing; {meaning}"));
        }
        self.field(name)
    }

    /// The producer when one is given, else the endpoint.
    fn way(&mut self, scope: &Scope) -> Way {
        match self.field::<Producer>("producer") {
            Some(producer) => Way::Producer(producer),
            None => Way::Endpoint(self.arrival(scope)),
        }
    }

    /// The scope by `scope` and `workspace_id`, either of which will do.
    fn scope(&mut self, default: Scope) -> Scope {
        let word: Option<Word> = self.field("scope");
        let workspace = self.field::<String>("workspace_id").filter(|id| !id.is_empty());
        match (word, workspace) {
            (Some(Word::Global), Some(_)) => {
                self.problems.add("workspace_id", "the scope is `global`, which has none");
                default
            }
            (_, Some(id)) => {
                self.problems.take("workspace_id", Scope::parse(&id)).unwrap_or(default)
            }
            (Some(Word::Workspace), None) if default == Scope::Global => {
                self.problems.add("workspace_id", "is missing; the scope is `workspace`");
                default
            }
            (Some(Word::Global), None) => Scope::Global,
            (Some(Word::Workspace) | None, None) => default,
        }
    }

    fn arrival(&mut self, scope: &Scope) -> Arrival {
        let unnamed = || Endpoint { slug: unnamed(), webhook_id: None };
        let Endpoint { slug, webhook_id } = self.field("endpoint").unwrap_or_else(unnamed);
        let derived = || WebhookId::derive(scope, slug.as_str());
        Arrival { webhook_id: webhook_id.unwrap_or_else(derived), slug }
    }
}

fn id(received_at: Time, digest: &[u8; 32]) -> EventId {
    let random = std::array::from_fn(|i| digest[i]);
    EventId::mint(received_at, random)
}

fn origin(digest: &[u8; 32]) -> Origin {
    let digest = format!("sha256:{}", hex::encode(digest));
    Origin { component: unnamed(), version: "0".to_owned(), digest }
}

/// What the component and the endpoint of a sample are called that names none.
fn unnamed<T: FromStr<Err = InvalidName>>() -> T {
    "sample".parse().expect("a name")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(sample: Value) -> Result<Value, Vec<String>> {
        let defaults = Defaults { scope: Scope::Global, now: Time::from_millis(1_000).unwrap() };
        envelope(&sample, defaults)
            .map(|envelope| envelope.to_json())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_kind_is_enough() {
        let found = read(json!({"kind": "github.push"})).unwrap();
        for (field, wanted) in [
            ("data", json!({})),
            ("scope", json!("global")),
            ("workspace_id", Value::Null),
            ("source", json!("webhook")),
            ("occurred_at", json!("1970-01-01T00:00:01.000Z")),
            ("received_at", json!("1970-01-01T00:00:01.000Z")),
            ("depth", json!(0)),
            ("causes", json!([])),
            ("verified", Value::Null),
            ("traceparent", Value::Null),
        ] {
            assert_eq!(found[field], wanted, "{field}");
        }
        assert_eq!(found["endpoint"]["slug"], "sample");
        assert_eq!(read(json!({"kind": "github.push"})).unwrap(), found);
    }

    /// An event's own envelope is a sample, and comes out as it went in.
    #[test]
    fn an_envelope_reads_back() {
        let whole = json!({
            "kind": "github.issues", "data": {"issue": {"number": 42}, "a": [1, 2.5, null]},
            "scope": "workspace", "workspace_id": "acme", "source": "webhook",
            "id": format!("evt_{:032x}", 7), "depth": 3, "causes": ["run_1"],
            "occurred_at": "2026-01-31T08:59:59.000Z", "received_at": "2026-01-31T09:00:00.000Z",
            "endpoint": {"slug": "gh", "webhook_id": format!("wbh_{:032x}", 8)},
            "producer": null,
            "origin": {"component": "github", "version": "0.1.0", "digest": "sha256:ab"},
            "verified": {"scheme": "github", "key_ref": "env:S", "at": "2026-01-31T09:00:00.000Z"},
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        });
        assert_eq!(read(whole.clone()).unwrap(), whole);
    }

    #[test]
    fn the_scope_is_what_either_field_says() {
        let scope = |sample: Value| {
            let found = read(sample).unwrap();
            (found["scope"].clone(), found["workspace_id"].clone())
        };
        let acme = (json!("workspace"), json!("acme"));
        assert_eq!(scope(json!({"kind": "a", "workspace_id": "acme"})), acme);
        let global = (json!("global"), Value::Null);
        assert_eq!(scope(json!({"kind": "a", "scope": "global", "workspace_id": ""})), global);
    }

    #[test]
    fn everything_wrong_is_said_by_its_path() {
        for (sample, paths) in [
            (json!([]), &[""][..]),
            (json!(null), &[""]),
            (json!({}), &["kind"]),
            (json!({"kind": null}), &["kind"]),
            (json!({"kind": "GitHub"}), &["kind"]),
            (json!({"kind": 5, "depth": -1, "id": "evt_1"}), &["kind", "id", "depth"]),
            (json!({"action": "opened", "issue": {}}), &["action", "issue", "kind"]),
            (json!({"kind": "a", "source": "pigeon"}), &["source"]),
            (json!({"kind": "a", "received_at": "yesterday"}), &["received_at"]),
            (json!({"kind": "a", "occurred_at": 5}), &["occurred_at"]),
            (json!({"kind": "a", "scope": "planet"}), &["scope"]),
            (json!({"kind": "a", "scope": "workspace"}), &["workspace_id"]),
            (json!({"kind": "a", "scope": "global", "workspace_id": "b"}), &["workspace_id"]),
            (json!({"kind": "a", "workspace_id": "Acme"}), &["workspace_id"]),
            (json!({"kind": "a", "causes": "run_1"}), &["causes"]),
            (json!({"kind": "a", "endpoint": {"slug": "a--b"}}), &["endpoint"]),
            (json!({"kind": "a", "origin": {"component": "c"}}), &["origin"]),
            (json!({"kind": "a", "verified": {}, "traceparent": 1}), &["verified", "traceparent"]),
        ] {
            let found = read(sample.clone()).unwrap_err();
            let starts: Vec<&str> = found.iter().filter_map(|p| p.split(": ").next()).collect();
            assert_eq!(starts, paths, "{sample}: {found:?}");
        }
    }
}

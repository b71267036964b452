//! Several events as one: what a trigger with `batch` renders.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Envelope, Event};

/// The largest envelope that a batch may make, in bytes of JSON.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The batch's envelope would be larger than [`BATCH_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its events have more than {BATCH_BYTES_MAX} bytes together")]
pub struct TooLarge;

/// Envelopes, gathered one by one, the oldest first.
#[derive(Debug, Default)]
pub struct Batch {
    events: Vec<Value>,
    bytes: usize,
    depth: u32,
    causes: Vec<String>,
    known: HashSet<String>,
    last: Option<Arc<Event>>,
}

impl Batch {
    /// Adds the next.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn add(&mut self, envelope: &Envelope) -> Result<(), TooLarge> {
        let json = envelope.to_json();
        self.bytes += json.to_string().len();
        if self.bytes > BATCH_BYTES_MAX {
            return Err(TooLarge);
        }
        self.events.push(json);
        self.depth = self.depth.max(envelope.event.depth);
        for cause in &envelope.event.causes {
            if self.known.insert(cause.clone()) {
                self.causes.push(cause.clone());
            }
        }
        self.last = Some(Arc::clone(&envelope.event));
        Ok(())
    }

    /// The envelope that stands for all of them; none when there are none. Its stamps are those of
    /// the last, but that it lies as deep as the deepest, and what caused one of them caused it. Of
    /// its `data`, `count` says how many they are, and `events` has their envelopes.
    pub fn envelope(self) -> Option<Envelope> {
        let last = self.last?;
        let event = Event { depth: self.depth, causes: self.causes, ..(*last).clone() };
        let data = json!({ "count": self.events.len(), "events": self.events });
        Some(Envelope { event: Arc::new(event), data: Arc::new(data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::envelope::{Arrival, Origin, Payload, Source, Way};
    use crate::model::id::{EventId, WebhookId};
    use crate::model::scope::Scope;
    use crate::model::time::Time;

    fn envelope(number: u8, depth: u32, causes: &[&str], data: String) -> Envelope {
        let at = Time::from_millis(i64::from(number) * 1000).unwrap();
        let slug = "hooks".parse().unwrap();
        let event = Event {
            id: EventId::mint(at, [number; 10]),
            scope: Scope::Global,
            kind: "github.push".parse().unwrap(),
            source: Source::Webhook,
            way: Way::Endpoint(Arrival {
                webhook_id: WebhookId::derive(&Scope::Global, "hooks"),
                slug,
            }),
            occurred_at: at,
            received_at: at,
            origin: Origin {
                component: "github".parse().unwrap(),
                version: "0.1.0".to_owned(),
                digest: "sha256:00".to_owned(),
            },
            verified: None,
            depth,
            causes: causes.iter().map(|&cause| cause.to_owned()).collect(),
            traceparent: None,
            body: data.into(),
            payload: Payload::Body,
        };
        Envelope::open(Arc::new(event)).unwrap()
    }

    #[test]
    fn a_batch_has_the_last_ones_stamps_and_everyones_past() {
        let all = [
            envelope(1, 2, &["run_a", "run_b"], r#"{"n":1}"#.to_owned()),
            envelope(2, 0, &[], r#"{"n":2}"#.to_owned()),
            envelope(3, 1, &["run_b", "run_c"], r#"{"n":3}"#.to_owned()),
        ];
        let mut batch = Batch::default();
        all.iter().for_each(|one| batch.add(one).unwrap());
        let whole = batch.envelope().unwrap();
        assert_eq!(whole.event().id, all[2].event().id);
        assert_eq!(whole.event().depth, 2);
        assert_eq!(whole.event().causes, ["run_a", "run_b", "run_c"]);
        assert_eq!(whole.text_at("data.count").as_deref(), Some("3"));
        assert_eq!(whole.text_at("data.events.0.data.n").as_deref(), Some("1"));
        assert_eq!(*whole.at("data.events.2").unwrap(), all[2].to_json());
        assert!(Batch::default().envelope().is_none());
    }

    #[test]
    fn a_batch_holds_eight_mebibytes() {
        let large = envelope(1, 0, &[], format!("{:?}", "x".repeat(4 * 1024 * 1024 - 2000)));
        let mut batch = Batch::default();
        assert_eq!(batch.add(&large), Ok(()));
        assert_eq!(batch.add(&large), Ok(()));
        assert_eq!(batch.add(&large), Err(TooLarge));
    }
}

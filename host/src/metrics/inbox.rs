//! What arrives, and what triggers make of it.

use super::book::{Book, Counts};
use super::limits::Limits;
use crate::model::decision::Outcome;
use crate::model::envelope::Source;

/// How a webhook request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// Its events are in the inbox.
    Accepted,
    /// They were there before.
    Duplicate,
    /// They read like earlier ones, and the endpoint refuses that.
    Repeated,
    /// It leads to no event.
    Nothing,
    /// The sender's protocol asks for an answer of its own.
    Reply,
    /// It proves nothing, or wrongly.
    Unauthorized,
    /// It is not what the source reads.
    Malformed,
    /// Nothing is at its address.
    Unknown,
    /// Its body is too large, or did not come.
    Unreadable,
    /// The sender has to try again.
    Unavailable,
}

impl WebhookOutcome {
    const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Repeated,
        Self::Nothing,
        Self::Reply,
        Self::Unauthorized,
        Self::Malformed,
        Self::Unknown,
        Self::Unreadable,
        Self::Unavailable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Repeated => "repeated",
            Self::Nothing => "nothing",
            Self::Reply => "reply",
            Self::Unauthorized => "unauthorized",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What arrives.
#[derive(Debug)]
pub struct Inbox {
    webhooks: Counts<1>,
    events: Counts<2>,
    decisions: Counts<1>,
    limits: Limits,
}

impl Inbox {
    pub(super) fn new(book: &mut Book) -> Self {
        let new = Self {
            webhooks: book.counts(
                "hillock_webhook_requests",
                ["outcome"],
                "Requests to endpoints, by how they were answered",
            ),
            events: book.counts(
                "hillock_events",
                ["source", "outcome"],
                "Events that came in: accepted into the inbox, or known already",
            ),
            decisions: book.counts(
                "hillock_decisions",
                ["outcome"],
                "What triggers decided on events; what is held for a burst or batch, or deferred by a \
                 fire limit, counts again when that is decided",
            ),
            limits: Limits::default(),
        };
        for outcome in WebhookOutcome::ALL {
            new.webhooks.add([outcome.as_str()], 0);
        }
        new.events.add([Source::Webhook.as_str(), "accepted"], 0);
        for outcome in [Outcome::Fired, Outcome::Limited, Outcome::Deferred] {
            new.decisions.add([outcome.as_str()], 0);
        }
        new
    }

    /// A webhook request was answered.
    pub fn webhook(&self, outcome: WebhookOutcome) {
        self.webhooks.add([outcome.as_str()], 1);
    }

    pub(super) fn event(&self, source: Source, new: bool) {
        self.events.add([source.as_str(), if new { "accepted" } else { "duplicate" }], 1);
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn decided(&self, outcome: Outcome) {
        self.decisions.add([outcome.as_str()], 1);
    }
}

//! What senders post: GitHub's webhooks with the fields that GitHub gives them, of people and
//! repositories that do not exist.

use serde_json::Value;

/// A delivery that GitHub makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    IssueOpened,
    IssueClosed,
    Push,
    Ping,
}

impl Payload {
    /// The value of `X-GitHub-Event`.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::IssueOpened | Self::IssueClosed => "issues",
            Self::Push => "push",
            Self::Ping => "ping",
        }
    }

    pub(crate) fn json(self) -> Value {
        let text = match self {
            Self::IssueOpened => include_str!("../payloads/issues_opened.json"),
            Self::IssueClosed => include_str!("../payloads/issues_closed.json"),
            Self::Push => include_str!("../payloads/push.json"),
            Self::Ping => include_str!("../payloads/ping.json"),
        };
        serde_json::from_str(text).unwrap()
    }

    /// The body as GitHub posts it, on one line.
    pub(crate) fn body(self) -> Vec<u8> {
        self.json().to_string().into_bytes()
    }
}

/// The body of the issue with this number, opened.
pub(crate) fn issue(number: u64) -> Vec<u8> {
    let mut opened = Payload::IssueOpened.json();
    opened["issue"]["number"] = number.into();
    opened.to_string().into_bytes()
}

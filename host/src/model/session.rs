//! Sessions: conversations that runs belong to, one active command at a time.
//!
//! ```text
//! idle ──► starting ──► active ──► idle
//!            │  ▲         │
//!            │  └─────────┼── the command went back to the queue: idle, then starting again
//!            └──► stopping ◄┘  somebody asked its run to stop; idle when it has
//! ```
//! A session follows its runs, oldest first: while one of them is under way no later one begins. Its
//! lease belongs to one execution of one worker, `worker:command`, and runs with the command's.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{CommandId, RunId, SessionId, WorkerId};
use super::name::Name;
use super::scope::Scope;
use super::time::Time;
use super::words::words;

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 128;

/// What users call a conversation: 1 to 128 printable characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 128))]
pub struct SessionKey(String);

impl SessionKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let sound = (1..=KEY_BYTES_MAX).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        let wanted = || format!("a session key has 1 to {KEY_BYTES_MAX} printable characters");
        sound.then(|| Self(text.to_owned())).ok_or_else(wanted)
    }
}

impl TryFrom<String> for SessionKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> Self {
        key.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// Where a session stands.
    SessionState ("a session state") {
        /// Nobody works in it.
        Idle = "idle",
        /// A command is on its way to a worker.
        Starting = "starting",
        /// A program works.
        Active = "active",
        /// The program has been asked to stop.
        Stopping = "stopping",
    }
}

/// Who works in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLease {
    /// The worker.
    pub worker_id: WorkerId,
    /// The execution.
    pub command_id: CommandId,
    /// When it ends unless it is renewed.
    pub expires_at: Time,
}

impl SessionLease {
    /// The lease's owner as it is stored and shown.
    pub fn owner(&self) -> String {
        format!("{}:{}", self.worker_id, self.command_id)
    }
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Whose it is.
    pub scope: Scope,
    /// What its users call it.
    pub key: SessionKey,
    /// The agent of its first run.
    pub agent: Name,
    /// Where it stands.
    pub state: SessionState,
    /// Since when.
    pub state_at: Time,
    /// Who works in it.
    pub lease: Option<SessionLease>,
    /// Its latest run.
    pub last_run_id: Option<RunId>,
    /// When it began.
    pub created_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_and_short() {
        for key in ["a", "ticket 42", "https://example.com/x", "é"] {
            assert_eq!(key.parse::<SessionKey>().unwrap().as_str(), key);
        }
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for key in ["", " a", "a\n", "a\u{0}b", &long] {
            assert!(key.parse::<SessionKey>().is_err(), "{key:?}");
        }
    }
}

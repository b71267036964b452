//! Commands: one attempt of a run each, queued, leased and dispatched.
//!
//! ```text
//! pending ──► sent ──► running ──► completed | failed | canceled
//!    ▲          │         │
//!    └──────────┴─────────┘ the lease ran out, or the worker handed it back
//! ```
//! A claim gives the command a lease and a fresh token. The token is the fence: whatever a worker
//! writes carries it, and a worker whose lease was lost holds one that is no longer current.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::id::{CommandId, RunId};
use super::name::Name;
use super::scope::Scope;

/// How long a claimed command belongs to its worker without a sign of life.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often a command goes out before it fails as undeliverable.
pub const DISPATCH_ATTEMPTS_MAX: u32 = 3;

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandState {
    /// In the queue.
    Pending,
    /// Claimed, and on its way to a worker.
    Sent,
    /// The worker has begun.
    Running,
    /// Done.
    Completed,
    /// Not done.
    Failed,
    /// Called off.
    Canceled,
}

impl CommandState {
    /// Every state with its word.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Pending, "pending"),
        (Self::Sent, "sent"),
        (Self::Running, "running"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Canceled, "canceled"),
    ];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// Whether nothing can change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }
}

impl FromStr for CommandState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(state, _)| *state).ok_or_else(|| format!("`{text}` is not a command state"))
    }
}

/// The proof that a command is held: `hlk-cmd-` and 64 hexadecimal digits. Only its hash is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// A token of these random bytes.
    pub fn mint(random: [u8; 32]) -> Self {
        Self(format!("hlk-cmd-{}", hex::encode(random)))
    }

    /// What the store keeps of it. Comparing hashes tells nothing of the token by its timing.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A command in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The command.
    pub id: CommandId,
    /// Its run.
    pub run_id: RunId,
    /// Whose it is.
    pub scope: Scope,
    /// Who does the work.
    pub agent: Name,
    /// What they are asked.
    pub prompt: String,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The fence.
    pub token: Token,
}

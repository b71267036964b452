//! Commands: what is queued, leased and dispatched to a worker. Most are one attempt of a run each;
//! the others are words to one worker.
//!
//! ```text
//! blocked ──► pending ──► sent ──► acknowledged ──► running ──► completed | failed | canceled
//!    │         │  ▲         │            │             │
//!    │         │  └─────────┴────────────┴─────────────┘ the lease ran out, or it was handed back
//!    └─────────┴──► canceled | expired
//! ```
//! A command may fail or be canceled from every state in which a worker has it. Terminal states are
//! final. [`CommandState::may_become`] is the one table; the store's updates carry the same guard.
//!
//! A claim gives the command a lease and a fresh token. The token is the fence: whatever a worker
//! writes carries it, and a worker whose lease was lost holds one that is no longer current.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::definition::Priority;
use super::id::{CommandId, InputId, RunId, SessionId, TaskId, WorkerId};
use super::name::Name;
use super::queue::Queue;
use super::run::Terms;
use super::scope::Scope;
use super::time::Time;
use super::words::words;

/// How long a claimed command belongs to its worker without a sign of life.
pub const LEASE: Duration = Duration::from_secs(60);
/// How long a command of a worker that is offline may be on its way or in its hands, whatever its
/// lease says.
pub const SENT_MAX: Duration = Duration::from_secs(10 * 60);
/// How long it may be running.
pub const RUNNING_MAX: Duration = Duration::from_secs(30 * 60);
/// How often a command goes out before it fails as undeliverable.
pub const DISPATCH_ATTEMPTS_MAX: u32 = 3;

/// How long a token is good for.
pub const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

words! {
    /// Where a command stands.
    CommandState ("a command state") {
        /// Somebody has to approve it first.
        Blocked = "blocked",
        /// In the queue.
        Pending = "pending",
        /// Claimed, and on its way to a worker.
        Sent = "sent",
        /// The worker has it.
        Acknowledged = "acknowledged",
        /// The worker has begun.
        Running = "running",
        /// Done.
        Completed = "completed",
        /// Not done.
        Failed = "failed",
        /// Called off, or not approved.
        Canceled = "canceled",
        /// Nobody took it in time.
        Expired = "expired",
    }
}

impl CommandState {
    /// Whether nothing can change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Expired)
    }

    /// Whether a worker has it.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Sent | Self::Acknowledged | Self::Running)
    }

    /// Whether a command may go from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Blocked => matches!(next, Self::Pending | Self::Canceled | Self::Expired),
            Self::Pending => matches!(next, Self::Sent | Self::Canceled | Self::Expired),
            Self::Sent => {
                matches!(next, Self::Acknowledged | Self::Pending | Self::Failed | Self::Canceled)
            }
            Self::Acknowledged => {
                matches!(next, Self::Running | Self::Pending | Self::Failed | Self::Canceled)
            }
            Self::Running => {
                matches!(next, Self::Completed | Self::Pending | Self::Failed | Self::Canceled)
            }
            Self::Completed | Self::Failed | Self::Canceled | Self::Expired => false,
        }
    }
}

words! {
    /// What a command asks.
    CommandType ("a command type") {
        /// To carry out one attempt of a run.
        Run = "run",
        /// To tell a run's program more.
        Input = "input",
        /// To stop a run's program.
        Cancel = "cancel",
        /// To say how the worker is.
        HealthCheck = "health_check",
        /// To take other settings.
        ConfigUpdate = "config_update",
    }
}

/// What a word to one worker says: a command of any type but `run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Control {
    /// Tell a run's program more.
    Input {
        /// The input.
        input_id: InputId,
        /// The command whose program is to be told.
        command_id: CommandId,
        /// What to tell it.
        text: String,
    },
    /// Stop a run's program.
    Cancel {
        /// The command whose program is to stop.
        command_id: CommandId,
    },
    /// Say how the worker is: the answer is its next heartbeat.
    HealthCheck,
    /// Take other settings; what is absent stays.
    ConfigUpdate {
        /// How many programs to run at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
    },
}

impl Control {
    /// The command's type.
    pub fn command_type(&self) -> CommandType {
        match self {
            Self::Input { .. } => CommandType::Input,
            Self::Cancel { .. } => CommandType::Cancel,
            Self::HealthCheck => CommandType::HealthCheck,
            Self::ConfigUpdate { .. } => CommandType::ConfigUpdate,
        }
    }
}

words! {
    /// What becomes of a command whose worker is lost.
    #[derive(Default)]
    OnLost ("an answer to a lost worker") {
        /// Another worker gets it: it is carried out at least once.
        #[default]
        Requeue = "requeue",
        /// It fails: it is carried out at most once.
        Fail = "fail",
    }
}

/// The proof that a command is held: `hlk-cmd-` and 64 hexadecimal digits. Only its hash is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token(#[schemars(regex(pattern = "^hlk-cmd-[0-9a-f]{64}$"))] String);

impl Token {
    /// A token of these random bytes.
    pub fn mint(random: [u8; 32]) -> Self {
        Self(format!("hlk-cmd-{}", hex::encode(random)))
    }

    /// What people may see of it.
    pub fn prefix(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
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

/// A command as it stands.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its identifier.
    pub id: CommandId,
    /// What it asks.
    pub kind: CommandType,
    /// The workspace it concerns.
    pub scope: Scope,
    /// The run it concerns, if it concerns one.
    pub run_id: Option<RunId>,
    /// What it asks of a worker; none for a word to one worker.
    pub queue: Option<Queue>,
    /// The conversation it belongs to.
    pub session_id: Option<SessionId>,
    /// Where it stands.
    pub state: CommandState,
    /// How urgent it is.
    pub priority: Priority,
    /// Which attempt of its run it is, counted from 1.
    pub attempt: u32,
    /// How often it went out.
    pub dispatch_attempts: u32,
    /// What becomes of it when its worker is lost.
    pub on_lost: OnLost,
    /// Who has it, or had it last.
    pub worker_id: Option<WorkerId>,
    /// What people may see of its token.
    pub token_prefix: Option<String>,
    /// When its worker loses it without a sign of life.
    pub lease_expires_at: Option<Time>,
    /// It does not go out before.
    pub due_at: Option<Time>,
    /// It does not wait any longer.
    pub expires_at: Option<Time>,
    /// When somebody asked to stop it.
    pub cancel_requested_at: Option<Time>,
    /// Why it failed, was canceled or expired.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it last went out.
    pub sent_at: Option<Time>,
    /// When the worker had it.
    pub acknowledged_at: Option<Time>,
    /// When the worker began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// What a worker shows with each word on a command: that it is the one that was given it, and under
/// which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who speaks, as its connection says.
    pub worker_id: WorkerId,
    /// The command.
    pub command_id: CommandId,
    /// The fence.
    pub token: Token,
}

/// A command in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The command.
    pub id: CommandId,
    /// The worker that has it.
    pub worker_id: WorkerId,
    /// The fence.
    pub token: Token,
    /// What it asks.
    pub charge: Charge,
}

/// What a claimed command asks.
#[derive(Clone, Debug)]
pub enum Charge {
    /// An attempt of a run.
    Run(Box<Attempt>),
    /// A word to the worker.
    Control(Control),
}

/// One attempt of a run, as a worker gets it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The run.
    pub run_id: RunId,
    /// Whose it is.
    pub scope: Scope,
    /// Who does the work.
    pub agent: Name,
    /// What they are asked.
    pub prompt: String,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// How often its command has been handed out, this time included.
    pub dispatch: u32,
    /// The run's task, if it is one's.
    pub task_id: Option<TaskId>,
    /// How it is to be carried out.
    pub terms: Terms,
}

#[cfg(test)]
mod tests {
    use super::CommandState::*;
    use super::*;

    #[test]
    fn transitions_are_exactly_the_diagram() {
        let allowed = [
            (Blocked, Pending),
            (Blocked, Canceled),
            (Blocked, Expired),
            (Pending, Sent),
            (Pending, Canceled),
            (Pending, Expired),
            (Sent, Acknowledged),
            (Sent, Pending),
            (Sent, Failed),
            (Sent, Canceled),
            (Acknowledged, Running),
            (Acknowledged, Pending),
            (Acknowledged, Failed),
            (Acknowledged, Canceled),
            (Running, Completed),
            (Running, Pending),
            (Running, Failed),
            (Running, Canceled),
        ];
        for &(from, _) in CommandState::ALL {
            for &(to, _) in CommandState::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} → {to}");
            }
        }
    }

    #[test]
    fn words_read_back() {
        for &(state, word) in CommandState::ALL {
            assert_eq!(word.parse::<CommandState>().unwrap(), state);
        }
        for &(kind, word) in CommandType::ALL {
            assert_eq!(word.parse::<CommandType>().unwrap(), kind);
        }
    }
}

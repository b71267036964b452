//! What a worker and a host say to each other: JSON text frames over one WebSocket.
//!
//! ```text
//! worker                         host
//!   hello ───────────────────────►        who I am, whom I serve, what I still hold
//!         ◄─────────────────────── welcome
//!         ◄─────────────────────── run    a command, its prompt and its token
//!   started ─────────────────────►
//!   logs ────────────────────────►
//!         ◄─────────────────────── logged up to this line; forget them
//!         ◄─────────────────────── cancel stop it, then say how it ended
//!   finished | hand_back ────────►
//!         ◄─────────────────────── settled it is stored; forget the command
//! ```
//! What is said of a command carries its token, so that a word on an earlier hand-over is not taken
//! for one on the present. When the token is not current any more the answer is `refused`: the
//! command is somebody else's, and the worker stops it.
//! A worker of another version hears `welcome` with the host's version, and the connection ends.
//! What is not answered by `logged` or `settled` is said again after a reconnect; the host knows
//! repeated lines by their number.

use serde::{Deserialize, Serialize};

use crate::model::command::Token;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::name::Name;
use crate::model::run::{Ending, LogLine};

/// The version of these messages. A host refuses a worker that speaks another.
pub const VERSION: u32 = 1;
/// Where a worker connects.
pub const PATH: &str = "/api/v1/workers/connect";
/// How often a worker says that it is alive and what it holds.
pub const HEARTBEAT_MS: u64 = 15_000;
/// The largest message that a host reads, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// The largest message that a worker must be ready to read, in bytes: a prompt of 256 KiB whose
/// every character JSON has to escape.
pub const RUN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A command in a worker's hands, with the proof that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The command.
    pub command_id: CommandId,
    /// The token it was handed over with.
    pub token: Token,
}

/// An agent that a worker can run programs for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The agent's workspace; empty for the global scope.
    #[serde(default)]
    pub workspace_id: String,
    /// The agent's name.
    pub name: Name,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToHost {
    /// The first message of every connection.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Who speaks. A new connection of the same worker replaces the old one.
        worker_id: WorkerId,
        /// What people call it.
        name: String,
        /// The agents it serves.
        agents: Vec<Served>,
        /// How many commands it takes at once.
        capacity: u32,
        /// The commands it still holds; any other that it held goes back to the queue.
        active: Vec<Held>,
    },
    /// The program is running.
    Started {
        /// The command.
        held: Held,
    },
    /// What the program wrote.
    Logs {
        /// The command.
        held: Held,
        /// The number of the first of these lines, counted from 1 within the command.
        first: u64,
        /// The lines, in order.
        lines: Vec<LogLine>,
    },
    /// The program ended.
    Finished {
        /// The command.
        held: Held,
        /// How.
        ending: Ending,
    },
    /// The worker gives the command up; it goes back to the queue.
    HandBack {
        /// The command.
        held: Held,
    },
    /// The worker is alive and holds these.
    Heartbeat {
        /// The commands.
        active: Vec<Held>,
    },
    /// The worker takes nothing new.
    Draining,
}

/// What a host says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// The answer to `hello`.
    Welcome {
        /// [`VERSION`].
        version: u32,
        /// How often to send a heartbeat, in milliseconds.
        heartbeat_ms: u64,
    },
    /// A command to carry out.
    Run {
        /// The command and its token.
        held: Held,
        /// Its run.
        run_id: RunId,
        /// The agent to run it as.
        agent: Served,
        /// Which attempt this is, counted from 1.
        attempt: u32,
        /// What the agent is asked.
        prompt: String,
    },
    /// Stop this command.
    Cancel {
        /// The command.
        command_id: CommandId,
    },
    /// These lines are stored.
    Logged {
        /// The command.
        held: Held,
        /// The number of the last line stored.
        through: u64,
    },
    /// The command's end, or its return, is stored.
    Settled {
        /// The command.
        held: Held,
    },
    /// This token is not current: the command is not this worker's any more, unless it was handed
    /// over again with another token.
    Refused {
        /// The command, with the token that is not current.
        held: Held,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_documented_shape() {
        let text = r#"{"type":"finished","held":{"command_id":"cmd_00000000000070008000000000000000","token":"hlk-cmd-00"},"ending":{"outcome":"failed","error":"exit status 1"}}"#;
        let message: ToHost = serde_json::from_str(text).unwrap();
        assert!(
            matches!(&message, ToHost::Finished { ending: Ending::Failed { error, .. }, .. } if error == "exit status 1")
        );
        assert_eq!(serde_json::to_string(&message).unwrap(), text);
    }

    #[test]
    fn a_full_prompt_fits_a_message_in_its_longest_spelling() {
        let worst = "\u{1}".repeat(crate::model::definition::PROMPT_BYTES_MAX);
        assert!(serde_json::to_string(&worst).unwrap().len() + 4096 < RUN_BYTES_MAX);
    }
}

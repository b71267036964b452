//! What a worker and a host say to each other, as JSON: text frames over one WebSocket, or batches
//! over HTTP for a worker that polls. The messages are the same.
//!
//! ```text
//! worker                         host
//!   hello ───────────────────────►        who I am, whom I serve, what I offer, what I still hold
//!         ◄─────────────────────── welcome
//!         ◄─────────────────────── eligibility  whether I am given work, where I was not or am not
//!         ◄─────────────────────── run    a command, its prompt and its token
//!   acknowledged ────────────────►        I have it
//!   started ─────────────────────►        its program runs
//!   logs, events ────────────────►
//!         ◄─────────────────────── logged, noted up to this one; forget them
//!         ◄─────────────────────── control a word about a running command, or to the worker
//!   finished | hand_back ────────►
//!         ◄─────────────────────── settled it is stored; forget the command
//! ```
//! What is said of a command carries its token, so that a word on an earlier hand-over is not taken
//! for one on the present. When the token is not current any more the answer is `refused`: the
//! command is somebody else's, and the worker stops it. A `control` is a command of its own: it is
//! acknowledged and finished as every other, and takes none of the worker's capacity.
//! A worker of another version hears `welcome` with the host's version, and the connection ends.
//! What is not answered by `logged`, `noted` or `settled` is said again after a reconnect; the host
//! knows repeated lines and events by their number, counted from 1 within the command.
//!
//! A worker that polls sends a [`Poll`] and gets a [`Polled`]. The first begins with `hello` and
//! names no place; the answer names the worker's place, and the polls that follow repeat it. A place
//! that nobody has asked for in [`SILENCE_MAX`] is given up. When the host answers 409
//! (`hello_needed`), or an answer does not arrive, the worker begins again with `hello`: as after a
//! reconnect, nothing is lost. While a poll waits, another may say something; it ends the wait.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::command::{Control, Token};
use crate::model::id::{CommandId, RunId, TaskId, WorkerId};
use crate::model::name::Name;
use crate::model::routing::Offer;
use crate::model::run::{Ending, LogLine, RunEvent, Terms};
use crate::model::worker::Eligibility;

/// The version of these messages. A host refuses a worker that speaks another.
pub const VERSION: u32 = 2;
/// What workers ask for is below this.
pub const WORKERS_PATH: &str = "/api/v1/workers/";
/// Where a worker connects by WebSocket.
pub const PATH: &str = "/api/v1/workers/connect";
/// Where a worker polls that cannot.
pub const POLL_PATH: &str = "/api/v1/workers/poll";
/// Where a worker with a bootstrap token gets its credential.
pub const REGISTER_PATH: &str = "/api/v1/workers/register";
/// Where these messages are described as a JSON Schema.
pub const SCHEMA_PATH: &str = "/api/v1/workers/protocol.json";
/// How often a worker says that it is alive and what it holds.
pub const HEARTBEAT_MS: u64 = 15_000;
/// How long a worker may be silent before its connection or its place is given up.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a worker may take over its first message on a WebSocket.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a poll may wait for something to be said, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;
/// The largest message that a host reads, and the largest poll, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// The largest message that a worker must be ready to read, in bytes: a prompt of 256 KiB whose
/// every character JSON has to escape.
pub const RUN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A command in a worker's hands, with the proof that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// The command.
    pub command_id: CommandId,
    /// The token it was handed over with.
    pub token: Token,
}

/// An agent that a worker can run programs for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Served {
    /// The agent's workspace; empty for the global scope.
    #[serde(default)]
    pub workspace_id: String,
    /// The agent's name.
    pub name: Name,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        /// What it has, and what it can enforce.
        #[serde(default)]
        offer: Offer,
        /// The commands it still holds; any other that it held goes back to the queue.
        active: Vec<Held>,
    },
    /// The worker has the command.
    Acknowledged {
        /// The command.
        held: Held,
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
    /// What the program told, as lines of JSON.
    Events {
        /// The command.
        held: Held,
        /// The number of the first of these events, counted from 1 within the command.
        first: u64,
        /// The events, in order.
        events: Vec<RunEvent>,
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
        /// How many commands it takes at once, when that has changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
        /// What it offers, when that has changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<Offer>,
        /// The agents it serves, when that has changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agents: Option<Vec<Served>>,
    },
    /// The worker takes nothing new.
    Draining,
}

/// What a host says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// The answer to `hello`.
    Welcome {
        /// [`VERSION`].
        version: u32,
        /// How often to send a heartbeat, in milliseconds.
        heartbeat_ms: u64,
    },
    /// Whether the worker is given work from now on. Not said before it is another than `eligible`.
    Eligibility {
        /// Whether it is, or why not.
        eligibility: Eligibility,
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
        /// How often the attempt has been handed out, this time included: tells it from an earlier
        /// time that a worker was lost with. 0 from a host that does not count.
        #[serde(default)]
        dispatch: u32,
        /// What the agent is asked.
        prompt: String,
        /// The run's task, if it is one's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
        /// How it is to be carried out.
        terms: Box<Terms>,
    },
    /// A word to the worker, as a command of its own.
    Control {
        /// The word's own command and token.
        held: Held,
        /// What it says.
        #[serde(flatten)]
        control: Control,
    },
    /// Stop this command: somebody has asked for it, and the worker has not ended it yet.
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
    /// These events are stored.
    Noted {
        /// The command.
        held: Held,
        /// The number of the last event stored.
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

/// What a worker sends that polls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The place that the answer to `hello` named; absent when this poll begins with `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it says, in order.
    #[serde(default)]
    pub messages: Vec<ToHost>,
    /// How long to wait for something to be said to it, in milliseconds, at most [`WAIT_MS_MAX`].
    #[serde(default)]
    pub wait_ms: u64,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Polled {
    /// The worker's place.
    pub place: String,
    /// What the host says, in order; at most one command, at the end.
    pub messages: Vec<ToWorker>,
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

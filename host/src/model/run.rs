//! Runs: one activation each, and the states they go through.
//!
//! ```text
//! blocked ──► scheduled | failed | canceled
//! scheduled ──► running ──► completed | failed | canceled
//!  │  │  ▲         │
//!  │  │  └─────────┘ an attempt failed or its worker was lost: it waits for the next
//!  │  └──► failed | canceled
//!  └─────► delegated ──► completed | failed | canceled, as its task ends
//! ```
//! Terminal states are final. [`RunStatus::may_become`] is the one table; the store's updates carry
//! the same guard in their `WHERE`. A run is `blocked` as long as its command is: the store keeps it
//! as scheduled, and says so when it is read.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::OnLost;
use super::content::Content;
use super::definition::{Assignment, Priority, Retry};
use super::envelope::Origin;
use super::id::{EventId, FireId, JobId, RunId, SessionId, TaskId, TriggerId};
use super::name::{Kind, Name};
use super::policy::Policy;
use super::routing::Routing;
use super::scope::Scope;
use super::session::SessionKey;
use super::time::Time;
use super::trace::TraceParent;
use super::words::words;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a worker.
    Scheduled,
    /// The same, and somebody has to approve it first.
    Blocked,
    /// A worker is at it.
    Running,
    /// Handed over to a task, which ends it.
    Delegated,
    /// The agent did its work.
    Completed,
    /// It did not; the run's error says why.
    Failed,
    /// Somebody called it off.
    Canceled,
}

impl RunStatus {
    /// Every status with its word.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Scheduled, "scheduled"),
        (Self::Blocked, "blocked"),
        (Self::Running, "running"),
        (Self::Delegated, "delegated"),
        (Self::Completed, "completed"),
        (Self::Failed, "failed"),
        (Self::Canceled, "canceled"),
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, word)| word)
    }

    /// Whether nothing can change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// Whether a run may go from this status to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Scheduled => !matches!(next, Self::Scheduled | Self::Completed),
            Self::Blocked => matches!(next, Self::Scheduled | Self::Failed | Self::Canceled),
            Self::Running => next == Self::Scheduled || next.is_terminal(),
            Self::Delegated => next.is_terminal(),
            Self::Completed | Self::Failed | Self::Canceled => false,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(status, _)| *status).ok_or_else(|| {
            format!(
                "`{text}` is not a run status: scheduled, blocked, running, delegated, \
                 completed, failed or canceled"
            )
        })
    }
}

/// The components that made a run what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// The source component that made the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Origin>,
    /// The filter that let it pass, if the trigger has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Origin>,
    /// The template that made the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Origin>,
    /// The pre-fire hooks that were asked, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Origin>,
}

/// What a run is a fire of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A trigger.
    Trigger {
        /// Its identifier.
        id: TriggerId,
        /// Its name at that time.
        name: Name,
    },
    /// A job.
    Job {
        /// Its identifier.
        id: JobId,
        /// Its name at that time.
        name: Name,
    },
    /// A task.
    Task {
        /// Its identifier.
        id: TaskId,
        /// Its agent.
        agent: Name,
    },
}

/// What an [`Owner`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A trigger.
    Trigger,
    /// A job.
    Job,
    /// A task.
    Task,
}

impl OwnerKind {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Job => "job",
            Self::Task => "task",
        }
    }
}

impl FromStr for OwnerKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "trigger" => Ok(Self::Trigger),
            "job" => Ok(Self::Job),
            "task" => Ok(Self::Task),
            _ => Err(format!("`{text}` is not trigger, job or task")),
        }
    }
}

impl Owner {
    /// What it is.
    pub fn kind(&self) -> OwnerKind {
        match self {
            Self::Trigger { .. } => OwnerKind::Trigger,
            Self::Job { .. } => OwnerKind::Job,
            Self::Task { .. } => OwnerKind::Task,
        }
    }

    /// The identifier as text.
    pub fn id(&self) -> &str {
        match self {
            Self::Trigger { id, .. } => id.as_str(),
            Self::Job { id, .. } => id.as_str(),
            Self::Task { id, .. } => id.as_str(),
        }
    }

    /// The name; a task has its agent's.
    pub fn name(&self) -> &Name {
        match self {
            Self::Trigger { name, .. }
            | Self::Job { name, .. }
            | Self::Task { agent: name, .. } => name,
        }
    }

    /// The task, if it is one.
    pub fn task_id(&self) -> Option<&TaskId> {
        match self {
            Self::Task { id, .. } => Some(id),
            Self::Trigger { .. } | Self::Job { .. } => None,
        }
    }
}

/// The slot of a job that a run stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// Its identifier, of which there is one run at most.
    pub id: FireId,
    /// The instant that the schedule says.
    pub scheduled_at: Time,
}

/// A run as it is made.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identifier.
    pub id: RunId,
    /// Whose it is.
    pub scope: Scope,
    /// What fired.
    pub owner: Owner,
    /// The event that led to it; none for a job's, and for one that was fired by hand.
    pub event_id: Option<EventId>,
    /// The slot, for a job's that was not fired by hand.
    pub fire: Option<Fire>,
    /// Who does the work.
    pub agent: Name,
    /// What they are asked.
    pub prompt: String,
    /// What the prompt holds of the sender's own words.
    pub content: Content,
    /// The task that the job describes, if it does.
    pub task: Option<Assignment>,
    /// How urgent it is.
    pub priority: Priority,
    /// What becomes of a failed attempt.
    pub retry: Retry,
    /// How many runs lie between this one and the outside world.
    pub depth: u32,
    /// The runs that led to it, oldest first.
    pub causes: Vec<String>,
    /// The components that made it.
    pub stages: Stages,
    /// How it is to be carried out.
    pub terms: Terms,
    /// When it was made.
    pub created_at: Time,
}

impl NewRun {
    /// One that is to do the same once more, beginning now. It belongs to no event and to no slot:
    /// each of those has led to a run already.
    pub fn again(self, id: RunId, now: Time) -> Self {
        let mut causes = self.causes;
        causes.extend(self.event_id.map(String::from));
        causes.push(self.id.into());
        let terms = Terms { scheduled_at: None, expires_at: None, ..self.terms };
        Self { id, event_id: None, fire: None, causes, terms, created_at: now, ..self }
    }
}

/// How a run is to be carried out: by whom, under which restrictions, and with what beside the
/// prompt. All of it goes to the worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Terms {
    /// The concurrency group within the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Name>,
    /// The restrictions; none when nobody asked for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What the worker has to have.
    pub routing: Routing,
    /// The conversation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRef>,
    /// What becomes of it when its worker is lost.
    pub on_lost: OnLost,
    /// How long it waits for a worker, in milliseconds; the host's own limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_ms: Option<u64>,
    /// How long an attempt may take, in milliseconds; the worker's own limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// It does not begin before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Time>,
    /// Nobody begins it any more from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// What the agent is told beside the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// What comes with the prompt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Who or what asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned_by: Option<serde_json::Value>,
    /// The place in a trace that it comes after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
}

/// A conversation, by its identifier and by the key that its users gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRef {
    /// The identifier, made of the workspace and the key.
    pub id: SessionId,
    /// The key.
    pub key: SessionKey,
}

impl SessionRef {
    /// The conversation with this key in this scope.
    pub fn of(scope: &Scope, key: SessionKey) -> Self {
        Self { id: SessionId::derive(scope, key.as_str()), key }
    }
}

/// Something that comes with a prompt. The host keeps it and hands it on; it does not look inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// What it is called.
    pub name: String,
    /// Its media type, such as `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Where it is, for the agent to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The thing itself, when it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

words! {
    /// Whether a run can be told more.
    #[derive(Default)]
    Interaction ("an interaction") {
        /// It works, or waits for a worker.
        #[default]
        Working = "working",
        /// Its program has asked something, and waits for the answer.
        WaitingForInput = "waiting_for_input",
        /// It has ended.
        Closed = "closed",
    }
}

/// A run as it stands.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it was made as.
    pub made: NewRun,
    /// Where it stands.
    pub status: RunStatus,
    /// How often a worker has begun it.
    pub attempt: u32,
    /// When the present or last attempt began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// When its next attempt is due, while it waits for one.
    pub due_at: Option<Time>,
    /// Why it failed or was canceled.
    pub error: Option<String>,
    /// What went wrong in handing it over, and when.
    pub delivery_error: Option<(String, Time)>,
    /// The task it is delegated to.
    pub delegation: Option<Delegation>,
    /// Whether what it said has been removed since it ended.
    pub log_removed: bool,
    /// Whether it can be told more.
    pub interaction: Interaction,
    /// What its program said came of it, as JSON.
    pub result: Option<serde_json::Value>,
}

/// The task that carries a run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The task.
    pub task_id: TaskId,
    /// The task's own run.
    pub task_run_id: RunId,
}

/// How an attempt ended, by the worker's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    /// The program exited with 0.
    Completed,
    /// It did not.
    Failed {
        /// Why.
        error: String,
        /// How long to wait before another attempt, by the agent's own word, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// It was called off.
    Canceled,
}

impl Ending {
    /// The status that a run gets by it.
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Completed => RunStatus::Completed,
            Self::Failed { .. } => RunStatus::Failed,
            Self::Canceled => RunStatus::Canceled,
        }
    }

    /// The error, when there is one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Failed { error, .. } => Some(error),
            Self::Completed | Self::Canceled => None,
        }
    }

    /// A failure without more to say.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::Failed { error: error.into(), retry_after_ms: None }
    }
}

words! {
    /// Where a log line came from.
    Stream ("a stream") {
        /// The program's standard output.
        Stdout = "stdout",
        /// The program's standard error.
        Stderr = "stderr",
        /// The host, which says something of the log itself.
        Host = "host",
    }
}

/// One line that a run's program wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When the worker read it.
    pub at: Time,
    /// Where it was written. What a worker says is never the host's.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// Something that a run's program told, as a line of JSON with a `type`.
///
/// `waiting_for_input` (`prompt`) says that it waits for an answer, `result` (`data`) what came of
/// its work; every other type is the program's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEvent {
    /// When the worker read it.
    pub at: Time,
    /// Its type: dotted lower case, as kinds are.
    pub kind: Kind,
    /// All of what was told, as JSON.
    pub data: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::RunStatus::*;
    use super::*;

    #[test]
    fn transitions_are_exactly_the_diagram() {
        let allowed = [
            (Scheduled, Running),
            (Scheduled, Blocked),
            (Scheduled, Delegated),
            (Scheduled, Failed),
            (Scheduled, Canceled),
            (Blocked, Scheduled),
            (Blocked, Failed),
            (Blocked, Canceled),
            (Running, Scheduled),
            (Running, Completed),
            (Running, Failed),
            (Running, Canceled),
            (Delegated, Completed),
            (Delegated, Failed),
            (Delegated, Canceled),
        ];
        for (from, _) in RunStatus::ALL {
            for (to, _) in RunStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} → {to}");
            }
        }
    }

    #[test]
    fn words_read_back() {
        for (status, word) in RunStatus::ALL {
            assert_eq!(word.parse::<RunStatus>().unwrap(), status);
            assert_eq!(status.to_string(), word);
        }
    }
}

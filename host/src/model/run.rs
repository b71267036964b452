//! Runs: one activation each, and the states they go through.
//!
//! ```text
//! scheduled ──► running ──► completed | failed | canceled
//!     │  ▲         │
//!     │  └─────────┘ the worker was lost, the command waits for another
//!     └──► failed | canceled
//! ```
//! Terminal states are final. [`RunStatus::may_become`] is the one table; the store's updates carry
//! the same guard in their `WHERE`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::envelope::Origin;
use super::id::{EventId, RunId, TriggerId};
use super::name::Name;
use super::scope::Scope;
use super::time::Time;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a worker.
    Scheduled,
    /// A worker is at it.
    Running,
    /// The agent did its work.
    Completed,
    /// It did not; the run's error says why.
    Failed,
    /// Somebody called it off.
    Canceled,
}

impl RunStatus {
    /// Every status with its word.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Scheduled, "scheduled"),
        (Self::Running, "running"),
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
            Self::Scheduled => matches!(next, Self::Running | Self::Failed | Self::Canceled),
            Self::Running => next == Self::Scheduled || next.is_terminal(),
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
                "`{text}` is not a run status: scheduled, running, completed, failed or canceled"
            )
        })
    }
}

/// The components that made a run what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// The source component that made the event.
    pub source: Origin,
    /// The filter that let it pass, if the trigger has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Origin>,
    /// The template that made the prompt.
    pub template: Origin,
}

/// A run as activation makes it.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identifier.
    pub id: RunId,
    /// Whose it is.
    pub scope: Scope,
    /// The event that led to it.
    pub event_id: EventId,
    /// The trigger that fired.
    pub trigger_id: TriggerId,
    /// The trigger's name at that time.
    pub trigger: Name,
    /// Who does the work.
    pub agent: Name,
    /// What they are asked.
    pub prompt: String,
    /// The components that made it.
    pub stages: Stages,
    /// When it was made.
    pub created_at: Time,
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
    /// Why it failed or was canceled.
    pub error: Option<String>,
}

/// How an attempt ended, by the worker's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    /// The program exited with 0.
    Completed,
    /// It did not.
    Failed {
        /// Why.
        error: String,
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
            Self::Failed { error } => Some(error),
            Self::Completed | Self::Canceled => None,
        }
    }
}

/// Which of a program's streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl FromStr for Stream {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ => Err(format!("`{text}` is not a stream")),
        }
    }
}

/// One line that a run's program wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When the worker read it.
    pub at: Time,
    /// Where it was written.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::RunStatus::*;
    use super::*;

    #[test]
    fn transitions_are_exactly_the_diagram() {
        let allowed = [
            (Scheduled, Running),
            (Scheduled, Failed),
            (Scheduled, Canceled),
            (Running, Scheduled),
            (Running, Completed),
            (Running, Failed),
            (Running, Canceled),
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

//! Tasks: work asked of an agent by a person, an API client, or a delegated job.
//!
//! ```text
//! queued ──► running ──► waiting | sleeping ──► running … ──► done | error | dropped | canceled
//!    ▲                                                                      │
//!    └──────────────────────────────────────────────────────────────────────┘ it is told more
//! ```
//! A task follows its present run, the oldest that has not ended: `waiting` for input, `sleeping`
//! until a retry is due. It ends with the run that has none behind it; `dropped` when nobody began
//! that one. A queued task is `blocked` as long as its present run is: the store keeps it as queued,
//! and says so when it is read. What is asked of it after its end opens it again, also where it was put away: its runs
//! and their commands stay as they ended, and its result is that of the run that was asked for last.

use std::time::Duration;

use serde_json::Value;

use super::content::Content;
use super::definition::{Point, Priority, Retry};
use super::id::{RunId, TaskId};
use super::name::Name;
use super::policy::Policy;
use super::run::{NewRun, Owner, Stages, Terms};
use super::scope::Scope;
use super::time::Time;
use super::words::words;

/// How long a task's attempt may take, unless the task says otherwise.
pub const TASK_TIMEOUT: Duration = Duration::from_millis(600_000);

words! {
    /// Where a task stands.
    TaskStatus ("a task status") {
        /// No worker has begun it.
        Queued = "queued",
        /// The same, and somebody has to approve it first.
        Blocked = "blocked",
        /// A worker is at it.
        Running = "running",
        /// Its program waits for input.
        Waiting = "waiting",
        /// It waits for its next attempt.
        Sleeping = "sleeping",
        /// The agent did its work.
        Done = "done",
        /// It did not.
        Error = "error",
        /// Nobody began it in time.
        Dropped = "dropped",
        /// Somebody called it off.
        Canceled = "canceled",
    }
}

impl TaskStatus {
    /// Whether nothing changes any more, unless somebody asks for more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Dropped | Self::Canceled)
    }

    /// Whether a task may go from this status to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            _ if next == Self::Blocked => self == Self::Queued,
            Self::Queued => !matches!(next, Self::Queued | Self::Done | Self::Waiting),
            Self::Blocked => {
                matches!(next, Self::Queued | Self::Error | Self::Dropped | Self::Canceled)
            }
            Self::Running => !matches!(next, Self::Running | Self::Dropped),
            Self::Waiting | Self::Sleeping => next != self && next != Self::Dropped,
            Self::Done | Self::Error | Self::Dropped | Self::Canceled => next == Self::Queued,
        }
    }
}

impl TaskStatus {
    /// The point of the host's life that a task reaches when it gets this status; none for those
    /// that it passes through.
    pub fn point(self) -> Option<Point> {
        match self {
            Self::Queued | Self::Blocked | Self::Sleeping => None,
            Self::Running => Some(Point::TaskStarted),
            Self::Waiting => Some(Point::TaskWaiting),
            Self::Done => Some(Point::TaskDone),
            Self::Error => Some(Point::TaskError),
            Self::Dropped => Some(Point::TaskDropped),
            Self::Canceled => Some(Point::TaskCanceled),
        }
    }
}

/// A task as it is asked for.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its identifier.
    pub id: TaskId,
    /// Whose it is.
    pub scope: Scope,
    /// Who does the work.
    pub agent: Name,
    /// What they are asked.
    pub message: String,
    /// What people call it.
    pub label: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// How it is to be carried out.
    pub terms: Terms,
    /// Under which key it is asked for once only, and the hash of all that was asked.
    pub idempotency: Option<Idempotency>,
    /// When it was asked for.
    pub created_at: Time,
}

impl NewTask {
    /// The run that carries it out.
    pub fn first_run(&self, id: RunId) -> NewRun {
        NewRun {
            id,
            scope: self.scope.clone(),
            owner: Owner::Task { id: self.id.clone(), agent: self.agent.clone() },
            event_id: None,
            fire: None,
            agent: self.agent.clone(),
            prompt: self.message.clone(),
            content: Content::Trusted,
            task: None,
            priority: self.priority,
            retry: retry(self.terms.policy.as_ref()),
            depth: 0,
            causes: Vec::new(),
            stages: Stages::default(),
            terms: self.terms.clone(),
            created_at: self.created_at,
        }
    }
}

/// What becomes of a task's failed attempt: another follows where its policy says so.
pub fn retry(policy: Option<&Policy>) -> Retry {
    policy.map_or(Retry::None, |policy| policy.retry.into())
}

/// What makes asking twice harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// The SHA-256 of what was asked.
    pub body_hash: [u8; 32],
}

/// A task as it stands.
#[derive(Clone, Debug)]
pub struct Task {
    /// What it was asked for as.
    pub made: NewTask,
    /// Where it stands.
    pub status: TaskStatus,
    /// Its latest run.
    pub run_id: RunId,
    /// Why it is in error, was dropped or canceled.
    pub error: Option<String>,
    /// What the agent said came of it.
    pub result: Option<Value>,
    /// When a worker first began it.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// When it was put away.
    pub archived_at: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::TaskStatus::*;
    use super::*;
    use crate::model::policy::Attempts;

    #[test]
    fn transitions_are_exactly_the_diagram() {
        let allowed = [
            (Queued, vec![Blocked, Running, Sleeping, Error, Dropped, Canceled]),
            (Blocked, vec![Queued, Error, Dropped, Canceled]),
            (Running, vec![Queued, Waiting, Sleeping, Done, Error, Canceled]),
            (Waiting, vec![Queued, Running, Sleeping, Done, Error, Canceled]),
            (Sleeping, vec![Queued, Running, Waiting, Done, Error, Canceled]),
            (Done, vec![Queued]),
            (Error, vec![Queued]),
            (Dropped, vec![Queued]),
            (Canceled, vec![Queued]),
        ];
        for &(from, _) in TaskStatus::ALL {
            let next = allowed.iter().find(|(status, _)| *status == from);
            for &(to, _) in TaskStatus::ALL {
                let wanted = next.is_some_and(|(_, next)| next.contains(&to));
                assert_eq!(from.may_become(to), wanted, "{from} → {to}");
            }
        }
    }

    #[test]
    fn a_policy_says_how_often_a_task_is_tried() {
        let with = |attempts| {
            let attempts = Attempts { attempts, delay_ms: 7 };
            retry(Some(&Policy { retry: attempts, ..Policy::default() }))
        };
        assert_eq!(retry(None), Retry::None);
        assert_eq!(with(1), Retry::None);
        assert_eq!(with(3), Retry::Backoff { max_retries: 2, base_delay_ms: 7 });
    }

    #[test]
    fn words_read_back() {
        for (status, word) in TaskStatus::ALL {
            assert_eq!(word.parse::<TaskStatus>().unwrap(), *status);
        }
    }
}

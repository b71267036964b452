//! Jobs: work on a schedule.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Demands;
use super::firing::{CatchUp, FireLimit, Overlap, Priority, Retry};
use crate::model::id::JobId;
use crate::model::name::Name;
use crate::model::schedule::Schedule;
use crate::model::scope::Scope;

/// How late a slot may fire before it counts as missed, unless the job says otherwise.
pub const MISFIRE_GRACE: Duration = Duration::from_secs(60);
/// How many missed slots are caught up with, unless the job says otherwise.
pub const CATCH_UP_MAX: u32 = 10;

/// What a job asks of its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// This prompt, as it stands.
    Prompt(String),
    /// A task.
    Task(Assignment),
}

impl Work {
    /// What the agent is asked.
    pub fn prompt(&self) -> &str {
        match self {
            Self::Prompt(prompt) => prompt,
            Self::Task(task) => &task.description,
        }
    }
}

/// A piece of work that is handed over as a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// What it is called.
    pub title: String,
    /// What there is to do.
    pub description: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where it is talked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// Work on a schedule.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
    /// When it is due.
    pub schedule: Schedule,
    /// What is to be done.
    pub work: Work,
    /// Who does it.
    pub agent: Name,
    /// What becomes of a failed attempt.
    pub retry: Retry,
    /// How often it may fire; without limit when absent.
    pub fire_limit: Option<FireLimit>,
    /// How urgent its runs are.
    pub priority: Priority,
    /// How they are to be carried out.
    pub demands: Demands,
    /// What a slot does while the previous run has not ended.
    pub overlap: Overlap,
    /// What becomes of missed slots.
    pub catch_up: CatchUp,
    /// How late a slot may fire before it counts as missed.
    pub misfire_grace: Duration,
    /// How many missed slots [`CatchUp::CatchUp`] fires.
    pub catch_up_max: u32,
    /// Each slot is late by an offset within this span that is the job's own.
    pub jitter: Duration,
    /// Whether it fires.
    pub enabled: bool,
}

impl Job {
    /// By how much its slots are late: the same at every fire, different from job to job.
    pub fn offset(&self) -> Duration {
        let span = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if span == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.id.spread() % span)
    }
}

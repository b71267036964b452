//! What else makes events than webhooks: hooks, observers and extensions.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::egress::Grant;
use crate::model::id::{ExtensionId, HookId, ObserverId};
use crate::model::name::Name;
use crate::model::scope::Scope;

/// A point in the host's own life that hooks and triggers can listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// A run was made.
    RunScheduled,
    /// A worker began a run's attempt.
    RunStarted,
    /// A run ended well.
    RunCompleted,
    /// A run ended badly, and no attempt follows.
    RunFailed,
    /// A run was called off.
    RunCanceled,
    /// A run's command waits for somebody to approve it.
    CommandBlocked,
    /// No worker took a run's command in time.
    CommandExpired,
    /// A task was asked for.
    TaskCreated,
    /// A worker began a task, or took it up again.
    TaskStarted,
    /// A task's program waits for input.
    TaskWaiting,
    /// A task was done.
    TaskDone,
    /// A task was not done.
    TaskError,
    /// Nobody began a task in time.
    TaskDropped,
    /// A task was called off.
    TaskCanceled,
    /// Slots of a job could not fire in time.
    JobMisfired,
    /// A trigger or job reached its fire limit.
    TriggerLimited,
    /// A worker connected.
    WorkerOnline,
    /// A worker is gone.
    WorkerOffline,
    /// A job is about to make a run; synchronous.
    JobPreFire,
    /// A trigger is about to make a run; synchronous.
    TriggerPreFire,
}

impl Point {
    /// Every point, and its word.
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::RunScheduled, "run.scheduled"),
        (Self::RunStarted, "run.started"),
        (Self::RunCompleted, "run.completed"),
        (Self::RunFailed, "run.failed"),
        (Self::RunCanceled, "run.canceled"),
        (Self::CommandBlocked, "command.blocked"),
        (Self::CommandExpired, "command.expired"),
        (Self::TaskCreated, "task.created"),
        (Self::TaskStarted, "task.started"),
        (Self::TaskWaiting, "task.waiting"),
        (Self::TaskDone, "task.done"),
        (Self::TaskError, "task.error"),
        (Self::TaskDropped, "task.dropped"),
        (Self::TaskCanceled, "task.canceled"),
        (Self::JobMisfired, "job.misfired"),
        (Self::TriggerLimited, "trigger.limited"),
        (Self::WorkerOnline, "worker.online"),
        (Self::WorkerOffline, "worker.offline"),
        (Self::JobPreFire, "job.pre_fire"),
        (Self::TriggerPreFire, "trigger.pre_fire"),
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(point, _)| *point == self).map_or("", |(_, word)| word)
    }

    /// Whether a hook at this point is asked before something happens.
    pub fn is_pre_fire(self) -> bool {
        matches!(self, Self::JobPreFire | Self::TriggerPreFire)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Point {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(point, _)| *point).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(_, word)| *word).collect();
            format!("`{text}` is not a lifecycle point: {}", words.join(", "))
        })
    }
}

/// What a failing pre-fire hook means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run is made as if the hook were not there.
    Allow,
    /// The run is not made.
    #[default]
    Cancel,
}

impl FromStr for OnError {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "allow" => Ok(Self::Allow),
            "cancel" => Ok(Self::Cancel),
            _ => Err(format!("`{text}` is neither `allow` nor `cancel`")),
        }
    }
}

/// A component at points of the host's own life.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its identifier.
    pub id: HookId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name; hooks at one point are asked in the order of their names.
    pub name: Name,
    /// The points: either all synchronous or none.
    pub points: Vec<Point>,
    /// The component.
    pub component: Name,
    /// What it is told, as JSON text.
    pub config: String,
    /// What it means when it fails at a synchronous point.
    pub on_error: OnError,
    /// Whether it is asked.
    pub enabled: bool,
}

/// What an observer watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Files below these folders.
    Files {
        /// The folders, absolute.
        folders: Vec<PathBuf>,
        /// How long a file has to be left alone before it is told of.
        debounce: Duration,
    },
    /// The commands that wait for agents.
    Queue {
        /// Only for this agent; each agent by itself when absent.
        agent: Option<Name>,
        /// How often to look.
        interval: Duration,
    },
    /// Runs that begin and end.
    Runs,
}

/// A component that is told of what the host watches for it.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Its identifier.
    pub id: ObserverId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name.
    pub name: Name,
    /// What is watched.
    pub watch: Watch,
    /// The component.
    pub component: Name,
    /// What it is told, as JSON text.
    pub config: String,
    /// Whether anything is watched.
    pub enabled: bool,
}

/// A component that polls something outside.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its identifier.
    pub id: ExtensionId,
    /// Whose it is.
    pub scope: Scope,
    /// Its name: the kinds of its events start with `ext.<name>.`.
    pub name: Name,
    /// The component.
    pub component: Name,
    /// What it is told, as JSON text.
    pub config: String,
    /// How often it polls, unless it asks for another delay itself.
    pub interval: Duration,
    /// What it may reach.
    pub grants: Vec<Grant>,
    /// Whether it polls.
    pub enabled: bool,
}

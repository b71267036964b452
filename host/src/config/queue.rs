//! `[queue]`: how much may wait, how much may be out at once, and when a class is left alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::file::{at_least_one, duration};
use super::settings::nested;
use crate::model::problem::Problems;
use crate::model::queue::Breaker;
use crate::model::scope::Scope;

const PENDING_MAX: u32 = 1_000_000;
const PENDING_MAX_PER_WORKSPACE: u32 = 100_000;
/// The longest cool-down: a day.
const COOLDOWN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// As much as two steps of priority, up or down.
const BONUS_MAX: i64 = 500;

/// The limits of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// How long a command waits for a worker, where nobody says so.
    pub timeout: Option<Duration>,
    /// How many commands may wait, of the whole host.
    pub pending_max: u32,
    /// How many may wait of one workspace, unless it has its own limit.
    pub pending_max_per_workspace: u32,
    /// How many may be out at once of one workspace, unless it has its own limit; without limit
    /// when absent.
    pub active_max_per_workspace: Option<u32>,
    /// When an execution class that fails is left alone.
    pub breaker: Breaker,
    /// The workspaces with limits of their own.
    pub workspaces: HashMap<Scope, WorkspaceLimits>,
}

/// A workspace's own limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceLimits {
    /// How many commands may be out at once.
    pub active_max: Option<u32>,
    /// How many may wait.
    pub pending_max: Option<u32>,
    /// What its plan adds to the score of what waits.
    pub bonus: i64,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            timeout: None,
            pending_max: PENDING_MAX,
            pending_max_per_workspace: PENDING_MAX_PER_WORKSPACE,
            active_max_per_workspace: None,
            breaker: Breaker::default(),
            workspaces: HashMap::new(),
        }
    }
}

impl QueueLimits {
    /// How many commands of this workspace may wait.
    pub fn pending_max(&self, scope: &Scope) -> u32 {
        let own = self.workspaces.get(scope).and_then(|own| own.pending_max);
        own.unwrap_or(self.pending_max_per_workspace)
    }

    /// How many commands of this workspace may be out at once, if that is limited.
    pub fn active_max(&self, scope: &Scope) -> Option<u32> {
        let own = self.workspaces.get(scope).and_then(|own| own.active_max);
        own.or(self.active_max_per_workspace)
    }

    /// What this workspace's plan adds to the score of what waits.
    pub fn bonus(&self, scope: &Scope) -> i64 {
        self.workspaces.get(scope).map_or(0, |own| own.bonus)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueTable {
    timeout: Option<String>,
    pending_max: Option<u32>,
    pending_max_per_workspace: Option<u32>,
    active_max_per_workspace: Option<u32>,
    breaker_failures: Option<u32>,
    breaker_cooldown: Option<String>,
    // By the workspace's name; the global scope's is empty.
    #[serde(default)]
    workspaces: BTreeMap<String, toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceTable {
    active_max: Option<u32>,
    pending_max: Option<u32>,
    bonus: Option<i64>,
}

impl QueueTable {
    pub(super) fn into_limits(self, problems: &mut Problems) -> QueueLimits {
        let d = QueueLimits::default();
        let said = |path: &str, value: Option<u32>, default, problems: &mut Problems| {
            at_least_one(&format!("queue.{path}"), value, default, problems)
        };
        QueueLimits {
            timeout: self
                .timeout
                .map(|text| duration("queue.timeout", Some(text), Duration::ZERO, problems)),
            pending_max: said("pending_max", self.pending_max, d.pending_max, problems),
            pending_max_per_workspace: said(
                "pending_max_per_workspace",
                self.pending_max_per_workspace,
                d.pending_max_per_workspace,
                problems,
            ),
            active_max_per_workspace: optional(
                "queue.active_max_per_workspace",
                self.active_max_per_workspace,
                problems,
            ),
            breaker: Breaker {
                failures: said(
                    "breaker_failures",
                    self.breaker_failures,
                    d.breaker.failures,
                    problems,
                ),
                cooldown: cooldown(self.breaker_cooldown, d.breaker.cooldown, problems),
            },
            workspaces: self
                .workspaces
                .into_iter()
                .filter_map(|(name, table)| {
                    let path = format!("queue.workspaces.{name}");
                    let table: WorkspaceTable = nested(&path, table, problems);
                    table.into_limits(&name, problems)
                })
                .collect(),
        }
    }
}

impl WorkspaceTable {
    fn into_limits(self, name: &str, problems: &mut Problems) -> Option<(Scope, WorkspaceLimits)> {
        let path = format!("queue.workspaces.{name}");
        let scope = problems.take(&path, Scope::parse(name));
        let bonus = self.bonus.unwrap_or(0);
        if !(-BONUS_MAX..=BONUS_MAX).contains(&bonus) {
            let reason = format!("must lie between -{BONUS_MAX} and {BONUS_MAX}");
            problems.add(format!("{path}.bonus"), reason);
        }
        let active_max = optional(&format!("{path}.active_max"), self.active_max, problems);
        let pending_max = optional(&format!("{path}.pending_max"), self.pending_max, problems);
        Some((scope?, WorkspaceLimits { active_max, pending_max, bonus }))
    }
}

fn cooldown(text: Option<String>, default: Duration, problems: &mut Problems) -> Duration {
    let path = "queue.breaker_cooldown";
    let cooldown = duration(path, text, default, problems);
    if cooldown > COOLDOWN_MAX {
        problems.add(path, "is longer than a day");
    }
    cooldown
}

fn optional(path: &str, value: Option<u32>, problems: &mut Problems) -> Option<u32> {
    value.map(|value| at_least_one(path, Some(value), 1, problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (QueueLimits, Vec<String>) {
        let table: QueueTable = toml::from_str(text).unwrap();
        let mut problems = Problems::default();
        let limits = table.into_limits(&mut problems);
        (limits, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn workspaces_have_limits_of_their_own() {
        assert_eq!(read(""), (QueueLimits::default(), vec![]));
        let (limits, problems) = read(
            "timeout = \"5m\"\npending_max_per_workspace = 10\nactive_max_per_workspace = 3\n\
             breaker_failures = 2\nbreaker_cooldown = \"1s\"\n\
             [workspaces.acme]\nactive_max = 1\nbonus = 50\n[workspaces.\"\"]\npending_max = 7",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let (acme, other) = (Scope::parse("acme").unwrap(), Scope::parse("other").unwrap());
        let seen =
            |scope| (limits.active_max(scope), limits.pending_max(scope), limits.bonus(scope));
        assert_eq!(seen(&acme), (Some(1), 10, 50));
        assert_eq!(seen(&other), (Some(3), 10, 0));
        assert_eq!(seen(&Scope::Global), (Some(3), 7, 0));
        assert_eq!(limits.timeout, Some(Duration::from_secs(300)));
        assert_eq!((limits.breaker.failures, limits.breaker.cooldown.as_secs()), (2, 1));
    }

    #[test]
    fn everything_wrong_is_said_at_its_path() {
        let (_, problems) = read(
            "timeout = \"soon\"\npending_max = 0\nbreaker_cooldown = \"0s\"\n\
             [workspaces.Acme]\nactive_max = 0\nbonus = 501",
        );
        assert_eq!(
            problems,
            [
                "queue.timeout",
                "queue.pending_max",
                "queue.breaker_cooldown",
                "queue.workspaces.Acme",
                "queue.workspaces.Acme.bonus",
                "queue.workspaces.Acme.active_max",
            ]
        );
    }
}

//! `[retention]`: how long what has ended is kept.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::file::duration;
use super::settings::nested;
use crate::model::problem::Problems;
use crate::model::scope::Scope;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest that events and runs may be kept: so long is a delivery recognised by the event that
/// it made, and an idempotency key by its task.
pub const KEPT_MIN: Duration = DAY;
/// The word for no end.
const FOREVER: &str = "forever";

/// How long what has ended is kept; without end where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Events with their decisions, from when they were received.
    pub events: Option<Duration>,
    /// Runs with their commands and inputs, tasks and sessions, from when they ended.
    pub runs: Option<Duration>,
    /// What runs say, from when they ended; no longer than the runs.
    pub logs: Option<Duration>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { events: Some(30 * DAY), runs: Some(30 * DAY), logs: Some(30 * DAY) }
    }
}

/// How long each workspace keeps what has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// The rule.
    pub keep: Keep,
    /// The workspaces with a rule of their own.
    pub workspaces: HashMap<Scope, Keep>,
}

impl RetentionSettings {
    /// The rule for this workspace.
    pub fn of(&self, scope: &Scope) -> Keep {
        self.workspaces.get(scope).copied().unwrap_or(self.keep)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionTable {
    events: Option<String>,
    runs: Option<String>,
    logs: Option<String>,
    // By the workspace's name; the global scope's is empty.
    #[serde(default)]
    workspaces: BTreeMap<String, toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceTable {
    events: Option<String>,
    runs: Option<String>,
    logs: Option<String>,
}

impl RetentionTable {
    pub(super) fn into_settings(self, problems: &mut Problems) -> RetentionSettings {
        let Self { events, runs, logs, workspaces } = self;
        let rule = WorkspaceTable { events, runs, logs };
        let keep = rule.over(Keep::default(), "retention", problems);
        let own = |(name, table): (String, toml::Value)| {
            let path = format!("retention.workspaces.{name}");
            let table: WorkspaceTable = nested(&path, table, problems);
            let scope = problems.take(&path, Scope::parse(&name));
            let own = table.over(keep, &path, problems);
            Some((scope?, own))
        };
        RetentionSettings { keep, workspaces: workspaces.into_iter().filter_map(own).collect() }
    }
}

impl WorkspaceTable {
    /// What is said here, and for the rest what is said in general.
    fn over(self, general: Keep, path: &str, problems: &mut Problems) -> Keep {
        let mut span = |field: &str, text, general, min| {
            kept(&format!("{path}.{field}"), text, general, min, problems)
        };
        Keep {
            events: span("events", self.events, general.events, KEPT_MIN),
            runs: span("runs", self.runs, general.runs, KEPT_MIN),
            logs: span("logs", self.logs, general.logs, Duration::ZERO),
        }
    }
}

fn kept(
    path: &str,
    text: Option<String>,
    general: Option<Duration>,
    min: Duration,
    problems: &mut Problems,
) -> Option<Duration> {
    match text {
        None => general,
        Some(text) if text == FOREVER => None,
        Some(text) => {
            let span = duration(path, Some(text), min, problems);
            if span < min {
                let min = humantime::format_duration(min);
                problems.add(
                    path,
                    format!("is shorter than {min}: what comes again is recognised by it so long"),
                );
            }
            Some(span)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (RetentionSettings, Vec<String>) {
        let table: RetentionTable = toml::from_str(text).unwrap();
        let mut problems = Problems::default();
        let settings = table.into_settings(&mut problems);
        (settings, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn a_workspace_says_what_is_other_than_the_rule() {
        assert_eq!(read(""), (RetentionSettings::default(), vec![]));
        let (settings, problems) = read(
            "events = \"7d\"\nlogs = \"1h\"\n[workspaces.acme]\nruns = \"forever\"\n\
             [workspaces.\"\"]\nevents = \"1d\"",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let rule = Keep {
            events: Some(7 * DAY),
            runs: Some(30 * DAY),
            logs: Some(Duration::from_secs(3600)),
        };
        let (acme, other) = (Scope::parse("acme").unwrap(), Scope::parse("other").unwrap());
        assert_eq!(settings.of(&other), rule);
        assert_eq!(settings.of(&acme), Keep { runs: None, ..rule });
        assert_eq!(settings.of(&Scope::Global), Keep { events: Some(DAY), ..rule });
    }

    #[test]
    fn everything_wrong_is_said_at_its_path() {
        let (_, problems) = read(
            "events = \"23h\"\nruns = \"never\"\nlogs = \"0s\"\n\
             [workspaces.Acme]\nruns = \"1h\"",
        );
        assert_eq!(
            problems,
            [
                "retention.events",
                "retention.runs",
                "retention.logs",
                "retention.workspaces.Acme",
                "retention.workspaces.Acme.runs",
            ]
        );
    }
}

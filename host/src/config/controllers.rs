//! `[controllers.NAME]`: how often the background loops have a pass, and which this host drives.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::file::duration;
use super::settings::nested;
use crate::model::controller::ControllerName;
use crate::model::problem::Problems;

/// The longest interval: a week.
const INTERVAL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is said of controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllerSettings(BTreeMap<ControllerName, Setting>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    interval: Duration,
    enabled: bool,
}

impl ControllerSettings {
    /// How often a controller has a pass.
    pub fn interval(&self, name: ControllerName) -> Duration {
        self.0.get(&name).map_or(name.interval(), |setting| setting.interval)
    }

    /// Whether this host drives it.
    pub fn is_enabled(&self, name: ControllerName) -> bool {
        self.0.get(&name).is_none_or(|setting| setting.enabled)
    }
}

#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct ControllersTable(BTreeMap<String, toml::Value>);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControllerTable {
    interval: Option<String>,
    enabled: Option<bool>,
}

impl ControllersTable {
    pub(super) fn into_settings(self, problems: &mut Problems) -> ControllerSettings {
        let settings = self.0.into_iter().filter_map(|(name, table)| {
            let path = format!("controllers.{name}");
            let name: ControllerName = problems.take(&path, name.parse())?;
            let table: ControllerTable = nested(&path, table, problems);
            Some((name, table.into_setting(&path, name, problems)))
        });
        ControllerSettings(settings.collect())
    }
}

impl ControllerTable {
    fn into_setting(self, path: &str, name: ControllerName, problems: &mut Problems) -> Setting {
        let path = format!("{path}.interval");
        let interval = duration(&path, self.interval, name.interval(), problems);
        if interval > INTERVAL_MAX {
            problems.add(path, "is longer than a week");
        }
        Setting { interval, enabled: self.enabled.unwrap_or(true) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (ControllerSettings, Vec<String>) {
        let table: ControllersTable = toml::from_str(text).unwrap();
        let mut problems = Problems::default();
        let settings = table.into_settings(&mut problems);
        (settings, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn what_is_not_said_is_as_it_always_is() {
        let (settings, problems) =
            read("[inbox]\ninterval = \"2s\"\n[run-recovery]\nenabled = false");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(settings.interval(ControllerName::Inbox), Duration::from_secs(2));
        assert!(settings.is_enabled(ControllerName::Inbox));
        assert!(!settings.is_enabled(ControllerName::RunRecovery));
        assert_eq!(settings.interval(ControllerName::WorkerHealth), Duration::from_secs(30));
    }

    #[test]
    fn everything_wrong_is_said_at_its_path() {
        let (_, problems) =
            read("[inbx]\n[inbox]\ninterval = \"0s\"\n[scheduler]\ninterval = \"8d\"");
        let wanted =
            ["controllers.inbox.interval", "controllers.inbx", "controllers.scheduler.interval"];
        assert_eq!(problems, wanted);
    }
}

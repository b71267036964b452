//! A filter that does what its configuration `{"mode": "…"}` says; reports come as the reason for
//! not matching. `ok` matches.

use hillock_plugin_sdk::export_filter;
use hillock_plugin_sdk::filter::{Diagnostic, Event, Filter, FilterError, Verdict};
use misdeeds::Mode;

struct Hostile;

export_filter!(Hostile);

impl Filter for Hostile {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn matches(event: &Event, config: String) -> Result<Verdict, FilterError> {
        let config: serde_json::Value = serde_json::from_str(&config)
            .map_err(|error| FilterError::InvalidConfig(error.to_string()))?;
        let mode = Mode::named(config["mode"].as_str().unwrap_or("ok"));
        let report = mode.commit(|| drop(event.text("kind")));
        match (report, mode) {
            (Some(report), _) => Ok(Verdict::Unmatched(report)),
            (None, Mode::Other(name)) => Err(FilterError::Failed(format!("no mode `{name}`"))),
            (None, _) => Ok(Verdict::Matched),
        }
    }
}

//! How the program tells of itself: its log, and its spans.

use serde::Deserialize;
use url::Url;

use crate::model::problem::Problems;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// For machines: an object a line.
    Json,
}

/// How the program tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// How log lines look.
    pub format: LogFormat,
    /// What is logged, at least; what the command says when absent.
    pub level: Option<String>,
    /// Where a collector takes OTLP over HTTP; spans go nowhere when absent.
    pub otlp_endpoint: Option<Url>,
}

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TelemetryTable {
    #[serde(default)]
    format: LogFormat,
    level: Option<String>,
    otlp_endpoint: Option<String>,
}

impl TelemetryTable {
    pub(super) fn into_telemetry(self, problems: &mut Problems) -> Telemetry {
        let Self { format, level, otlp_endpoint } = self;
        let level = level.and_then(|text| problems.take("telemetry.level", known(text)));
        let otlp_endpoint = otlp_endpoint
            .and_then(|text| problems.take("telemetry.otlp_endpoint", endpoint(&text)));
        Telemetry { format, level, otlp_endpoint }
    }
}

fn known(level: String) -> Result<String, String> {
    if LEVELS.contains(&level.as_str()) {
        return Ok(level);
    }
    Err(format!("`{level}` is not one of {}", LEVELS.join(", ")))
}

fn endpoint(text: &str) -> Result<Url, String> {
    // The text is not repeated: it may hold a password.
    let wanted = "not an http:// or https:// URL of a collector, such as http://127.0.0.1:4318";
    let url = Url::parse(text).map_err(|_| wanted.to_owned())?;
    if ["http", "https"].contains(&url.scheme()) { Ok(url) } else { Err(wanted.to_owned()) }
}

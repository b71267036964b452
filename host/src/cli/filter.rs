//! `hillock filter`: filters tried out, without a host and without a trigger.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::plain::Plain;
use super::sample::{self, Sample};
use super::{Globals, output};
use crate::model::name::Name;
use crate::sandbox::{FilterVerdict, SandboxError};
use crate::telemetry;

/// How the process ends when a filter could not say anything.
const UNDECIDED: u8 = 2;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Test whether an event matches a filter.
    ///
    /// Prints `matched`, or `not matched:` and the clause that failed. Exits with 0 on a match, 1
    /// on no match, and 2 on an error: an invalid configuration or envelope, or an unknown filter.
    Check(Check),
}

/// Which filter, and which event.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The filter component: a built-in one such as `match`, or a plugin from hillock.toml.
    #[arg(value_name = "KIND")]
    component: Name,
    /// The filter's configuration as JSON, such as '{"data.action": "opened"}'. Any other text is
    /// passed to the filter as a string, such as a `cel` expression.
    #[arg(value_name = "CONFIG")]
    configuration: String,
    #[command(flatten)]
    sample: Sample,
}

/// Does what was asked; what goes wrong is said here, since 1 is an answer.
///
/// # Errors
/// When standard output does not take the result.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    telemetry::init("warn");
    let Command::Check(which) = command;
    match check(globals, &which).await {
        Ok(verdict) => {
            let said = shown(&verdict, globals.json) + "\n";
            output::unless_nobody_reads(match globals.json {
                true => output::print_json(said.as_bytes()),
                false => output::print(&said),
            })?;
            Ok(if verdict == FilterVerdict::Matched {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(error) => {
            output::remark(format_args!("error: {error:#}"));
            Ok(ExitCode::from(UNDECIDED))
        }
    }
}

async fn check(globals: &Globals, which: &Check) -> anyhow::Result<FilterVerdict> {
    let Check { component, configuration, sample } = which;
    let config = as_json(component, configuration)?;
    let envelope = sample.read(globals)?;
    let sandbox = sample::components(globals).await?;
    let problems = sandbox.check_filter(component, &config, &envelope.event().scope).await?;
    if !problems.is_empty() {
        return Err(sample::invalid("CONFIG", "", &problems));
    }
    match sandbox.matches(component, &config, &envelope).await {
        Ok(verdict) => Ok(verdict),
        // The reason may quote what the sender sent.
        Err(SandboxError::Refused { reason, .. }) => bail!(Plain::from(reason.as_str())),
        Err(error) => Err(error.into()),
    }
}

/// The configuration as the JSON text that a filter is given. `true` and `1` are JSON, too, but of
/// `cel` they are expressions; what begins as an object or an array and is none is a mistake, but
/// of `cel` it may be an expression.
fn as_json(component: &Name, text: &str) -> anyhow::Result<String> {
    let takes_expressions = component.as_str() == "cel";
    let quoted = || Value::from(text).to_string();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Null | Value::Bool(_) | Value::Number(_)) if takes_expressions => Ok(quoted()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) if !takes_expressions && text.trim_start().starts_with(['{', '[']) => {
            Err(error).context("CONFIG is not well-formed JSON")
        }
        Err(_) => Ok(quoted()),
    }
}

fn shown(verdict: &FilterVerdict, as_json: bool) -> String {
    match (verdict, as_json) {
        (FilterVerdict::Matched, false) => "matched".to_owned(),
        (FilterVerdict::Matched, true) => json!({ "matched": true }).to_string(),
        (FilterVerdict::Unmatched(why), false) => {
            format!("not matched: {}", Plain::from(why.as_str()).line())
        }
        (FilterVerdict::Unmatched(why), true) => {
            json!({ "matched": false, "reason": why }).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_is_a_string() {
        for (component, text, wanted) in [
            ("match", r#"{"data.a": "b"}"#, Some(r#"{"data.a": "b"}"#)),
            ("match", r#"{"data.a": b}"#, None),
            ("match", "[1", None),
            ("match", "data.a", Some(r#""data.a""#)),
            ("mine", "5", Some("5")),
            ("cel", r#"data.a == "b""#, Some(r#""data.a == \"b\"""#)),
            ("cel", r#""data.a == 1""#, Some(r#""data.a == 1""#)),
            ("cel", r#""bug" in data.labels"#, Some(r#""\"bug\" in data.labels""#)),
            ("cel", "true", Some(r#""true""#)),
            ("cel", "[1, 2].size() == 2", Some(r#""[1, 2].size() == 2""#)),
            ("cel", r#"{"expression": "true"}"#, Some(r#"{"expression": "true"}"#)),
        ] {
            let found = as_json(&component.parse().unwrap(), text).ok();
            assert_eq!(found.as_deref(), wanted, "{component} {text}");
        }
    }

    #[test]
    fn a_verdict_is_one_line() {
        let unmatched = FilterVerdict::Unmatched("data.a is `\u{1b}[31mx\n`, not `y`".to_owned());
        assert_eq!(shown(&unmatched, false), "not matched: data.a is `x `, not `y`");
        let told: Value = serde_json::from_str(&shown(&unmatched, true)).unwrap();
        assert_eq!(told["reason"], "data.a is `\u{1b}[31mx\n`, not `y`");
        assert_eq!(shown(&FilterVerdict::Matched, true), r#"{"matched":true}"#);
    }
}

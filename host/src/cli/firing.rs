//! `hillock trigger test` and `hillock trigger fire`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::json;

use super::client::{Answer, Client};
use super::output::{self, fields, or_none, section, word};
use super::plain::Plain;
use super::short::{self, Short};
use super::{Globals, sample};
use crate::model::id::{EventId, RunId};
use crate::model::name::Name;

/// How the process ends when a trial says nothing.
const UNDECIDED: u8 = 2;

/// Which trigger, and on what.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// The trigger's name or identifier.
    name: Name,
    #[command(flatten)]
    on: On,
}

/// On what a trigger is tried.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct On {
    /// Use this stored event.
    #[arg(long, value_name = "ID")]
    event: Option<Short<EventId>>,
    /// Use the event in this JSON file: an envelope (only `kind` is required) or the output of
    /// `hillock event show --json`; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Which trigger, and for what.
#[derive(Debug, clap::Args)]
pub struct Fire {
    /// The trigger's name or identifier.
    name: Name,
    /// Fire for this stored event; without it, fire without event data.
    #[arg(long, value_name = "ID")]
    event: Option<Short<EventId>>,
}

#[derive(Debug, Deserialize)]
struct Trial {
    outcome: Plain,
    reason: Option<Plain>,
    prompt: Option<Plain>,
    untrusted_content: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Fired {
    run_id: RunId,
}

/// Tries a trigger: ends with 0 when it would fire, with 1 when not, and with 2 when that cannot be
/// said. What goes wrong is said here, since 1 is an answer.
///
/// # Errors
/// When standard output does not take the result.
pub async fn test(globals: &Globals, which: &Test) -> anyhow::Result<ExitCode> {
    let (answer, trial) = match tried(globals, which).await {
        Ok(tried) => tried,
        Err(error) => {
            output::remark(format_args!("error: {error:#}"));
            return Ok(ExitCode::from(UNDECIDED));
        }
    };
    if globals.json {
        answer.print()?;
    } else {
        output::print(&trial.text())?;
    }
    let would_fire = trial.outcome.as_str() == "would_fire";
    Ok(if would_fire { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn tried(globals: &Globals, which: &Test) -> anyhow::Result<(Answer, Trial)> {
    let Test { name, on } = which;
    let client = Client::open(globals)?;
    let body = match (&on.event, &on.file) {
        (Some(id), _) => json!({ "event_id": id.clone().whole(&client).await? }),
        (None, Some(file)) => json!({ "envelope": sample::envelope_in(file)?.0 }),
        (None, None) => json!({}),
    };
    let name = short::name(&client, name).await?;
    let answer = client.create(&["triggers", name.as_str(), "test"], &body).await?;
    let trial = answer.read()?;
    Ok((answer, trial))
}

/// Fires a trigger by hand.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn fire(globals: &Globals, which: &Fire) -> anyhow::Result<ExitCode> {
    let Fire { name, event } = which;
    let client = Client::open(globals)?;
    let body = match event {
        Some(id) => json!({ "event_id": id.clone().whole(&client).await? }),
        None => json!({}),
    };
    let name = short::name(&client, name).await?;
    let answer = client.create(&["triggers", name.as_str(), "fire"], &body).await?;
    if globals.json {
        answer.print()?;
    } else {
        let Fired { run_id } = answer.read()?;
        output::print(&format!("{run_id}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Trial {
    fn text(&self) -> String {
        let top = fields([
            ("outcome", word(self.outcome.as_str())),
            ("reason", or_none(self.reason.as_ref().map(Plain::line))),
            ("untrusted content", or_none(self.untrusted_content.as_ref())),
        ]);
        let prompt = self.prompt.as_ref().map(|prompt| section("Prompt", prompt));
        top + &prompt.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn text(trial: Value) -> String {
        let trial: Trial = serde_json::from_value(trial).unwrap();
        anstream::adapter::strip_str(&trial.text()).to_string()
    }

    #[test]
    fn a_trial_is_shown_with_its_prompt() {
        let fires = json!({"outcome": "would_fire", "reason": null, "prompt": "Look\u{1b}[1m",
                           "untrusted_content": "fenced"});
        let wanted = "outcome            would_fire\n\
                      reason             -\n\
                      untrusted content  fenced\n\
                      \n\
                      Prompt\nLook\n";
        assert_eq!(text(fires), wanted);
        let filtered = json!({"outcome": "filtered", "reason": "data.a\nis 1", "prompt": null,
                              "untrusted_content": null});
        let wanted = "outcome            filtered\n\
                      reason             data.a is 1\n\
                      untrusted content  -\n";
        assert_eq!(text(filtered), wanted);
    }
}

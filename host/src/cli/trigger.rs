//! `hillock trigger`: the standing rules that the host knows.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Globals;
use super::client::Client;
use super::listing;
use super::output::{self, fields, or_none, section, table};
use super::plain::Plain;
use crate::model::id::TriggerId;
use crate::model::name::{Name, Slug};

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List triggers.
    List,
    /// Show a trigger, with its filter and its prompt.
    Show {
        /// The trigger.
        name: Name,
    },
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List => {
            let answer = client.get(&["triggers"], &()).await?;
            listing::show(&answer, globals.json, listed)
        }
        Command::Show { name } => {
            let answer = client.get(&["triggers", name.as_str()], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&shown(&answer.read()?))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Debug, Deserialize)]
struct Trigger {
    id: TriggerId,
    name: Name,
    workspace_id: Option<Name>,
    event: Plain,
    endpoint: Option<Slug>,
    agent: Name,
    filter: Option<Filter>,
    template: Name,
    prompt: Plain,
    enabled: bool,
}

#[derive(Debug, Deserialize)]
struct Filter {
    component: Name,
    config: Box<RawValue>,
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.component, Plain::from(self.config.get()))
    }
}

fn listed(triggers: &[Trigger]) -> String {
    let row = |trigger: &Trigger| {
        [
            trigger.name.to_string(),
            trigger.event.line(),
            or_none(trigger.endpoint.as_ref()),
            or_none(trigger.filter.as_ref().map(|filter| &filter.component)),
            trigger.agent.to_string(),
            yes_or_no(trigger.enabled),
        ]
    };
    let headings = ["NAME", "EVENT", "ENDPOINT", "FILTER", "AGENT", "ENABLED"];
    table(headings, triggers.iter().map(row))
}

fn shown(trigger: &Trigger) -> String {
    let top = fields([
        ("id", trigger.id.to_string()),
        ("name", trigger.name.to_string()),
        ("workspace", or_none(trigger.workspace_id.as_ref())),
        ("event", trigger.event.to_string()),
        ("endpoint", or_none(trigger.endpoint.as_ref())),
        ("filter", or_none(trigger.filter.as_ref())),
        ("template", trigger.template.to_string()),
        ("agent", trigger.agent.to_string()),
        ("enabled", yes_or_no(trigger.enabled)),
    ]);
    top + &section("Prompt", &trigger.prompt)
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger() -> Trigger {
        serde_json::from_str(
            r#"{"id":"trg_00000000000000000000000000000003","name":"triage","scope":"global",
            "event":"github.*","endpoint":null,"agent":"triager",
            "filter":{"component":"match","config":{"data.action":"opened"}},
            "template":"handlebars","prompt":"Look at {{data.issue.title}}","enabled":true}"#,
        )
        .unwrap()
    }

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn triggers_are_listed_one_a_line() {
        let wanted = "NAME    EVENT     ENDPOINT  FILTER  AGENT    ENABLED\n\
                      triage  github.*  -         match   triager  yes\n";
        assert_eq!(uncoloured(&listed(&[trigger()])), wanted);
    }

    #[test]
    fn a_trigger_is_shown_with_its_prompt() {
        let text = uncoloured(&shown(&trigger()));
        assert!(text.contains("filter     match {\"data.action\":\"opened\"}\n"), "{text}");
        assert!(text.ends_with("\nPrompt\nLook at {{data.issue.title}}\n"), "{text}");
    }
}

//! `hillock job`: work on a schedule.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::definition::{self, Column, Flags, Listed, note};
use super::demands::Demands;
use super::output::or_none;
use super::{Globals, fires};
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;

/// Its subcommands.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of them, once")]
pub enum Command {
    /// What every definition has.
    #[command(flatten)]
    Definition(definition::Command<Job>),
    /// What makes a job fire.
    #[command(flatten)]
    Fires(fires::Command),
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Definition(command) => definition::run(globals, command).await,
        Command::Fires(command) => fires::run(globals, command).await,
    }
}

/// The flags of a job.
#[derive(Debug, clap::Args)]
pub struct Job {
    #[command(flatten)]
    when: When,
    /// The IANA time zone of the cron expression [default: UTC].
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The agent that carries out the runs.
    #[arg(long)]
    agent: Option<Name>,
    /// The prompt for the agent.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    #[command(flatten)]
    demands: Demands,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct When {
    /// Fire on this cron expression.
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// Fire at this interval, such as 15m.
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// Fire once, at this RFC 3339 time.
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
}

impl When {
    /// What says when; in a patch, with what said so before taken away.
    fn schedule(&self, patching: bool) -> Map<String, Value> {
        let mut schedule = Map::new();
        let modes = [("cron", &self.cron), ("every", &self.every), ("at", &self.at)];
        if patching && modes.iter().any(|(_, given)| given.is_some()) {
            for field in ["mode", "cron", "every", "at", "seconds", "anchor"] {
                schedule.insert(field.to_owned(), Value::Null);
            }
        }
        for (field, given) in modes {
            note(&mut schedule, field, given.as_deref());
        }
        schedule
    }
}

impl Flags for Job {
    const KIND: DefinitionKind = DefinitionKind::Job;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "SCHEDULE", cell: schedule },
        Column { heading: "TIMEZONE", cell: |job| or_none(job.within("schedule", "timezone")) },
        Column { heading: "AGENT", cell: |job| job.word("agent") },
        Column { heading: "LAST FIRED", cell: Listed::last_fired },
    ];

    fn table(&self, patching: bool) -> Map<String, Value> {
        let (mut table, mut schedule) = (Map::new(), self.when.schedule(patching));
        note(&mut schedule, "timezone", self.timezone.as_deref());
        if !schedule.is_empty() {
            table.insert("schedule".to_owned(), schedule.into());
        }
        note(&mut table, "agent", self.agent.as_ref().map(Name::as_str));
        note(&mut table, "prompt", self.prompt.as_deref());
        self.demands.add_to(&mut table);
        table
    }
}

/// The field that says when it is due: `every 5m`.
fn schedule(job: &Listed) -> String {
    let modes = ["cron", "every", "at"];
    let said = modes.iter().find_map(|mode| Some((mode, job.within("schedule", mode)?)));
    or_none(said.map(|(mode, value)| format!("{mode} {value}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_of_the_schedule_takes_the_old_one_away() {
        let flags = |cron: Option<&str>, timezone: Option<&str>| Job {
            when: When { cron: cron.map(str::to_owned), every: None, at: None },
            timezone: timezone.map(str::to_owned),
            agent: None,
            prompt: None,
            demands: Demands::default(),
        };
        let table = |flags: Job, patching| Value::Object(flags.table(patching));
        let both = || flags(Some("@daily"), Some("Asia/Tokyo"));
        let wanted = json!({ "schedule": { "cron": "@daily", "timezone": "Asia/Tokyo" } });
        assert_eq!(table(both(), false), wanted);
        assert_eq!(table(both(), true)["schedule"]["every"], Value::Null);
        assert_eq!(table(both(), true)["schedule"]["cron"], "@daily");
        let zone_only = json!({ "schedule": { "timezone": "UTC" } });
        assert_eq!(table(flags(None, Some("UTC")), true), zone_only);
        assert_eq!(table(flags(None, None), true), json!({}));
    }
}

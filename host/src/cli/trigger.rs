//! `hillock trigger`: the standing rules.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::definition::{self, Column, Flags, Listed, note};
use super::demands::{Demands, table};
use super::output::or_none;
use super::{Globals, firing};
use crate::model::definition::DefinitionKind;
use crate::model::name::{Name, Slug};

/// Its subcommands.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of them, once")]
pub enum Command {
    /// What every definition has.
    #[command(flatten)]
    Definition(definition::Command<Trigger>),
    /// Test what a trigger would do with an event, without firing it.
    ///
    /// Runs its filter, its template and the pre-fire hooks. Exits with 0 if it would fire, 1 if
    /// not, and 2 on an error.
    Test(firing::Test),
    /// Fire a trigger now, with or without an event, bypassing its filter.
    Fire(firing::Fire),
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Definition(command) => definition::run(globals, command).await,
        Command::Test(which) => firing::test(globals, &which).await,
        Command::Fire(which) => firing::fire(globals, &which).await,
    }
}

/// The flags of a trigger.
#[derive(Debug, clap::Args)]
pub struct Trigger {
    /// The event kind to fire on, or a prefix: `github.push`, `github.*`.
    #[arg(long, value_name = "KIND")]
    event: Option<String>,
    /// Fire on events of this endpoint only.
    #[arg(long, value_name = "SLUG")]
    endpoint: Option<Slug>,
    /// The agent that carries out the runs.
    #[arg(long)]
    agent: Option<Name>,
    /// The template of the prompt.
    #[arg(long, value_name = "TEMPLATE")]
    prompt: Option<String>,
    /// Further restrictions for prompts that hold sender content outside a fence, as JSON.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy_untrusted: Option<Value>,
    #[command(flatten)]
    demands: Demands,
}

impl Flags for Trigger {
    const KIND: DefinitionKind = DefinitionKind::Trigger;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "EVENT", cell: |trigger| trigger.word("event") },
        Column {
            heading: "ENDPOINT",
            cell: |trigger| match trigger.says("endpoint_slug") {
                true => trigger.word("endpoint_slug"),
                false => trigger.word("endpoint"),
            },
        },
        Column { heading: "FILTER", cell: |trigger| or_none(trigger.filter().map(|f| f.0)) },
        Column { heading: "AGENT", cell: |trigger| trigger.word("agent") },
        Column { heading: "LAST FIRED", cell: Listed::last_fired },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "event", self.event.as_deref());
        note(&mut table, "endpoint", self.endpoint.as_ref().map(Slug::as_str));
        note(&mut table, "agent", self.agent.as_ref().map(Name::as_str));
        note(&mut table, "prompt", self.prompt.as_deref());
        note(&mut table, "policy_untrusted", self.policy_untrusted.clone());
        self.demands.add_to(&mut table);
        table
    }
}

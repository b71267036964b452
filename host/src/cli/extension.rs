//! `hillock extension`: components that poll something outside.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::client::Client;
use super::definition::{Column, Flags, note};
use super::{Globals, output, short, source};
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What every source has.
    #[command(flatten)]
    Source(source::Command<Extension>),
    /// Poll an extension now instead of at its next interval.
    Poll {
        /// The name or identifier.
        name: Name,
    },
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let name = match command {
        Command::Source(command) => return source::run(globals, command).await,
        Command::Poll { name } => name,
    };
    let client = Client::open(globals)?;
    let name = short::name(&client, &name).await?;
    let answer = client.post(&[Extension::KIND.plural(), name.as_str(), "poll"]).await?;
    if globals.json {
        answer.print()?;
    } else {
        let say = format!("hillock extension state {name}");
        output::print(&format!("{name} polls now; `{say}` says how that went\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The flags of an extension.
#[derive(Debug, clap::Args)]
pub struct Extension {
    /// The component [default: the one with the extension's name].
    #[arg(long, value_name = "NAME")]
    component: Option<Name>,
    /// The polling interval, such as 5m.
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
}

impl Flags for Extension {
    const KIND: DefinitionKind = DefinitionKind::Extension;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "COMPONENT", cell: |extension| extension.word("component") },
        Column { heading: "INTERVAL", cell: |extension| extension.word("interval") },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "component", self.component.as_ref().map(Name::as_str));
        note(&mut table, "interval", self.interval.as_deref());
        table
    }
}

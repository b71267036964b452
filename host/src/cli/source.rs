//! What can be done with observers and extensions: what every definition has, and how they fare.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Deserialize;

use super::Globals;
use super::client::Client;
use super::definition::{self, Flags};
use super::output::{self, or_none};
use super::plain::Plain;
use super::short;
use crate::model::name::Name;
use crate::model::time::Time;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command<F: Flags> {
    /// What every definition has.
    #[command(flatten)]
    Definition(definition::Command<F>),
    /// Show an instance's state: last and next run, and its last error.
    State {
        /// The name or identifier.
        name: Name,
    },
}

#[derive(Debug, Deserialize)]
struct State {
    name: Plain,
    enabled: bool,
    cursor: bool,
    next_at: Option<Time>,
    last_at: Option<Time>,
    failures: u32,
    last_error: Option<Plain>,
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run<F: Flags>(globals: &Globals, command: Command<F>) -> anyhow::Result<ExitCode> {
    let name = match command {
        Command::Definition(command) => return definition::run(globals, command).await,
        Command::State { name } => name,
    };
    let client = Client::open(globals)?;
    let name = short::name(&client, &name).await?;
    let answer = client.get(&[F::KIND.plural(), name.as_str(), "state"], &()).await?;
    if globals.json {
        answer.print()?;
    } else {
        output::print(&shown(answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(state: State) -> String {
    let word = |is: bool| if is { "yes" } else { "no" }.to_owned();
    output::fields([
        ("name", state.name.to_string()),
        ("enabled", word(state.enabled)),
        ("cursor", word(state.cursor)),
        ("last at", or_none(state.last_at)),
        ("next at", or_none(state.next_at)),
        ("failures", state.failures.to_string()),
        ("last error", or_none(state.last_error)),
    ])
}

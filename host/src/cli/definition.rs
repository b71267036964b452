//! What can be done with definitions of every kind: `hillock job list`, `hillock trigger create` ….
//!
//! A kind adds its flags, the columns of its listing, and what only it can do.

mod shown;
mod table;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::shown::{Column, Listed, Warning};
use self::table::{Table, Unset};
use super::Globals;
use super::client::{Answer, Client};
use super::listing::{self, Paging};
use super::{output, short};
use crate::model::definition::{DefinitionKind, DefinitionSource};
use crate::model::name::Name;

/// The flags of one kind of definition.
pub trait Flags: Args {
    /// The kind.
    const KIND: DefinitionKind;
    /// What a listing shows of it, between its name and where it comes from.
    const COLUMNS: &'static [Column];

    /// What they say of a definition: a part of its table. In a patch, null is what must go.
    fn table(&self, patching: bool) -> Map<String, Value>;
}

/// What can be done with a definition that is on or off.
#[derive(Debug, Subcommand)]
pub enum Command<F: Flags> {
    /// See [`Basics`].
    #[command(flatten)]
    Basics(Basics<F>),
    /// See [`Switch`].
    #[command(flatten)]
    Switch(Switch),
}

/// What can be done with any definition.
#[derive(Debug, Subcommand)]
pub enum Basics<F: Flags> {
    /// List all, newest first.
    List(Filter),
    /// Show one in full.
    #[command(visible_alias = "get")]
    Show {
        /// The name or identifier.
        name: Name,
    },
    /// Create one.
    Create(Create<F>),
    /// Change fields of one; other fields stay as they are.
    Patch(Patch<F>),
    /// Delete one that was created through the API.
    Delete {
        /// The name or identifier.
        name: Name,
    },
}

/// What switches a definition.
#[derive(Debug, Subcommand)]
pub enum Switch {
    /// Enable one, wherever it is defined.
    Enable {
        /// The name or identifier.
        name: Name,
    },
    /// Disable one, wherever it is defined.
    Disable {
        /// The name or identifier.
        name: Name,
    },
}

/// Which ones to list.
#[derive(Debug, Args, Serialize)]
pub struct Filter {
    /// Filter by where it is defined: config, package or dynamic.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<DefinitionSource>,
    /// Filter by whether it is enabled.
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Filter triggers and jobs by agent.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Name>,
    /// Filter triggers by event kind, or by a prefix such as `github.*`.
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

/// A new definition.
#[derive(Debug, Args)]
pub struct Create<F: Flags> {
    /// The name; may be omitted if the file has it.
    name: Option<Name>,
    #[command(flatten)]
    flags: F,
    #[command(flatten)]
    table: Table,
}

/// What a definition is to say from now on.
#[derive(Debug, Args)]
pub struct Patch<F: Flags> {
    /// The name or identifier.
    name: Name,
    #[command(flatten)]
    flags: F,
    #[command(flatten)]
    table: Table,
    #[command(flatten)]
    unset: Unset,
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run<F: Flags>(globals: &Globals, command: Command<F>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Basics(command) => basics(globals, command).await,
        Command::Switch(command) => switch(globals, F::KIND, command).await,
    }
}

/// The same, of what is neither on nor off.
///
/// # Errors
/// As [`run`].
pub async fn basics<F: Flags>(globals: &Globals, command: Basics<F>) -> anyhow::Result<ExitCode> {
    let (client, plural) = (Client::open(globals)?, F::KIND.plural());
    match command {
        Basics::List(filter) => {
            let answer = client.get(&[plural], &filter).await?;
            listing::show(&answer, globals.json, |items| shown::list(items, F::COLUMNS))
        }
        Basics::Show { name } => {
            let name = short::name(&client, &name).await?;
            let answer = client.get(&[plural, name.as_str()], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                let found: Listed = answer.read()?;
                output::print(&shown::one(&found))?;
                found.warnings.iter().for_each(Warning::say);
            }
            Ok(ExitCode::SUCCESS)
        }
        Basics::Create(Create { name, flags, table }) => {
            let mut spec = table.read(flags.table(false))?;
            if let Some(name) = name {
                spec.insert(name_field(F::KIND).to_owned(), name.as_str().into());
            }
            let answer = client.create(&[plural], &spec).await?;
            said(globals, F::KIND, &answer, "created")
        }
        Basics::Patch(Patch { name, flags, table, unset }) => {
            let name = short::name(&client, &name).await?;
            let mut patch = table.read(flags.table(true))?;
            unset.add_to(&mut patch)?;
            anyhow::ensure!(
                !patch.is_empty(),
                "nothing is to change: say what, with flags or --set"
            );
            let answer = client.patch(&[plural, name.as_str()], &patch).await?;
            said(globals, F::KIND, &answer, "changed")
        }
        Basics::Delete { name } => {
            let name = short::name(&client, &name).await?;
            client.delete(&[plural, name.as_str()]).await?;
            output::remark(format_args!("{} {name} deleted", F::KIND));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn switch(
    globals: &Globals,
    kind: DefinitionKind,
    command: Switch,
) -> anyhow::Result<ExitCode> {
    let (name, verb) = match &command {
        Switch::Enable { name } => (name, "enable"),
        Switch::Disable { name } => (name, "disable"),
    };
    let client = Client::open(globals)?;
    let name = short::name(&client, name).await?;
    let answer = client.post(&[kind.plural(), name.as_str(), verb]).await?;
    said(globals, kind, &answer, &format!("{verb}d"))
}

fn said(
    globals: &Globals,
    kind: DefinitionKind,
    answer: &Answer,
    done: &str,
) -> anyhow::Result<ExitCode> {
    if globals.json {
        answer.print()?;
    } else {
        let Listed { id, name, warnings, .. } = answer.read()?;
        output::print(&format!("{kind} {name} {done} ({id})\n"))?;
        warnings.iter().for_each(Warning::say);
    }
    Ok(ExitCode::SUCCESS)
}

/// The field that holds its name.
fn name_field(kind: DefinitionKind) -> &'static str {
    if kind == DefinitionKind::Endpoint { "slug" } else { "name" }
}

/// Notes a flag, if it was given.
pub(super) fn note(table: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(field.to_owned(), value.into());
    }
}

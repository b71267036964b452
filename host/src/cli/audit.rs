//! `hillock audit`: who has changed what, and from where.

use std::process::ExitCode;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::Globals;
use super::client::Client;
use super::listing::{self, Paging};
use super::output::{self, NONE, Table, or_none, table};
use super::plain::Plain;
use super::short;
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List audit rows, newest first.
    List(List),
    /// Export audit rows as JSON lines, oldest first.
    Export(Filter),
}

/// Which rows.
#[derive(Debug, clap::Args, Serialize)]
pub struct Filter {
    /// Filter by actor: an identifier, or key, worker, controller, config or host.
    #[arg(long, value_name = "ACTOR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Filter by action: one such as task.create, or all such as task.*
    #[arg(long, value_name = "ACTION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// Filter by object: its identifier, name or kind.
    #[arg(long, value_name = "OBJECT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Show rows from this time on.
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// Show rows before this time.
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

/// Which page of which rows.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    #[command(flatten)]
    #[serde(flatten)]
    filter: Filter,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List(mut which) => {
            short::complete(&mut which.filter.object, &client).await?;
            listing::show(&client.get(&["audit"], &which).await?, globals.json, listed)
        }
        Command::Export(mut filter) => {
            short::complete(&mut filter.object, &client).await?;
            export(&client, &filter).await
        }
    }
}

async fn export(client: &Client, filter: &Filter) -> anyhow::Result<ExitCode> {
    let mut stream = client.download(&["audit", "export"], filter).await?;
    let mut unfinished = Vec::new();
    while let Some(piece) = stream.piece().await? {
        unfinished.extend_from_slice(&piece);
        // Whole lines: a piece may end within a character.
        let end = unfinished.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        output::print_json(&unfinished[..end])?;
        unfinished.drain(..end);
    }
    output::print_json(&unfinished)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Deserialize)]
struct Record {
    at: Time,
    actor: Actor,
    action: Plain,
    object: Object,
    from: Place,
}

#[derive(Debug, Deserialize)]
struct Actor {
    kind: Plain,
    id: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Object {
    kind: Plain,
    id: Option<Plain>,
    name: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Place {
    peer: Option<Plain>,
}

fn listed(records: &[Record]) -> Table {
    let row = |record: &Record| {
        let Record { at, actor, action, object, from } = record;
        let line = |text: &Option<Plain>| text.as_ref().map_or(NONE.to_owned(), Plain::line);
        [
            at.to_string(),
            actor.id.as_ref().unwrap_or(&actor.kind).line(),
            action.line(),
            object.id.as_ref().unwrap_or(&object.kind).line(),
            line(&object.name),
            or_none(from.peer.as_ref()),
        ]
    };
    table(["AT", "ACTOR", "ACTION", "OBJECT", "NAME", "FROM"], records.iter().map(row))
}

//! `hillock worker list`, `approve` …: what an administrator wants of workers.

use std::process::ExitCode;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

use super::shown;
use crate::cli::client::Client;
use crate::cli::listing::{self, Paging};
use crate::cli::output;
use crate::cli::plain::Plain;
use crate::cli::short;
use crate::model::worker::{AdminState, Approval, Health};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List workers, newest first.
    List(List),
    /// Show a worker in full.
    Show(Named),
    /// Approve a worker, so that it may take work.
    Approve(Named),
    /// Reject a worker: close its connection and requeue its work.
    Reject(Named),
    /// Disable a worker: it stays connected and gets no new work.
    Disable(Named),
    /// Enable a disabled worker.
    Enable(Named),
    /// Drain a worker: it finishes its work and gets no more.
    Drain(Named),
    /// Return a drained worker to service.
    Undrain(Named),
    /// Revoke a worker's credential for good: close its connection and requeue its work.
    Revoke(Named),
    /// Rotate a worker's credential: the current one stops working.
    Rotate(Named),
}

/// Which workers.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by health.
    #[arg(long, value_parser = words(Health::ALL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    /// Filter by approval.
    #[arg(long, value_parser = words(Approval::ALL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
    /// Filter by administrative state.
    #[arg(long, value_parser = words(AdminState::ALL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_state: Option<AdminState>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

/// A worker.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The worker's name, if unique, or its identifier.
    #[arg(value_name = "WORKER", value_parser = named)]
    worker: String,
}

fn words<T>(all: &'static [(T, &'static str)]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|(_, word)| *word)).try_map(|word| word.parse::<T>())
}

// A URL takes these for something else than a name.
fn named(text: &str) -> Result<String, &'static str> {
    match text {
        "" | "." | ".." => Err("a worker has no such name"),
        _ => Ok(text.to_owned()),
    }
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub(super) async fn run(client: &Client, command: Command, json: bool) -> anyhow::Result<ExitCode> {
    let (Named { worker }, word) = match command {
        Command::List(which) => {
            let answer = client.get(&["workers"], &which).await?;
            return listing::show(&answer, json, shown::listed);
        }
        Command::Show(Named { worker }) => {
            return show(client, &short::named(client, &worker).await?, json).await;
        }
        Command::Rotate(Named { worker }) => {
            return rotate(client, &short::named(client, &worker).await?, json).await;
        }
        Command::Approve(named) => (named, "approve"),
        Command::Reject(named) => (named, "reject"),
        Command::Disable(named) => (named, "disable"),
        Command::Enable(named) => (named, "enable"),
        Command::Drain(named) => (named, "drain"),
        Command::Undrain(named) => (named, "undrain"),
        Command::Revoke(named) => (named, "revoke"),
    };
    let worker = short::named(client, &worker).await?;
    let answer = client.post(&["workers", &worker, word]).await?;
    if json {
        answer.print()?;
    } else {
        output::print(&shown::standing(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, worker: &str, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.get(&["workers", worker], &()).await?;
    if json {
        answer.print()?;
    } else {
        output::print(&shown::shown(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct Rotated {
    credential: Plain,
}

async fn rotate(client: &Client, worker: &str, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.post(&["workers", worker, "rotate"]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let Rotated { credential } = answer.read()?;
    output::print(&format!("{credential}\n"))?;
    output::remark("It is not shown again, and the one before opens nothing any more.");
    Ok(ExitCode::SUCCESS)
}

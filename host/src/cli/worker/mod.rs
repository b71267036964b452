//! `hillock worker`: runs a worker, and looks after those that a host knows.

mod admin;
pub mod flags;
pub mod pass;
pub mod run;
mod shown;
pub mod ticket;
mod token;

use std::process::ExitCode;

use clap::Subcommand;

use super::Globals;
use super::client::Client;

/// What is wanted; a worker that runs when nothing is said.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// How to run it.
    #[command(flatten)]
    run: run::Args,
    /// What else.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be done with the workers that a host knows.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See [`admin::Command`].
    #[command(flatten)]
    Admin(admin::Command),
    /// Manage the tokens with which new workers join.
    #[command(subcommand)]
    Token(token::Command),
}

/// Does it.
///
/// # Errors
/// When it could not be done.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    let Some(command) = args.command else { return run::run(globals, args.run).await };
    let client = Client::open(globals)?;
    match command {
        Command::Admin(command) => admin::run(&client, command, globals.json).await,
        Command::Token(command) => token::run(globals, &client, command).await,
    }
}

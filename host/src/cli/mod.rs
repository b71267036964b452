//! The command line: one file per subcommand, each a client of the API but for the few that are
//! the host itself.
//!
//! Results go to standard output and everything said about them to standard error, so that a pipe
//! gets nothing but the result. A key or a secret is never an argument: other users of the machine
//! can read those.

pub mod client;
pub mod completions;
pub mod config;
pub mod dev;
pub mod event;
pub mod listing;
pub mod logs;
pub mod output;
pub mod plain;
pub mod run;
pub mod serve;
pub mod sign;
mod signals;
pub mod target;
pub mod trigger;
pub mod webhook;
pub mod worker;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use target::Globals;

/// What the program was asked to do.
#[derive(Debug, Parser)]
#[command(name = "hillock", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The flags that every subcommand takes.
    #[command(flatten)]
    pub globals: Globals,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host.
    Serve(serve::Args),
    /// Try Hillock out: a host and a worker in a local folder, with a sample trigger.
    Dev(dev::Args),
    /// Run a worker that carries out runs for a host.
    Worker(worker::Args),
    /// Look at hillock.toml.
    #[command(subcommand)]
    Config(config::Command),
    /// Look at what arrived, and at what became of it.
    #[command(subcommand)]
    Event(event::Command),
    /// Look at runs, follow and cancel them.
    #[command(subcommand)]
    Run(run::Command),
    /// Look at the standing rules.
    #[command(subcommand)]
    Trigger(trigger::Command),
    /// Send webhooks.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Print the completion script of a shell.
    Completions(completions::Args),
}

/// Does what was asked, and says how the process should end.
///
/// # Errors
/// When it could not be done. Nobody reading on is not an error.
pub async fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { globals, command } = cli;
    let done = match command {
        Command::Serve(args) => serve::run(&globals, args).await,
        Command::Dev(args) => dev::run(&globals, args).await,
        Command::Worker(args) => worker::run(&globals, args).await,
        Command::Config(command) => config::run(&globals, command).await,
        Command::Event(command) => event::run(&globals, command).await,
        Command::Run(command) => run::run(&globals, command).await,
        Command::Trigger(command) => trigger::run(&globals, command).await,
        Command::Webhook(command) => webhook::run(&globals, command).await,
        Command::Completions(args) => completions::run(&args),
    };
    done.or_else(unless_nobody_reads)
}

/// `hillock run list | head` closes the pipe as soon as it has enough.
fn unless_nobody_reads(error: anyhow::Error) -> anyhow::Result<ExitCode> {
    match error.downcast_ref::<io::Error>() {
        Some(io) if io.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parses(line: &str) -> bool {
        Cli::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lines_parse_or_do_not() {
        let id = "0".repeat(32);
        for (line, wanted) in [
            ("hillock config check --json".to_owned(), true),
            ("hillock --url http://h:1 event list --kind github.push --limit 5".to_owned(), true),
            ("hillock event list --limit 0".to_owned(), false),
            (format!("hillock event show evt_{id}"), true),
            (format!("hillock event show run_{id}"), false),
            ("hillock run list --status failed --trigger triage".to_owned(), true),
            ("hillock run list --status lost".to_owned(), false),
            (format!("hillock run logs run_{id} -f --after 7"), true),
            ("hillock trigger show triage --workspace acme".to_owned(), true),
            ("hillock trigger list --workspace Acme".to_owned(), false),
            ("hillock webhook send gh --file - --source github --secret env:S".to_owned(), true),
            ("hillock webhook send gh --file - --secret hunter2".to_owned(), false),
            ("hillock webhook send gh --file - --header X-A:b --header X-C:d".to_owned(), true),
            ("hillock webhook send gh --file - --header X".to_owned(), false),
            ("hillock run list --url ftp://h".to_owned(), false),
            ("hillock run list --key hlk_1".to_owned(), false),
            ("hillock completions zsh".to_owned(), true),
        ] {
            assert_eq!(parses(&line), wanted, "{line}");
        }
    }

    #[test]
    fn a_closed_pipe_is_a_quiet_end() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(unless_nobody_reads(closed.into()).is_ok());
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(unless_nobody_reads(denied.into()).is_err());
    }
}

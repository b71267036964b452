//! The command line: one file per subcommand, each a client of the API but for the few that are
//! the host itself.
//!
//! Results go to standard output and everything said about them to standard error, so that a pipe
//! gets nothing but the result. A key or a secret is never an argument: other users of the machine
//! can read those.

pub mod agent;
pub mod audit;
pub mod backup;
pub mod client;
pub mod command;
pub mod completions;
pub mod config;
pub mod controller;
pub mod definition;
pub mod demands;
pub mod dev;
pub mod doctor;
pub mod endpoint;
pub mod event;
pub mod explain;
pub mod extension;
pub mod filter;
pub mod fires;
pub mod firing;
mod fit;
pub mod hook;
pub mod input;
pub mod job;
pub mod listing;
pub mod live;
pub mod logs;
pub mod metrics;
pub mod observer;
pub mod output;
pub mod pause;
pub mod plain;
pub mod protocol;
pub mod restore;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod serve;
pub mod session;
pub mod short;
pub mod sign;
mod signals;
pub mod source;
pub mod stats;
pub mod systemd;
pub mod target;
pub mod task;
pub mod template;
pub mod trigger;
mod waiting;
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
    /// Try Hillock in a local folder: a host, a worker and a sample trigger.
    Dev(dev::Args),
    /// Run a worker, or manage the workers of a host.
    Worker(worker::Args),
    /// Print the worker protocol as a JSON Schema.
    Protocol,
    /// Check or reload the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// List, explain and replay events.
    #[command(subcommand)]
    Event(event::Command),
    /// List, follow, cancel and retry runs.
    #[command(subcommand)]
    Run(run::Command),
    /// Manage queued commands: list, approve, reject, cancel.
    #[command(subcommand, name = "command")]
    Commands(command::Command),
    /// Pause dispatch: new runs wait, running ones go on.
    Pause(pause::Args),
    /// Resume dispatch after a pause.
    Resume(pause::Whose),
    /// Show how many commands are queued, running and finished.
    Stats(listing::Reach),
    /// Show the audit trail.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print metrics, and dashboards and alerts for them.
    Metrics(metrics::Args),
    /// Create and manage tasks for agents.
    #[command(subcommand)]
    Task(task::Command),
    /// List sessions and their runs.
    #[command(subcommand)]
    Session(session::Command),
    /// List controllers (background loops), or run one now.
    #[command(subcommand)]
    Controller(controller::Command),
    /// Manage triggers: which events start which agent.
    #[command(subcommand)]
    Trigger(trigger::Command),
    /// Manage scheduled jobs.
    #[command(subcommand)]
    Job(job::Command),
    /// Manage webhook endpoints.
    #[command(subcommand)]
    Endpoint(definition::Command<endpoint::Endpoint>),
    /// Manage agents.
    #[command(subcommand)]
    Agent(definition::Basics<agent::Agent>),
    /// Manage lifecycle hooks.
    #[command(subcommand)]
    Hook(definition::Command<hook::Hook>),
    /// Manage observers, which watch files, the queue or runs.
    #[command(subcommand)]
    Observer(source::Command<observer::Observer>),
    /// Manage extensions, which poll external services.
    #[command(subcommand)]
    Extension(extension::Command),
    /// Test schedules, without a host.
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Test prompt templates, without a host.
    #[command(subcommand)]
    Template(template::Command),
    /// Test filters, without a host.
    #[command(subcommand)]
    Filter(filter::Command),
    /// Send test webhooks.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Check this machine for what a host needs, and suggest fixes.
    ///
    /// Exits with 1 if any check fails.
    Doctor,
    /// Print a systemd unit for the host.
    Systemd,
    /// Back up the store to a file while the host runs.
    Backup(backup::Args),
    /// Restore the store from a backup.
    Restore(restore::Args),
    /// Print a shell completion script.
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
        Command::Protocol => protocol::run(),
        Command::Config(command) => config::run(&globals, command).await,
        Command::Event(command) => event::run(&globals, command).await,
        Command::Run(command) => run::run(&globals, command).await,
        Command::Commands(command) => command::run(&globals, command).await,
        Command::Pause(args) => pause::pause(&globals, args).await,
        Command::Resume(whose) => pause::resume(&globals, whose).await,
        Command::Stats(reach) => stats::run(&globals, reach).await,
        Command::Audit(command) => audit::run(&globals, command).await,
        Command::Metrics(args) => metrics::run(&globals, args).await,
        Command::Task(command) => task::run(&globals, command).await,
        Command::Session(command) => session::run(&globals, command).await,
        Command::Controller(command) => controller::run(&globals, command).await,
        Command::Trigger(command) => trigger::run(&globals, command).await,
        Command::Job(command) => job::run(&globals, command).await,
        Command::Endpoint(command) => definition::run(&globals, command).await,
        Command::Agent(command) => definition::basics(&globals, command).await,
        Command::Hook(command) => definition::run(&globals, command).await,
        Command::Observer(command) => source::run(&globals, command).await,
        Command::Extension(command) => extension::run(&globals, command).await,
        Command::Schedule(command) => schedule::run(&globals, &command),
        Command::Template(command) => template::run(&globals, command).await,
        Command::Filter(command) => filter::run(&globals, command).await,
        Command::Webhook(command) => webhook::run(&globals, command).await,
        Command::Doctor => doctor::run(&globals).await,
        Command::Systemd => systemd::run(),
        Command::Backup(args) => backup::run(&globals, args).await,
        Command::Restore(args) => restore::run(&globals, args).await,
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
            ("hillock config check --json --elsewhere".to_owned(), true),
            ("hillock doctor --json".to_owned(), true),
            ("hillock --url http://h:1 event list --kind github.push --limit 5".to_owned(), true),
            ("hillock event list --limit 0".to_owned(), false),
            (format!("hillock event show evt_{id}"), true),
            (format!("hillock event show run_{id}"), false),
            ("hillock run show run_01a2".to_owned(), true),
            ("hillock run show run_01".to_owned(), false),
            ("hillock run list --failed --json".to_owned(), true),
            ("hillock run list --failed --status completed".to_owned(), false),
            ("hillock run list --status failed --trigger triage".to_owned(), true),
            ("hillock run list --status lost".to_owned(), false),
            (format!("hillock run logs run_{id} -f --after 7"), true),
            (format!("hillock command show cmd_{id} --json"), true),
            (format!("hillock command show run_{id}"), false),
            ("hillock command list --state blocked --type run --agent a".to_owned(), true),
            ("hillock command list --state lost".to_owned(), false),
            (format!("hillock command approve cmd_{id}"), true),
            (format!("hillock command deny cmd_{id}"), true),
            (format!("hillock command cancel cmd_{id}"), true),
            ("hillock pause --reason provider --workspace acme --json".to_owned(), true),
            ("hillock pause --all-workspaces".to_owned(), true),
            ("hillock pause acme".to_owned(), false),
            ("hillock resume --all-workspaces --json".to_owned(), true),
            ("hillock resume --reason provider".to_owned(), false),
            ("hillock stats --workspace acme --json".to_owned(), true),
            ("hillock audit list --actor key --action task.* --limit 5".to_owned(), true),
            ("hillock audit list --since yesterday".to_owned(), false),
            ("hillock audit export --object job --until 2026-01-01T00:00:00Z".to_owned(), true),
            ("hillock audit export --limit 5".to_owned(), false),
            ("hillock metrics --describe --json".to_owned(), true),
            ("hillock metrics --dashboard --alerts".to_owned(), false),
            ("hillock agent create a --concurrency 4 --lane slow=1 --on-lost fail".to_owned(), true),
            ("hillock agent create a --concurrency 0".to_owned(), false),
            ("hillock agent create a --lane slow".to_owned(), false),
            ("hillock agent create a --policy [1]".to_owned(), false),
            ("hillock job create j --every 5m --lane slow --session nightly".to_owned(), true),
            (format!("hillock run input run_{id} more --mode interrupt"), true),
            ("hillock task create work --agent triager --session s --priority high -w".to_owned(), true),
            ("hillock task create work".to_owned(), false),
            ("hillock task create work --agent a --wait --follow".to_owned(), false),
            ("hillock task create work --agent a --priority soon".to_owned(), false),
            ("hillock task create work --agent a --policy []".to_owned(), false),
            ("hillock task create - --agent a --worker-label tier=1 --tool cargo".to_owned(), true),
            ("hillock task list --status waiting --archived --json".to_owned(), true),
            (format!("hillock task show run_{id}"), false),
            (format!("hillock task input task_{id} - --mode steer"), true),
            (format!("hillock task input task_{id} more --mode later"), false),
            (format!("hillock task result task_{id}"), true),
            (format!("hillock task logs task_{id} -f --json"), true),
            ("hillock session list --state active".to_owned(), true),
            ("hillock session show ticket-42 --json".to_owned(), true),
            ("hillock trigger show triage --workspace acme".to_owned(), true),
            (format!("hillock event explain evt_{id} --json"), true),
            (format!("hillock trigger test triage --event evt_{id}"), true),
            ("hillock trigger test triage --file -".to_owned(), true),
            (format!("hillock trigger test triage --event evt_{id} --file e.json"), false),
            ("hillock trigger test triage".to_owned(), false),
            ("hillock trigger fire triage".to_owned(), true),
            (format!("hillock trigger fire triage --event evt_{id}"), true),
            ("hillock trigger list --workspace Acme".to_owned(), false),
            ("hillock trigger list --source dynamic --enabled false --agent a".to_owned(), true),
            ("hillock trigger list --source elsewhere".to_owned(), false),
            ("hillock job create nightly --cron @daily --agent a --prompt x".to_owned(), true),
            ("hillock job create nightly --cron @daily --every 5m".to_owned(), false),
            ("hillock job create --file - --set retry.max_retries=5".to_owned(), true),
            ("hillock job patch nightly --unset retry".to_owned(), true),
            ("hillock job create nightly --unset retry".to_owned(), false),
            ("hillock job patch --cron @daily".to_owned(), false),
            ("hillock endpoint create gh --source github --secret-ref env:S".to_owned(), true),
            ("hillock endpoint create gh --secret-ref hunter2".to_owned(), false),
            ("hillock hook create h --point run.failed --component c".to_owned(), true),
            ("hillock hook create h --point run.lost --component c".to_owned(), false),
            ("hillock observer disable o --json".to_owned(), true),
            ("hillock observer poll o".to_owned(), false),
            ("hillock extension poll news --json".to_owned(), true),
            ("hillock extension state news".to_owned(), true),
            ("hillock agent delete a".to_owned(), true),
            ("hillock agent disable a".to_owned(), false),
            ("hillock config reload --json".to_owned(), true),
            ("hillock webhook send gh --file - --source github --secret env:S".to_owned(), true),
            ("hillock webhook send gh --file - --secret hunter2".to_owned(), false),
            ("hillock webhook send gh --file - --header X-A:b --header X-C:d".to_owned(), true),
            ("hillock webhook send gh --file - --header X".to_owned(), false),
            ("hillock run list --url ftp://h".to_owned(), false),
            ("hillock run list --key hlk_1".to_owned(), false),
            ("hillock job preview nightly --count 1000 --json".to_owned(), true),
            ("hillock job preview nightly --count 1001".to_owned(), false),
            ("hillock job preview nightly --count 0".to_owned(), false),
            (format!("hillock job trigger job_{id}"), true),
            ("hillock job trigger Nightly".to_owned(), false),
            (
                "hillock job backfill nightly --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z"
                    .to_owned(),
                true,
            ),
            ("hillock job backfill nightly --from 2026-01-01T00:00:00Z".to_owned(), false),
            ("hillock job backfill nightly --from noon --to night".to_owned(), false),
            ("hillock job history nightly --status failed --limit 5".to_owned(), true),
            ("hillock schedule next --cron @daily --timezone Asia/Tokyo".to_owned(), true),
            ("hillock schedule next --every 5m --count 1000 --json".to_owned(), true),
            ("hillock schedule next --every 5m --count 1001".to_owned(), false),
            ("hillock schedule next --every 5m --count 0".to_owned(), false),
            ("hillock schedule next --every 5m --from noon".to_owned(), false),
            ("hillock schedule next --every 5m --cron @daily".to_owned(), false),
            ("hillock schedule next".to_owned(), false),
            ("hillock template render t.hbs --envelope e.json --json".to_owned(), true),
            ("hillock template render t.hbs".to_owned(), false),
            ("hillock template render - --envelope e.json --template Mine".to_owned(), false),
            ("hillock filter check match {} --envelope -".to_owned(), true),
            ("hillock filter check match --envelope -".to_owned(), false),
            ("hillock worker".to_owned(), true),
            ("hillock worker --url http://h:1".to_owned(), true),
            ("hillock worker --json list --health online --approval pending".to_owned(), true),
            ("hillock worker list --health ill".to_owned(), false),
            (format!("hillock worker approve wrk_{id} --json"), true),
            ("hillock worker drain ..".to_owned(), false),
            ("hillock worker revoke".to_owned(), false),
            ("hillock worker token create --uses 3 --expires-in 1h --approve".to_owned(), true),
            (format!("hillock worker token revoke btk_{id}"), true),
            (format!("hillock worker token revoke wrk_{id}"), false),
            ("hillock protocol".to_owned(), true),
            ("hillock backup --force /tmp/b.db --json".to_owned(), true),
            ("hillock backup".to_owned(), false),
            ("hillock restore b.db".to_owned(), true),
            ("hillock restore".to_owned(), false),
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

//! `hillock command`: what is queued and dispatched, what it waits for, and deciding on it.

use std::process::ExitCode;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

use super::Globals;
use super::client::Client;
use super::listing::{self, Paging};
use super::output::{self, Table, fields, or_none, table, word};
use super::plain::Plain;
use super::short::{self, Short};
use super::waiting::Waiting;
use crate::model::command::{CommandState, CommandType};
use crate::model::definition::Priority;
use crate::model::id::{CommandId, RunId, WorkerId};
use crate::model::name::Name;
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List commands, newest first.
    List(List),
    /// Show a command and why it waits.
    Show {
        /// The command's identifier.
        id: Short<CommandId>,
    },
    /// Approve a command that waits for approval.
    ///
    /// If its policy asks once, this also approves later commands that ask for the same.
    Approve {
        /// The command's identifier.
        id: Short<CommandId>,
    },
    /// Reject a command that waits for approval, and cancel its run.
    Deny {
        /// The command's identifier.
        id: Short<CommandId>,
    },
    /// Cancel a command and its run.
    Cancel {
        /// The command's identifier.
        id: Short<CommandId>,
    },
}

/// Which commands.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by state.
    #[arg(long, value_parser = one_of(CommandState::ALL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<CommandState>,
    /// Filter by type.
    #[arg(long = "type", value_parser = one_of(CommandType::ALL))]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<CommandType>,
    /// Filter by agent.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Name>,
    /// Filter by run.
    #[arg(long = "run", value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<Short<RunId>>,
    /// Filter by priority: critical, high, normal or low.
    #[arg(long, value_name = "WORD")]
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    /// Filter by the worker that has the command, or had it last: its name or identifier.
    #[arg(long, value_name = "WORKER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

fn one_of<T>(all: &'static [(T, &'static str)]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let words: Vec<&str> = all.iter().map(|(_, word)| *word).collect();
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List(mut which) => {
            Short::complete(&mut which.run_id, &client).await?;
            short::complete(&mut which.worker, &client).await?;
            let answer = client.get(&["commands"], &which).await?;
            listing::show(&answer, globals.json, listed)
        }
        Command::Show { id } => {
            let id = id.whole(&client).await?;
            let answer = client.get(&["commands", id.as_str()], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&shown(&answer.read()?, &answer.read()?))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Approve { id } => decide(&client, id, "approve", globals.json).await,
        Command::Deny { id } => decide(&client, id, "deny", globals.json).await,
        Command::Cancel { id } => decide(&client, id, "cancel", globals.json).await,
    }
}

async fn decide(
    client: &Client,
    id: Short<CommandId>,
    verb: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let id = id.whole(client).await?;
    let answer = client.post(&["commands", id.as_str(), verb]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let command: Summary = answer.read()?;
    let state = word(command.state.as_str());
    output::print(&match command.state.is_active() && verb == "cancel" {
        true => format!("{id} is {state}, and was asked to stop\n"),
        false => format!("{id} is {state}\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A command as listings have it.
#[derive(Debug, Deserialize)]
struct Summary {
    id: CommandId,
    #[serde(rename = "type")]
    kind: CommandType,
    state: CommandState,
    workspace_id: Option<Name>,
    agent: Option<Name>,
    lane: Option<Name>,
    run_id: Option<RunId>,
    priority: Priority,
    attempt: u32,
    dispatch_attempts: u32,
    worker_id: Option<WorkerId>,
    token_prefix: Option<Plain>,
    due_at: Option<Time>,
    expires_at: Option<Time>,
    created_at: Time,
    sent_at: Option<Time>,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<Plain>,
}

/// What a command has beside its [`Summary`].
#[derive(Debug, Deserialize)]
struct Detail {
    waiting: Option<Waiting>,
}

fn listed(commands: &[Summary]) -> Table {
    let row = |command: &Summary| {
        [
            command.id.to_string(),
            command.kind.to_string(),
            command.state.to_string(),
            or_none(command.agent.as_ref()),
            command.priority.to_string(),
            or_none(command.run_id.as_ref()),
            command.created_at.to_string(),
            or_none(command.ended_at),
        ]
    };
    let headings = ["ID", "TYPE", "STATE", "AGENT", "PRIORITY", "RUN", "CREATED", "ENDED"];
    table(headings, commands.iter().map(row))
}

fn shown(command: &Summary, detail: &Detail) -> String {
    let top = fields([
        ("id", command.id.to_string()),
        ("type", command.kind.to_string()),
        ("state", word(command.state.as_str())),
        ("error", or_none(command.error.as_ref())),
        ("agent", or_none(command.agent.as_ref())),
        ("lane", or_none(command.lane.as_ref())),
        ("workspace", or_none(command.workspace_id.as_ref())),
        ("run", or_none(command.run_id.as_ref())),
        ("priority", command.priority.to_string()),
        ("attempt", command.attempt.to_string()),
        ("sent out", format!("{} times", command.dispatch_attempts)),
        ("worker", or_none(command.worker_id.as_ref())),
        ("token", or_none(command.token_prefix.as_ref().map(|prefix| format!("{prefix}…")))),
        ("due", or_none(command.due_at)),
        ("expires", or_none(command.expires_at)),
        ("created", command.created_at.to_string()),
        ("sent", or_none(command.sent_at)),
        ("started", or_none(command.started_at)),
        ("ended", or_none(command.ended_at)),
    ]);
    top + &detail.waiting.as_ref().map(Waiting::shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "cmd_00000000000000000000000000000001";
    const RUN: &str = "run_00000000000000000000000000000002";

    fn json() -> String {
        format!(
            r#"{{"id":"{ID}","type":"run","state":"pending","scope":"global","agent":"triager",
            "lane":null,"run_id":"{RUN}","session_id":null,"class_id":"c","priority":"high",
            "attempt":2,"dispatch_attempts":1,"on_lost":"requeue","worker_id":null,
            "token_prefix":null,"due_at":null,"expires_at":null,"lease_expires_at":null,
            "cancel_requested_at":null,"created_at":"2026-01-31T09:00:00.000Z","sent_at":null,
            "acknowledged_at":null,"started_at":null,"ended_at":null,"error":null,"policy":null,
            "routing":{{}},"waiting":{{"position":3,"total":7,"score":742,"workers":2,
            "mean_duration_ms":60000,"assumed_duration":true,"estimated_wait_ms":120000,
            "reasons":[{{"code":"workers_busy","detail":"no \u001b[1mroom"}}]}}}}"#
        )
    }

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_command_is_shown_with_what_it_waits_for() {
        let command = serde_json::from_str(&json()).unwrap();
        let text = uncoloured(&shown(&command, &serde_json::from_str(&json()).unwrap()));
        let wanted = format!(
            "id         {ID}\n\
             type       run\n\
             state      pending\n\
             error      -\n\
             agent      triager\n\
             lane       -\n\
             workspace  -\n\
             run        {RUN}\n\
             priority   high\n\
             attempt    2\n\
             sent out   1 times\n\
             worker     -\n\
             token      -\n\
             due        -\n\
             expires    -\n\
             created    2026-01-31T09:00:00.000Z\n\
             sent       -\n\
             started    -\n\
             ended      -\n\
             \n\
             Waits\n\
             place    3 of 7, with a score of 742\n\
             workers  2\n\
             wait     2m (a command takes 1m, which is assumed)\n\
             workers_busy: no room\n"
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn commands_are_listed_one_a_line() {
        let text = uncoloured(&listed(&[serde_json::from_str(&json()).unwrap()]).to_string());
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let created = "2026-01-31T09:00:00.000Z";
        assert_eq!(row, [ID, "run", "pending", "triager", "high", RUN, created, "-"]);
    }
}

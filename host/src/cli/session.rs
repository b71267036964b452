//! `hillock session`: conversations, and who works in them.

use std::process::ExitCode;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::listing::{self, Paging};
use super::output::{self, Table, fields, or_none, section, table};
use super::plain::Plain;
use super::{Globals, short, task};
use crate::model::id::{RunId, SessionId};
use crate::model::name::Name;
use crate::model::session::SessionState;
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List sessions, newest first.
    List(List),
    /// Show a session and its runs.
    Show {
        /// The session's key or identifier.
        session: String,
    },
}

/// Which sessions.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by state.
    #[arg(long, value_parser = state())]
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<SessionState>,
    /// Filter by the agent that started the session.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Name>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

fn state() -> impl TypedValueParser<Value = SessionState> {
    PossibleValuesParser::new(SessionState::ALL.iter().map(|(_, word)| word))
        .try_map(|word| word.parse::<SessionState>())
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List(which) => {
            listing::show(&client.get(&["sessions"], &which).await?, globals.json, listed)
        }
        Command::Show { session } => {
            let session = short::named(&client, &session).await?;
            let answer = client.get(&["sessions", &session], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&shown(&answer.read()?, &answer.read()?))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A session as listings have it.
#[derive(Debug, Deserialize)]
struct Summary {
    id: SessionId,
    key: Plain,
    agent: Name,
    state: SessionState,
    state_at: Time,
    #[serde(default)]
    stuck: bool,
    workspace_id: Option<Name>,
    lease: Option<Lease>,
    last_run_id: Option<RunId>,
    created_at: Time,
}

#[derive(Debug, Deserialize)]
struct Lease {
    owner: Plain,
    expires_at: Time,
}

/// What a session has beside its [`Summary`].
#[derive(Debug, Deserialize)]
struct Detail {
    runs: Vec<task::Run>,
}

impl Summary {
    fn state(&self) -> String {
        let stuck = if self.stuck { " (stuck)" } else { "" };
        format!("{}{stuck}", self.state)
    }
}

fn listed(sessions: &[Summary]) -> Table {
    let row = |session: &Summary| {
        [
            session.id.to_string(),
            session.key.line(),
            session.agent.to_string(),
            session.state(),
            session.state_at.to_string(),
            or_none(session.last_run_id.as_ref()),
        ]
    };
    table(["ID", "KEY", "AGENT", "STATE", "SINCE", "LAST RUN"], sessions.iter().map(row))
}

fn shown(session: &Summary, detail: &Detail) -> String {
    let lease = session.lease.as_ref();
    let top = fields([
        ("id", session.id.to_string()),
        ("key", session.key.to_string()),
        ("agent", session.agent.to_string()),
        ("workspace", or_none(session.workspace_id.as_ref())),
        ("state", session.state()),
        ("since", session.state_at.to_string()),
        ("held by", or_none(lease.map(|lease| &lease.owner))),
        ("held until", or_none(lease.map(|lease| lease.expires_at))),
        ("created", session.created_at.to_string()),
    ]);
    top + &section("Runs", task::runs(&detail.runs))
}

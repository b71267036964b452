//! `hillock worker token`: bootstrap tokens, with which machines join.

use std::process::ExitCode;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::cli::Globals;
use crate::cli::client::Client;
use crate::cli::listing::{self, Paging};
use crate::cli::output::{self, Table, or_none, table};
use crate::cli::plain::Plain;
use crate::cli::short::Short;
use crate::model::id::BootstrapId;
use crate::model::time::Time;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a token, and show how another machine joins with it.
    Create(Create),
    /// List tokens, newest first.
    List(Paging),
    /// Revoke a token.
    Revoke {
        /// The token's identifier.
        id: Short<BootstrapId>,
    },
}

/// What the token is good for.
#[derive(Debug, clap::Args, Serialize)]
pub struct Create {
    /// How many workers may join with it.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    /// How long it is valid, such as 1h.
    #[arg(long, value_name = "DURATION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<String>,
    /// Approve workers that join with it at once.
    #[arg(long)]
    approve: bool,
}

#[derive(Debug, Deserialize)]
struct Token {
    id: BootstrapId,
    prefix: Plain,
    uses_left: u32,
    approve: bool,
    expires_at: Time,
    revoked_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Created {
    token: Plain,
    #[serde(flatten)]
    kept: Token,
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub(super) async fn run(
    globals: &Globals,
    client: &Client,
    command: Command,
) -> anyhow::Result<ExitCode> {
    let path = ["workers", "tokens"];
    match command {
        Command::Create(token) => {
            let answer = client.create(&path, &token).await?;
            if globals.json {
                answer.print()?;
            } else {
                say(globals, &answer.read()?)?;
            }
        }
        Command::List(paging) => {
            let answer = client.get(&path, &paging).await?;
            return listing::show(&answer, globals.json, listed);
        }
        Command::Revoke { id } => {
            let id = id.whole(client).await?;
            let answer = client.delete(&[path[0], path[1], id.as_str()]).await?;
            if globals.json {
                answer.print()?;
            } else {
                let Token { id, prefix, .. } = answer.read()?;
                output::print(&format!("{id} {prefix}… admits nobody any more\n"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The token is the result; the rest is said of it.
fn say(globals: &Globals, created: &Created) -> anyhow::Result<()> {
    let Created { token, kept } = created;
    output::print(&format!("{token}\n"))?;
    let url = globals.host_url()?;
    let machines = if kept.uses_left == 1 { "one machine" } else { "machines" };
    let often = if kept.uses_left == 1 { String::new() } else { format!("{} ", kept.uses_left) };
    output::remark(format_args!(
        "It lets {often}{machines} join until {}, and is not shown again. There, say:\n\n  \
         hillock worker --url {} --join {token}\n",
        kept.expires_at,
        url.as_str().trim_end_matches('/'),
    ));
    if !kept.approve {
        output::remark("Then approve of it here: hillock worker approve NAME");
    }
    Ok(())
}

fn listed(tokens: &[Token]) -> Table {
    let row = |token: &Token| {
        [
            token.id.to_string(),
            format!("{}…", token.prefix),
            token.uses_left.to_string(),
            if token.approve { "yes" } else { "no" }.to_owned(),
            token.expires_at.to_string(),
            or_none(token.revoked_at),
        ]
    };
    table(["ID", "TOKEN", "USES LEFT", "APPROVES", "EXPIRES", "REVOKED"], tokens.iter().map(row))
}

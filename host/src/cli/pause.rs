//! `hillock pause` and `hillock resume`: workers are given nothing more, and are again.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::json;

use super::client::{Answer, Client};
use super::plain::Plain;
use super::{Globals, listing, output};
use crate::model::name::Name;
use crate::model::pause::{Pause, way_out};
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;

/// What is to wait, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The reason, shown wherever a waiting run is shown.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

/// Whose runs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Whose {
    /// Pause or resume the whole host: every workspace and the global scope.
    #[arg(long)]
    all_workspaces: bool,
}

/// How it stands, as the host says.
#[derive(Debug, Deserialize)]
struct Stand {
    paused_at: Option<Time>,
    host: Option<Host>,
    #[serde(default)]
    workspaces: Vec<Own>,
}

#[derive(Debug, Deserialize)]
struct Host {
    paused_at: Time,
    reason: Option<Plain>,
}

/// A workspace that is paused by itself, or the global scope.
#[derive(Debug, Deserialize)]
struct Own {
    workspace_id: Option<Name>,
}

/// Pauses, and says what holds from now on.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn pause(globals: &Globals, Args { reason, whose }: Args) -> anyhow::Result<ExitCode> {
    let content = json!({ "reason": reason });
    let client = Client::open(globals)?;
    let answer = client.tell(&["pause"], &whose.reach(), &content).await?;
    show(globals, &answer, |stand| whose.paused(globals, stand))
}

/// Resumes, and says what holds from now on.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn resume(globals: &Globals, whose: Whose) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    let answer = client.tell(&["resume"], &whose.reach(), &json!({})).await?;
    show(globals, &answer, |stand| whose.resumed(globals, stand))
}

fn show(
    globals: &Globals,
    answer: &Answer,
    said: impl FnOnce(&Stand) -> String,
) -> anyhow::Result<ExitCode> {
    if globals.json {
        answer.print()?;
    } else {
        output::print(&said(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Whose {
    fn reach(self) -> listing::Reach {
        listing::Reach::of(self.all_workspaces)
    }

    fn meant(self, globals: &Globals) -> Reach {
        if self.all_workspaces { Reach::All } else { Reach::from(&globals.scope) }
    }

    fn paused(self, globals: &Globals, stand: &Stand) -> String {
        let since = stand.paused_at.map_or_else(String::new, |at| format!(" since {at}"));
        let (runs, end) = (runs(&self.meant(globals)), way_out(&self.meant(globals)));
        format!("paused{since}: nothing more {runs} is handed to workers until `{end}`\n")
    }

    fn resumed(self, globals: &Globals, stand: &Stand) -> String {
        if let Some(Host { paused_at, reason }) = &stand.host {
            let reason = reason.as_ref().map(|reason| reason.line());
            let host = Pause { reach: Reach::All, since: *paused_at, reason };
            return format!("not paused by itself, but {host}\n");
        }
        let runs = runs(&self.meant(globals));
        let mut said = format!("not paused: what waits {runs} is handed to workers\n");
        for Own { workspace_id } in &stand.workspaces {
            let scope = workspace_id.clone().map_or(Scope::Global, Scope::Workspace);
            let end = way_out(&Reach::from(&scope));
            said.push_str(&format!("{scope} is paused by itself still, until `{end}`\n"));
        }
        said
    }
}

/// The runs that are meant, for people.
fn runs(reach: &Reach) -> String {
    match reach {
        Reach::One(Scope::Global) => "of the global scope".to_owned(),
        Reach::One(Scope::Workspace(name)) => format!("of the workspace {name}"),
        Reach::All => "of any workspace".to_owned(),
    }
}

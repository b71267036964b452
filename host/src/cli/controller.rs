//! `hillock controller`: the background loops, how they fare, and a pass at once.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

use super::Globals;
use super::client::Client;
use super::output::{self, or_none, table, word};
use super::plain::Plain;
use crate::model::controller::{ControllerName, Items, PassResult};
use crate::model::id::ReplicaId;
use crate::model::time::Time;

/// How long a pass may take, and the one before it.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List controllers, with their last and next runs.
    List,
    /// Run a controller now, and show what it did.
    Run(Run),
}

/// Which controller.
#[derive(Debug, clap::Args, Serialize)]
pub struct Run {
    /// The controller's name.
    #[arg(value_parser = name())]
    #[serde(skip)]
    name: ControllerName,
    /// Show what it would delete, and delete nothing.
    #[arg(long)]
    dry_run: bool,
}

fn name() -> impl TypedValueParser<Value = ControllerName> {
    PossibleValuesParser::new(ControllerName::ALL.iter().map(|(_, word)| word))
        .try_map(|word| word.parse::<ControllerName>())
}

#[derive(Debug, Deserialize)]
struct Listing {
    items: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: Plain,
    interval_ms: u64,
    #[serde(default = "yes")]
    enabled: bool,
    holder: Option<ReplicaId>,
    next_at: Option<Time>,
    last: Option<Pass>,
    /// An older host does not say.
    worked: Option<Worked>,
    passes: u64,
    failures: u64,
}

/// What an earlier host does not say.
fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct Pass {
    at: Time,
    result: PassResult,
    error: Option<Plain>,
    items: Items,
}

#[derive(Debug, Deserialize)]
struct Worked {
    at: Time,
    items: Items,
}

#[derive(Debug, Deserialize)]
struct Rehearsal {
    items: Items,
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List => {
            let answer = client.get(&["controllers"], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&listed(&answer.read::<Listing>()?.items))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(asked) => have_pass(&client, &asked, globals.json).await,
    }
}

async fn have_pass(client: &Client, asked: &Run, json: bool) -> anyhow::Result<ExitCode> {
    let path = ["controllers", asked.name.as_str(), "run"];
    let answer = client.order(&path, asked, PATIENCE).await?;
    if json {
        answer.print()?;
    }
    if asked.dry_run {
        let Rehearsal { items } = answer.read()?;
        if !json {
            output::print(&format!("{} would have: {}\n", asked.name, counted(&items)))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let pass: Pass = answer.read()?;
    if !json {
        output::print(&match &pass.error {
            Some(error) => format!("{}: {}: {error}\n", asked.name, pass.result),
            None => format!("{}: {}\n", asked.name, counted(&pass.items)),
        })?;
    }
    Ok(if pass.error.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn listed(controllers: &[Listed]) -> String {
    let row = |one: &Listed| {
        let last = one.last.as_ref();
        [
            one.name.line(),
            match one.enabled {
                true => {
                    humantime::format_duration(Duration::from_millis(one.interval_ms)).to_string()
                }
                false => "disabled here".to_owned(),
            },
            or_none(last.map(|pass| pass.at)),
            or_none(last.map(|pass| word(pass.result.as_str()))),
            or_none(last.map(|pass| counted(&pass.items))),
            or_none(one.next_at),
            one.passes.to_string(),
            one.failures.to_string(),
            or_none(one.holder.as_ref()),
        ]
    };
    let head = ["NAME", "EVERY", "LAST", "RESULT", "DID", "NEXT", "PASSES", "FAILURES", "HELD BY"];
    format!("{}{}", table(head, controllers.iter().map(row)), wrong_clock(controllers))
}

/// That a clock was wrong, if one was: who looks at the table later would not see it.
fn wrong_clock(controllers: &[Listed]) -> String {
    let clock = controllers.iter().find(|one| one.name.as_str() == ControllerName::Clock.as_str());
    let Some(Worked { at, items }) = clock.and_then(|clock| clock.worked.as_ref()) else {
        return String::new();
    };
    format!("\nA clock was ahead of its time: at {at}, {} put right.\n", counted(items))
}

/// What was done, and to how many.
fn counted(items: &Items) -> String {
    if items.is_empty() {
        return "nothing to do".to_owned();
    }
    let counts = items.iter().map(|(what, count)| format!("{count} {}", what.replace('_', " ")));
    counts.collect::<Vec<_>>().join(", ")
}

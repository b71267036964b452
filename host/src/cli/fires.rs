//! What makes a job fire: what comes next, a fire now, its past slots, and what became of them.

use std::process::ExitCode;

use clap::{Args, Subcommand, value_parser};
use serde::{Deserialize, Serialize};

use super::Globals;
use super::client::Client;
use super::listing::{self, Paging};
use super::output::{self, Table, or_none, table, word};
use super::plain::Plain;
use super::{run, short};
use crate::model::id::RunId;
use crate::model::name::Name;
use crate::model::run::RunStatus;
use crate::model::time::Time;

/// The subcommands, among those of `hillock job`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show when a job fires next.
    Preview(Preview),
    /// Fire a job now, regardless of its schedule.
    Trigger {
        /// The job's name or identifier.
        job: Name,
    },
    /// Fire a job's past slots that have no run yet.
    Backfill(Backfill),
    /// List a job's runs, newest first.
    History(History),
}

/// How many fires of which job.
#[derive(Debug, Args)]
pub struct Preview {
    /// The job's name or identifier.
    job: Name,
    /// The number of slots to show.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=1000))]
    count: u16,
}

/// Which slots of which job.
#[derive(Debug, Args, Serialize)]
pub struct Backfill {
    /// The job's name or identifier.
    #[serde(skip)]
    job: Name,
    /// The start of the range.
    #[arg(long, value_name = "INSTANT")]
    from: Time,
    /// The end of the range.
    #[arg(long, value_name = "INSTANT")]
    to: Time,
}

/// Which runs of which job.
#[derive(Debug, Args, Serialize)]
pub struct History {
    /// The job's name or identifier.
    #[serde(skip)]
    job: Name,
    /// Filter by status.
    #[arg(long, value_parser = run::status())]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<RunStatus>,
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
        Command::Preview(which) => preview(&client, &which, globals.json).await,
        Command::Trigger { job } => trigger(&client, &job, globals.json).await,
        Command::Backfill(which) => backfill(&client, &which, globals.json).await,
        Command::History(which) => {
            let job = short::name(&client, &which.job).await?;
            let answer = client.get(&["jobs", job.as_str(), "runs"], &which).await?;
            listing::show(&answer, globals.json, listed)
        }
    }
}

async fn preview(client: &Client, which: &Preview, json: bool) -> anyhow::Result<ExitCode> {
    let job = short::name(client, &which.job).await?;
    let path = ["jobs", job.as_str(), "preview"];
    let answer = client.get(&path, &[("count", which.count)]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let fires: Fires = answer.read()?;
    if !fires.enabled {
        output::remark("the job is disabled: this is when it would fire");
    }
    match fires.next.as_slice() {
        [] => output::remark("it never fires again"),
        next => output::print(&previewed(next).to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn trigger(client: &Client, job: &Name, json: bool) -> anyhow::Result<ExitCode> {
    let job = short::name(client, job).await?;
    let answer = client.post(&["jobs", job.as_str(), "trigger"]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let run: Run = answer.read()?;
    output::print(&format!("{} {}\n", run.id, word(run.status.as_str())))?;
    Ok(ExitCode::SUCCESS)
}

async fn backfill(client: &Client, which: &Backfill, json: bool) -> anyhow::Result<ExitCode> {
    let job = short::name(client, &which.job).await?;
    let answer = client.create(&["jobs", job.as_str(), "backfill"], which).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let done: Backfilled = answer.read()?;
    output::print(&format!("{} fired, {} had their run already\n", done.fired, done.skipped))?;
    if let Some(retry_at) = done.retry_at {
        let limited = done.limited;
        output::remark(format_args!(
            "the job's fire limit keeps {limited} back: say the same again at {retry_at}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Deserialize)]
struct Fires {
    enabled: bool,
    next: Vec<Fire>,
}

#[derive(Debug, Deserialize)]
struct Fire {
    scheduled_at: Time,
    due_at: Time,
    local: Plain,
}

#[derive(Debug, Deserialize)]
struct Backfilled {
    fired: usize,
    skipped: usize,
    limited: usize,
    retry_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Run {
    id: RunId,
    status: RunStatus,
    scheduled_at: Option<Time>,
    created_at: Time,
    ended_at: Option<Time>,
    error: Option<Plain>,
}

fn previewed(fires: &[Fire]) -> Table {
    let row =
        |fire: &Fire| [fire.scheduled_at.to_string(), fire.local.line(), fire.due_at.to_string()];
    table(["SLOT", "LOCAL", "FIRES"], fires.iter().map(row))
}

fn listed(runs: &[Run]) -> Table {
    let row = |run: &Run| {
        [
            run.id.to_string(),
            run.status.to_string(),
            or_none(run.scheduled_at),
            run.created_at.to_string(),
            or_none(run.ended_at),
            or_none(run.error.as_ref().map(Plain::line)),
        ]
    };
    table(["ID", "STATUS", "SLOT", "CREATED", "ENDED", "ERROR"], runs.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let text = anstream::adapter::strip_str(text).to_string();
        let words = |line: &str| line.split("  ").map(str::trim).map(str::to_owned).collect();
        let row = |line: &str| {
            let words: Vec<String> = words(line);
            words.into_iter().filter(|word| !word.is_empty()).collect()
        };
        text.lines().skip(1).map(row).collect()
    }

    #[test]
    fn fires_are_shown_with_their_local_time() {
        let fire = r#"{"scheduled_at":"2026-03-29T01:00:00.000Z","due_at":
            "2026-03-29T01:00:07.000Z","local":"2026-03-29T03:00:00.000+02:00"}"#;
        let text = previewed(&[serde_json::from_str(fire).unwrap()]).to_string();
        let wanted = [
            "2026-03-29T01:00:00.000Z",
            "2026-03-29T03:00:00.000+02:00",
            "2026-03-29T01:00:07.000Z",
        ];
        assert_eq!(rows(&text), [wanted]);
    }

    #[test]
    fn a_run_that_was_skipped_says_why() {
        let id = "run_00000000000000000000000000000002";
        let run = format!(
            r#"{{"id":"{id}","status":"canceled","scheduled_at":"2026-01-31T09:00:00.000Z",
            "created_at":"2026-01-31T09:00:01.000Z","ended_at":"2026-01-31T09:00:01.000Z",
            "error":"overlap: run_1 has\u001b[1m not ended"}}"#
        );
        let text = listed(&[serde_json::from_str(&run).unwrap()]).to_string();
        assert!(!text.contains("\u{1b}[1m not"), "{text:?}");
        let row = &rows(&text)[0];
        assert_eq!((row[0].as_str(), row[1].as_str()), (id, "canceled"));
        assert!(row[5].starts_with("overlap: run_1 has"), "{row:?}");
    }
}

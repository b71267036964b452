//! A run's log: what its program wrote, to the streams it wrote it to.
//!
//! A terminal gets the lines as [plain](super::plain) text; a pipe or a file gets them as they are.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::{Client, ClientError};
use super::plain;
use crate::model::id::RunId;
use crate::model::run::{RunStatus, Stream};
use crate::model::time::Time;

/// How long a log that has no more lines is left alone.
const POLL: Duration = Duration::from_millis(500);

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each line to the stream it was written to.
    Text,
    /// Each line as a JSON object, all to standard output.
    JsonLines,
}

#[derive(Deserialize)]
struct Page {
    logs: Vec<Line>,
    next_after: u64,
    status: RunStatus,
}

#[derive(Deserialize, Serialize)]
struct Line {
    seq: u64,
    at: Time,
    stream: Stream,
    text: String,
}

/// Writes what the log holds after line `after`.
///
/// # Errors
/// When the host does not answer, or a stream does not take a line.
pub async fn print(client: &Client, run: &RunId, mut after: u64) -> anyhow::Result<()> {
    loop {
        let page = page(client, run, after).await?;
        if page.logs.is_empty() {
            return Ok(());
        }
        write(&page.logs, Form::Text)?;
        after = page.next_after;
    }
}

/// Writes the log after line `after` until the run has ended, and says how it did.
///
/// # Errors
/// As [`print`].
pub async fn follow(
    client: &Client,
    run: &RunId,
    mut after: u64,
    form: Form,
) -> anyhow::Result<RunStatus> {
    let mut ended = false;
    loop {
        let page = page(client, run, after).await?;
        // A line may come between a page's lines and its status: only an empty page that was asked
        // for after the end is the last one.
        match (page.logs.is_empty(), ended) {
            (true, true) => return Ok(page.status),
            (true, false) if !page.status.is_terminal() => tokio::time::sleep(POLL).await,
            _ => write(&page.logs, form)?,
        }
        ended = page.status.is_terminal();
        after = page.next_after;
    }
}

async fn page(client: &Client, run: &RunId, after: u64) -> Result<Page, ClientError> {
    client.get(&["runs", run.as_str(), "logs"], &[("after", after)]).await?.read()
}

fn write(lines: &[Line], form: Form) -> anyhow::Result<()> {
    for line in lines {
        match (form, line.stream) {
            (Form::JsonLines, _) => writeln!(io::stdout(), "{}", serde_json::to_string(line)?)?,
            (Form::Text, Stream::Stdout) => plain::write(io::stdout().lock(), &line.text)?,
            (Form::Text, Stream::Stderr) => plain::write(io::stderr().lock(), &line.text)?,
        }
    }
    Ok(())
}

//! A run's log: what its program wrote, to the streams it wrote it to.
//!
//! A terminal gets the lines as [plain](super::plain) text; a pipe or a file gets them as they are.

use std::io;

use serde::Deserialize;

use super::client::{Client, ClientError};
use super::{output, plain};
use crate::model::id::RunId;
use crate::model::run::Stream;

/// How what a run says is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each line to the stream it was written to, and all else to standard error.
    Text,
    /// Everything as JSON objects, one a line, to standard output.
    JsonLines,
}

#[derive(Deserialize)]
struct Page {
    logs: Vec<Line>,
    next_after: u64,
    #[serde(default)]
    log_removed: bool,
}

/// A line as the API has it.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// Where it was written.
    pub stream: Stream,
    /// The line.
    pub text: String,
}

/// Writes what the log holds after line `after`.
///
/// # Errors
/// When the host does not answer, or a stream does not take a line.
pub async fn print(client: &Client, run: &RunId, mut after: u64) -> anyhow::Result<()> {
    loop {
        let page = page(client, run, after).await?;
        if page.logs.is_empty() {
            if page.log_removed {
                output::remark("what it wrote has been removed: see [retention]");
            }
            return Ok(());
        }
        page.logs.iter().try_for_each(write)?;
        after = page.next_after;
    }
}

async fn page(client: &Client, run: &RunId, after: u64) -> Result<Page, ClientError> {
    client.get(&["runs", run.as_str(), "logs"], &[("after", after)]).await?.read()
}

fn write(line: &Line) -> io::Result<()> {
    match line.stream {
        Stream::Stdout => plain::write(&line.text)?,
        Stream::Stderr | Stream::Host => plain::write_aside(&line.text),
    }
    Ok(())
}

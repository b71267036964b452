//! Reads what a program writes, to the end of its pipes, and passes it on in pieces.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::lines::{Piece, Splitter};
use super::reporter::ProgramReporter;
use super::wait::Wait;
use crate::model::redaction::{Redaction, Strand};
use crate::model::run::Stream;
use crate::model::text::storable;

/// How much is read from a pipe at once. What one read can weigh stays within the reporter's budget.
const READ_BYTES: usize = 16 * 1024;
/// How long the reads of what a pipe already holds may take together.
const LAST_READS: Duration = Duration::from_millis(100);
/// The most that a pipe can already hold, in bytes (`fs.pipe-max-size` of Linux).
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// What the readers of both pipes share.
pub(super) struct Listener<'a> {
    /// Where the pieces go.
    pub(super) reporter: &'a ProgramReporter,
    /// What is kept out of them.
    pub(super) redaction: &'a Redaction,
    /// Canceled when the program and its group are gone.
    pub(super) last_call: &'a CancellationToken,
    /// The program's wish to be tried again later.
    pub(super) wait: &'a Wait,
}

impl Listener<'_> {
    /// Passes a stream on until its end, or after the last call, until it is empty.
    pub(super) async fn pass_on(&self, pipe: Option<impl AsyncRead + Unpin>, stream: Stream) {
        let Some(mut pipe) = pipe else { return };
        let mut splitter = Splitter::new(stream == Stream::Stdout);
        let mut strand = Strand::new(self.redaction);
        let mut buffer = vec![0; READ_BYTES];
        let mut rest = Rest { bytes: PIPE_BYTES_MAX, wait: LAST_READS };
        while let Some(read) = self.read(&mut pipe, &mut buffer, &mut rest).await {
            let free = strand.push(&buffer[..read]);
            self.write(stream, splitter.push(&free)).await;
        }
        let mut pieces = splitter.push(&strand.finish());
        pieces.extend(splitter.finish());
        self.write(stream, pieces).await;
    }

    async fn write(&self, stream: Stream, mut pieces: Vec<Piece>) {
        self.wait.look_for(stream, &pieces);
        for piece in &mut pieces {
            if let Piece::Told(told) = piece {
                told.data = clean(self.redaction, told.data.take());
            }
        }
        self.reporter.write(stream, pieces).await;
    }

    /// How much was read; `None` at the end. After the last call, only what the pipe already holds.
    async fn read(
        &self,
        pipe: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
        rest: &mut Rest,
    ) -> Option<usize> {
        let read = match self.last_call.run_until_cancelled(pipe.read(buffer)).await {
            Some(read) => read.ok()?,
            None => rest.take(pipe, buffer).await?,
        };
        (read > 0).then_some(read)
    }
}

/// The value without any secret in its texts and keys, and without characters that cannot be stored.
fn clean(redaction: &Redaction, value: Value) -> Value {
    storable_all(redaction.json(value))
}

fn storable_all(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(text)),
        Value::Array(items) => items.into_iter().map(storable_all).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (storable(key), storable_all(value))).collect()
        }
        other => other,
    }
}

/// What may still be read when the program and its group are gone: the end of a pipe may never come,
/// because a process out of reach holds it, and writes.
struct Rest {
    bytes: usize,
    wait: Duration,
}

impl Rest {
    async fn take(
        &mut self,
        pipe: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
    ) -> Option<usize> {
        let begun = Instant::now();
        let read = timeout(self.wait, pipe.read(buffer)).await.ok()?.ok()?;
        self.wait = self.wait.saturating_sub(begun.elapsed());
        self.bytes = self.bytes.checked_sub(read)?;
        Some(read)
    }
}

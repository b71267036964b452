//! What a program is told on its standard input. Most get their prompt and the end of the file. An
//! interactive one gets a JSON object a line, as long as it runs:
//!
//! ```text
//! {"type":"prompt","text":"…"}
//! {"type":"input","id":"inp_…","text":"…"}     whenever somebody says more
//! ```
//! Each input is a command of its own, which ends when its line is written, or cannot be any more. An
//! input that the host hands over twice is written twice, under the same `id`.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::reporter::ProgramReporter;
use crate::dispatch::protocol::Held;
use crate::model::id::InputId;
use crate::model::run::Ending;

/// How many inputs may wait for a program to read them.
pub(super) const INPUTS_WAITING: usize = 64;
/// What is said of an input whose program does not read any more.
const CLOSED: &str = "the program has closed its standard input";
/// What is said of an input whose program is gone.
pub(super) const ENDED: &str = "the program has ended";

/// Something more for a program.
#[derive(Debug)]
pub(super) struct Input {
    /// The command that brought it.
    pub(super) held: Held,
    /// Its identifier.
    pub(super) id: InputId,
    /// What it says.
    pub(super) text: String,
}

/// How a program is told.
#[derive(Debug)]
pub(super) enum StdinMode {
    /// The prompt, and no more.
    Plain,
    /// The prompt and these, each as a line of JSON.
    Lines(mpsc::Receiver<Input>),
}

impl StdinMode {
    /// Writes the prompt, and the inputs until the last call. A program may read none of it.
    pub(super) async fn speak(
        self,
        stdin: Option<ChildStdin>,
        prompt: &str,
        reporter: &ProgramReporter,
        last_call: &CancellationToken,
    ) {
        let Some(mut stdin) = stdin else { return };
        match self {
            Self::Plain => {
                let write = stdin.write_all(prompt.as_bytes());
                let _ = last_call.run_until_cancelled(write).await;
            }
            Self::Lines(inputs) => {
                let first = line(&json!({ "type": "prompt", "text": prompt }));
                let _ = last_call.run_until_cancelled(stdin.write_all(&first)).await;
                converse(stdin, inputs, reporter, last_call).await;
            }
        }
    }
}

async fn converse(
    mut stdin: ChildStdin,
    mut inputs: mpsc::Receiver<Input>,
    reporter: &ProgramReporter,
    last_call: &CancellationToken,
) {
    while let Some(Some(input)) = last_call.run_until_cancelled(inputs.recv()).await {
        let Input { held, id, text } = input;
        let line = line(&json!({ "type": "input", "id": id, "text": text }));
        let ending = match last_call.run_until_cancelled(stdin.write_all(&line)).await {
            Some(Ok(())) => Ending::Completed,
            Some(Err(_)) => Ending::failed(CLOSED),
            None => Ending::failed(ENDED),
        };
        reporter.answer(held, ending).await;
    }
}

fn line(value: &serde_json::Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

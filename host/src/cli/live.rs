//! Following what runs say while they say it.
//!
//! By the host's stream of server-sent events. When the connection breaks or the host is started
//! anew, following goes on behind the last thing that was read, so nothing is missing or twice.

mod frames;
mod screen;

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Client, ClientError};
use super::logs::{Form, Line};
use super::plain::Plain;
use crate::model::id::RunId;
use crate::model::name::Kind;
use crate::model::run::{Interaction, RunStatus};
use crate::model::time::Time;
use frames::{Frame, Frames};
use screen::Screen;

/// How long a host that was there may be gone.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before another try to reach it.
const RETRY: Duration = Duration::from_millis(500);
/// How long a stream may be silent: three times as long as a host is.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// How following ended.
#[derive(Clone, Debug)]
pub struct End {
    /// How the run ended.
    pub status: RunStatus,
    /// Why, if it did not complete.
    pub error: Option<Plain>,
}

/// An event as streams have it.
#[derive(Debug, Deserialize)]
struct EventLine {
    kind: Kind,
    data: Value,
}

impl EventLine {
    /// What the program told, without what says the same as the kind.
    fn told(&self) -> String {
        match &self.data {
            Value::Object(fields) => {
                let told = fields.iter().filter(|(name, _)| *name != "type");
                let told: Vec<_> = told.map(|(name, value)| format!("{name}={value}")).collect();
                told.join(" ")
            }
            other => other.to_string(),
        }
    }
}

/// Where a run stands, as streams have it.
#[derive(Debug, Deserialize)]
struct Stand {
    run: RunStand,
    pending_inputs: Vec<Asked>,
}

#[derive(Debug, Deserialize)]
struct RunStand {
    id: RunId,
    status: RunStatus,
    attempt: u32,
    due_at: Option<Time>,
    interaction: Interaction,
    error: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    prompt: Option<Plain>,
}

/// Shows what a run says after line `after` until it has ended, and says how it did.
///
/// # Errors
/// When the host does not answer, or refuses, or a stream does not take a line.
pub async fn follow(client: &Client, run: &RunId, after: u64, form: Form) -> anyhow::Result<End> {
    let mut reader = Reader {
        client,
        path: ["runs", run.as_str(), "stream"],
        last_id: format!("l{after}-e0"),
        screen: Screen::new(form),
        alive: None,
    };
    loop {
        match reader.read().await {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => {}
            Err(error) if reader.is_to_wait(&error) => {}
            Err(error) => return Err(error),
        }
        reader.screen.lost();
        tokio::time::sleep(RETRY).await;
    }
}

/// Reads one run's stream, over as many connections as it takes.
struct Reader<'c> {
    client: &'c Client,
    path: [&'c str; 3],
    /// What to come back with.
    last_id: String,
    screen: Screen,
    /// When the host was heard last; none when it never was.
    alive: Option<Instant>,
}

impl Reader<'_> {
    /// Reads one connection to its end; none when more is to come by another.
    async fn read(&mut self) -> anyhow::Result<Option<End>> {
        let mut stream = self.client.stream(&self.path, &self.last_id).await?;
        let mut frames = Frames::default();
        loop {
            self.alive = Some(Instant::now());
            let Ok(piece) = tokio::time::timeout(SILENCE_MAX, stream.piece()).await else {
                return Ok(None);
            };
            let Some(piece) = piece? else { return Ok(None) };
            for frame in frames.push(&piece) {
                if let Some(end) = self.take(&frame)? {
                    return Ok(Some(end));
                }
            }
        }
    }

    /// Shows what a frame says; it may be the last.
    fn take(&mut self, frame: &Frame) -> anyhow::Result<Option<End>> {
        self.screen.raw(&frame.name, &frame.data)?;
        let end = match frame.name.as_str() {
            "log" => {
                self.screen.line(&read(frame)?)?;
                None
            }
            "event" => {
                self.screen.event(&read(frame)?);
                None
            }
            "status" => {
                self.screen.stand(&read(frame)?);
                None
            }
            "end" => {
                let Stand { run, .. } = read(frame)?;
                Some(End { status: run.status, error: run.error })
            }
            // A later host may say more.
            _ => None,
        };
        if let Some(id) = &frame.id {
            id.clone_into(&mut self.last_id);
        }
        Ok(end)
    }

    /// Whether this is a host that was there and may come back.
    fn is_to_wait(&self, error: &anyhow::Error) -> bool {
        let passing = error.downcast_ref::<ClientError>().is_some_and(ClientError::is_passing);
        passing && self.alive.is_some_and(|alive| alive.elapsed() < PATIENCE)
    }
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, ClientError> {
    Ok(serde_json::from_str(&frame.data)?)
}

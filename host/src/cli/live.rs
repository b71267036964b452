//! Following what runs say while they say it.
//!
//! By the host's stream of server-sent events. When the connection breaks or the host is started
//! anew, following goes on behind the last thing that was read, so nothing is missing or twice.

mod frames;
mod screen;

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Client, ClientError, Stream};
use super::logs::{Form, Line};
use super::plain::Plain;
use super::waiting::Waiting;
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
/// How long a run may wait before it is asked why, and how often it is asked again.
const WHY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
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
        waits: false,
        said: None,
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
    /// Whether the run waits, as far as was heard.
    waits: bool,
    /// Why, as it was said last.
    said: Option<String>,
}

/// A run, as far as it says why it waits.
#[derive(Debug, Deserialize)]
struct Why {
    #[serde(default)]
    waiting: Option<Waiting>,
}

impl Reader<'_> {
    /// Reads one connection to its end; none when more is to come by another.
    async fn read(&mut self) -> anyhow::Result<Option<End>> {
        let mut stream = self.client.stream(&self.path, &self.last_id).await?;
        let mut frames = Frames::default();
        loop {
            self.alive = Some(Instant::now());
            let Some(piece) = self.piece(&mut stream).await? else { return Ok(None) };
            for frame in frames.push(&piece) {
                if let Some(end) = self.take(&frame)? {
                    return Ok(Some(end));
                }
            }
        }
    }

    /// The next piece, if one comes in time. While the run waits, says why.
    async fn piece(&mut self, stream: &mut Stream) -> Result<Option<Bytes>, ClientError> {
        let silent_at = Instant::now() + SILENCE_MAX;
        loop {
            let left = silent_at.saturating_duration_since(Instant::now());
            let patience = match self.waits {
                true => WHY[usize::from(self.said.is_some())].min(left),
                false => left,
            };
            match tokio::time::timeout(patience, stream.piece()).await {
                Ok(piece) => return piece,
                Err(_) if Instant::now() >= silent_at => return Ok(None),
                Err(_) => self.say_why().await,
            }
        }
    }

    /// Says why the run waits, unless that was said.
    async fn say_why(&mut self) {
        let [runs, id, _] = self.path;
        let Ok(answer) = self.client.get(&[runs, id], &()).await else { return };
        let why = answer.read::<Why>().ok().and_then(|why| why.waiting);
        let why = why.map_or_else(String::new, |waiting| waiting.said());
        if !why.is_empty() && self.said.as_ref() != Some(&why) {
            self.screen.waits(id, &why);
        }
        self.said = Some(why);
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
                let stand: Stand = read(frame)?;
                self.waits = matches!(stand.run.status, RunStatus::Scheduled | RunStatus::Blocked);
                self.screen.stand(&stand);
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

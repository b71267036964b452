//! `hillock task create`: a task as it is typed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::cli::input;
use crate::model::command::OnLost;
use crate::model::definition::Priority;
use crate::model::json;
use crate::model::name::Name;
use crate::model::session::SessionKey;
use crate::model::time::Time;

/// A task.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What the agent is asked; `-` is standard input.
    pub(super) message: String,
    /// Who does the work.
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Name,
    /// The conversation it belongs to; one of its own when absent.
    #[arg(long, value_name = "KEY")]
    session: Option<SessionKey>,
    /// What you call it.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// critical, high, normal or low.
    #[arg(long, value_name = "WORD")]
    priority: Option<Priority>,
    /// The concurrency group within the agent.
    #[arg(long, value_name = "NAME")]
    lane: Option<Name>,
    /// How long an attempt may take, such as 5m.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    timeout: Option<std::time::Duration>,
    /// How long it may wait for a worker, such as 1h.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    queue_timeout: Option<std::time::Duration>,
    /// It does not begin before this instant (RFC 3339).
    #[arg(long, value_name = "TIME")]
    scheduled_at: Option<Time>,
    /// It is dropped if nobody has begun it by this instant (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "queue_timeout")]
    expires_at: Option<Time>,
    /// What becomes of it when its worker is lost: requeue or fail.
    #[arg(long, value_name = "ANSWER")]
    on_lost: Option<OnLost>,
    /// What the agent is told beside the message.
    #[arg(long, value_name = "TEXT")]
    system_prompt: Option<String>,
    /// A text file that comes with the message; may stand several times.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// What the worker has to be able to do; may stand several times.
    #[arg(long, value_name = "WORD")]
    capability: Vec<String>,
    /// A tool that the worker has to have; may stand several times.
    #[arg(long, value_name = "WORD")]
    tool: Vec<String>,
    /// A label that the worker has to have; may stand several times.
    #[arg(long = "worker-label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// The cluster that the worker has to be in.
    #[arg(long, value_name = "WORD")]
    cluster: Option<String>,
    /// The region that the worker has to be in.
    #[arg(long, value_name = "WORD")]
    region: Option<String>,
    /// What the worker has to run on, such as linux/x86_64.
    #[arg(long, value_name = "WORD")]
    platform: Option<String>,
    /// The restrictions that the program runs under, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    policy: Option<Value>,
    /// Asking again with the same key asks for the same task.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until it has ended; fails unless it is done.
    #[arg(short, long)]
    pub(super) wait: bool,
    /// Print what its program writes until it has ended; fails unless it is done.
    #[arg(short, long, conflicts_with = "wait")]
    pub(super) follow: bool,
}

impl Create {
    /// What the API is sent.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
        let ms = |span: Option<std::time::Duration>| span.map(|span| span.as_millis() as u64);
        let mut body = json!({
            "agent": self.agent,
            "message": said(&self.message)?,
            "session": self.session,
            "label": self.label,
            "priority": self.priority,
            "lane": self.lane,
            "timeout_ms": ms(self.timeout),
            "queue_timeout_ms": ms(self.queue_timeout),
            "scheduled_at": self.scheduled_at,
            "expires_at": self.expires_at,
            "on_lost": self.on_lost,
            "system_prompt": self.system_prompt,
            "policy": self.policy,
            "idempotency_key": self.idempotency_key,
        });
        let attachments =
            self.attach.iter().map(|file| attachment(file)).collect::<Result<Vec<_>, _>>()?;
        body["attachments"] = attachments.into();
        body["routing"] = self.routing();
        Ok(body)
    }

    fn routing(&self) -> Value {
        let labels: Map<String, Value> =
            self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "capabilities": self.capability,
            "tools": self.tool,
            "labels": labels,
            "cluster": self.cluster,
            "region": self.region,
            "platform": self.platform,
        })
    }
}

/// A text of the command line, or of standard input where it is `-`.
///
/// # Errors
/// When standard input is not text.
pub(super) fn said(text: &str) -> anyhow::Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let bytes = input::read("-".as_ref())?;
    String::from_utf8(bytes).context("standard input is not text")
}

fn attachment(file: &Path) -> anyhow::Result<Value> {
    let text = String::from_utf8(input::read(file)?);
    let text = text.with_context(|| format!("{} is not text", input::name(file)))?;
    let name = file.file_name().map_or_else(|| input::name(file), |n| n.display().to_string());
    Ok(json!({ "name": name, "text": text }))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = json::read(text.as_bytes()).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("is not a JSON object".to_owned()) }
}

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
    /// The message for the agent; `-` is standard input.
    pub(super) message: String,
    /// The agent that carries out the task.
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Name,
    /// The key of the session that the task belongs to [default: a new session].
    #[arg(long, value_name = "KEY")]
    session: Option<SessionKey>,
    /// A title.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// The priority: critical, high, normal or low.
    #[arg(long, value_name = "WORD")]
    priority: Option<Priority>,
    /// The concurrency lane within the agent.
    #[arg(long, value_name = "NAME")]
    lane: Option<Name>,
    /// How long one attempt may take, such as 5m.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    timeout: Option<std::time::Duration>,
    /// How long the task waits for a worker before it expires, such as 1h.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    queue_timeout: Option<std::time::Duration>,
    /// Do not start before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    scheduled_at: Option<Time>,
    /// Drop the task if it has not started by this time (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "queue_timeout")]
    expires_at: Option<Time>,
    /// What happens to the task if its worker is lost: requeue or fail.
    #[arg(long, value_name = "ANSWER")]
    on_lost: Option<OnLost>,
    /// Further instructions beside the message.
    #[arg(long, value_name = "TEXT")]
    system_prompt: Option<String>,
    /// Attach a text file. Repeatable.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Require a worker with this capability. Repeatable.
    #[arg(long, value_name = "WORD")]
    capability: Vec<String>,
    /// Require a worker with this tool. Repeatable.
    #[arg(long, value_name = "WORD")]
    tool: Vec<String>,
    /// Require a worker with this label. Repeatable.
    #[arg(long = "worker-label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Require a worker in this cluster.
    #[arg(long, value_name = "WORD")]
    cluster: Option<String>,
    /// Require a worker in this region.
    #[arg(long, value_name = "WORD")]
    region: Option<String>,
    /// Require a worker on this platform, such as linux/x86_64.
    #[arg(long, value_name = "WORD")]
    platform: Option<String>,
    /// Restrictions on the agent's program, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    policy: Option<Value>,
    /// Return the task that was created with this key, if there is one.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait until the task ends; exits with 0 only if it is done.
    #[arg(short, long)]
    pub(super) wait: bool,
    /// Follow the logs until the task ends; exits with 0 only if it is done.
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

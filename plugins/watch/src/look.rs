//! An observation, read: only what decides about events.

use serde_json::Value;

use crate::config::Config;

/// What the host saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Something happened to a file.
    File { path: String, change: String },
    /// So many wait.
    Queue(Queue),
    /// A run has come to a status.
    Run { status: String, agent: String },
    /// Something happened to a session.
    Session { change: String },
    /// Something that is no business of this observer.
    Other,
}

/// How many commands wait for an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Empty for all agents together.
    pub(crate) agent: String,
    /// Empty in the global scope.
    pub(crate) workspace_id: String,
    pub(crate) waiting: u64,
}

impl Look {
    pub(crate) fn parse(subject: &str, data: &str) -> Result<Self, String> {
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        let optional = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let text = |name: &str| match data[name].as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(format!("it has no `{name}`")),
        };
        Ok(match subject {
            "file" => Self::File { path: text("path")?, change: text("change")? },
            "queue" => Self::Queue(Queue {
                agent: optional("agent"),
                workspace_id: optional("workspace_id"),
                waiting: data["waiting"].as_u64().ok_or("it has no `waiting`")?,
            }),
            "run" => Self::Run { status: text("status")?, agent: optional("agent") },
            "session" => Self::Session { change: text("change")? },
            _ => Self::Other,
        })
    }

    /// The kind of the event that it means by itself, if the configuration wants one.
    pub(crate) fn kind(&self, config: &Config) -> Option<String> {
        match self {
            Self::File { path, change } => {
                config.wants_file(path).then(|| format!("file.{change}"))
            }
            Self::Run { status, agent } => {
                let wanted = config.wants_status(status) && config.wants_agent(agent);
                wanted.then(|| format!("run.{status}"))
            }
            Self::Session { change } => Some(format!("session.{change}")),
            Self::Queue(_) | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(subject: &str, data: &str, config: &str) -> Option<String> {
        Look::parse(subject, data).unwrap().kind(&Config::parse(config).unwrap())
    }

    #[test]
    fn what_was_seen_names_the_event() {
        let file = r#"{"path": "in/a.md", "folder": "notes", "change": "created"}"#;
        let run = r#"{"id": "run_1", "status": "failed", "agent": "triager"}"#;
        let session = r#"{"session": "ses_1", "change": "stopped"}"#;
        for (subject, data, config, wanted) in [
            ("file", file, "{}", Some("file.created")),
            ("file", file, r#"{"match": "in/*.md"}"#, Some("file.created")),
            ("file", file, r#"{"match": "*.md"}"#, None),
            ("run", run, "{}", Some("run.failed")),
            ("run", run, r#"{"statuses": ["completed", "failed"]}"#, Some("run.failed")),
            ("run", run, r#"{"statuses": ["completed"]}"#, None),
            ("run", run, r#"{"agents": ["triager"]}"#, Some("run.failed")),
            ("run", run, r#"{"agents": ["reviewer"], "statuses": ["failed"]}"#, None),
            ("session", session, "{}", Some("session.stopped")),
            ("weather", "{}", "{}", None),
        ] {
            let found = kind(subject, data, config);
            assert_eq!(found.as_deref(), wanted, "{subject} {config}");
        }
    }

    #[test]
    fn a_queue_is_that_of_an_agent_or_of_all() {
        let queue = |agent: &str, workspace_id: &str, waiting| {
            let (agent, workspace_id) = (agent.to_owned(), workspace_id.to_owned());
            Look::Queue(Queue { agent, workspace_id, waiting })
        };
        for (data, wanted) in [
            (r#"{"agent": "a", "workspace_id": "w", "waiting": 3, "oldest_ms": 9}"#, ("a", "w", 3)),
            (r#"{"agent": "a", "waiting": 0}"#, ("a", "", 0)),
            (r#"{"agent": null, "waiting": 7}"#, ("", "", 7)),
        ] {
            let (agent, workspace_id, waiting) = wanted;
            assert_eq!(Look::parse("queue", data), Ok(queue(agent, workspace_id, waiting)));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (subject, data, missing) in [
            ("file", r#"{"path": "a"}"#, "change"),
            ("file", r#"{"change": "created"}"#, "path"),
            ("queue", r#"{"agent": "a"}"#, "waiting"),
            ("queue", r#"{"waiting": -1}"#, "waiting"),
            ("run", r#"{"agent": "a"}"#, "status"),
            ("session", r#"{"change": 1}"#, "change"),
        ] {
            let reason = Look::parse(subject, data).unwrap_err();
            assert_eq!(reason, format!("it has no `{missing}`"), "{subject} {data}");
        }
        assert!(Look::parse("file", "no JSON").is_err());
    }
}

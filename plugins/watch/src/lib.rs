//! Observer `watch`: what the host sees of files, the queue, runs and sessions, as events.
//!
//! | subject | events | configuration |
//! |---|---|---|
//! | `file` | `file.created`, `file.modified`, `file.removed` | `match`: a glob on the relative path |
//! | `queue` | `queue.backlog`, `queue.cleared` | `above`, `below`: how many wait; `agents` |
//! | `run` | `run.completed`, … | `statuses`, `agents` |
//! | `session` | `session.created`, `session.stopped` | – |
//!
//! An event's data is what was seen, unchanged.
//!
//! In a glob, `*` and `?` stay within one folder, and `**` as a whole segment stands for any number
//! of them: `*.md` is a page at the top, `**/*.md` one anywhere.
//!
//! A backlog begins when more than `above` commands wait for an agent, and is cleared when no more
//! than `below` do, half of `above` unless it says otherwise. In between nothing changes, and on
//! the same side nothing is said again: one crossing, one event. Without `above` the queue is not
//! looked at.

mod backlog;
mod config;
mod look;

use hillock_plugin_sdk::observer::{Activation, Diagnostic, Observation, Observer};
use hillock_plugin_sdk::{export_observer, log, state};

use backlog::Backlog;
use config::Config;
use look::Look;

struct Watch;

export_observer!(Watch);

impl Observer for Watch {
    fn check(config: String) -> Vec<Diagnostic> {
        Config::parse(&config).err().unwrap_or_default()
    }

    fn observe(observation: Observation) -> Vec<Activation> {
        match observed(&observation) {
            Ok(kind) => kind.map(|kind| event(kind, observation)).into_iter().collect(),
            Err(reason) => {
                log::error(&format!("{} {}: {reason}", observation.subject, observation.id));
                Vec::new()
            }
        }
    }
}

/// The kind of the event that an observation means, if it means one.
fn observed(observation: &Observation) -> Result<Option<String>, String> {
    let config = Config::parse(&observation.config).map_err(|_| "the configuration is invalid")?;
    match Look::parse(&observation.subject, &observation.data)? {
        Look::Queue(queue) => Ok(crossed(&config, &queue)),
        look => Ok(look.kind(&config)),
    }
}

/// Remembers which side of the thresholds a queue is on, for all agents of a workspace together.
fn crossed(config: &Config, queue: &look::Queue) -> Option<String> {
    let thresholds = config.thresholds.filter(|_| config.wants_agent(&queue.agent))?;
    let key = format!("backlog.{}", queue.workspace_id);
    let mut backlog = Backlog::parse(&state::get(&key).unwrap_or_default());
    let kind = backlog.cross(thresholds, &queue.agent, queue.waiting)?;
    match backlog.to_text() {
        text if text.is_empty() => state::remove(&key),
        text => state::set(&key, &text),
    }
    Some(kind.to_owned())
}

fn event(kind: String, observation: Observation) -> Activation {
    Activation {
        dedupe: Some(observation.id),
        occurred_at: Some(observation.at),
        ..Activation::new(kind, observation.data)
    }
}

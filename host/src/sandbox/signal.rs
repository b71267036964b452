//! What hooks, observers and pre-fire hooks are given, and what they and extensions make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::error::Limit;
use super::limits::Exceeded;
use crate::model::name::{Kind, Name};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// One event, as far as a component may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What happened. It belongs to the source that it comes from: `hook.…` from hooks, `ext.…`
    /// from extensions, and the subject's name first from observers.
    pub kind: Kind,
    /// What it carries, well-formed JSON.
    pub data: Bytes,
    /// What it is recognised by, unique for the definition; 1 to 512 bytes.
    pub dedupe: Option<String>,
    /// When it happened, by the component's word.
    pub occurred_at: Option<Time>,
}

/// One thing that happened in the host, for hooks.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it is recognised by; the guest's randomness is a function of it.
    pub id: String,
    /// What happened, e.g. `run.failed`.
    pub point: String,
    /// When; the guest's clock stands still at it.
    pub at: Time,
    /// What it happened to, as JSON text.
    pub data: String,
    /// The hook's configuration, as JSON text.
    pub config: Arc<str>,
}

/// What can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Files below a granted folder.
    File,
    /// The queue of commands.
    Queue,
    /// Runs.
    Run,
    /// Sessions.
    Session,
}

impl Subject {
    /// Its name, which is also the first segment of its events' kinds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Queue => "queue",
            Self::Run => "run",
            Self::Session => "session",
        }
    }
}

/// One thing that the host saw, for observers.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What it is recognised by; the guest's randomness is a function of it.
    pub id: String,
    /// What was observed.
    pub subject: Subject,
    /// When; the guest's clock stands still at it.
    pub at: Time,
    /// What was seen, as JSON text.
    pub data: String,
    /// The observer's configuration, as JSON text.
    pub config: Arc<str>,
}

/// What is about to fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirePoint {
    /// A job.
    Job,
    /// A trigger.
    Trigger,
}

impl FirePoint {
    /// `job.pre_fire` or `trigger.pre_fire`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job.pre_fire",
            Self::Trigger => "trigger.pre_fire",
        }
    }
}

/// A run about to be made, for pre-fire hooks.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the fire is recognised by; the guest's randomness is a function of it.
    pub id: String,
    /// What fires.
    pub point: FirePoint,
    /// The name of the job or trigger.
    pub name: Name,
    /// When it fires; the guest's clock stands still at it.
    pub at: Time,
    /// Where the job or trigger belongs.
    pub scope: Scope,
    /// Who the run is for.
    pub agent: Name,
    /// The prompt so far.
    pub prompt: String,
    /// The envelope of a trigger's event, as JSON text.
    pub event: Option<String>,
    /// The hook's configuration, as JSON text.
    pub config: Arc<str>,
}

/// What becomes of a run about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreFire {
    /// It goes on as it is.
    Pass,
    /// It goes on with this prompt, which is no longer than a prompt may be.
    Rewrite(String),
    /// There will be no run, for this reason.
    Cancel(String),
}

/// What an observer or an extension remembers, for one definition.
pub type State = BTreeMap<String, String>;

/// The most keys in a state.
const KEYS_MAX: usize = 64;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// The largest state, keys and values together, in bytes.
const STATE_BYTES_MAX: usize = 256 * 1024;

/// A state in a guest's hands, within its limits.
#[derive(Debug, Default)]
pub(super) struct GuestState(State);

impl GuestState {
    pub(super) fn new(state: State) -> Self {
        Self(state)
    }

    /// What it holds; it is empty afterwards.
    pub(super) fn take(&mut self) -> State {
        std::mem::take(&mut self.0)
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    pub(super) fn set(&mut self, key: String, value: String) -> Result<(), Exceeded> {
        let within = |size: usize, most: usize, of: &'static str| match size {
            size if size > most => Err(Exceeded(Limit::State { most, of })),
            _ => Ok(()),
        };
        within(key.len(), KEY_BYTES_MAX, "bytes in a key")?;
        within(value.len(), VALUE_BYTES_MAX, "bytes in a value")?;
        self.0.insert(key, value);
        within(self.0.len(), KEYS_MAX, "keys")?;
        let bytes = self.0.iter().map(|(key, value)| key.len() + value.len()).sum();
        within(bytes, STATE_BYTES_MAX, "bytes")
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(keys: usize, key_bytes: usize, value_bytes: usize) -> Result<State, String> {
        let mut notebook = GuestState::default();
        for i in 0..keys {
            let key = format!("{i:0key_bytes$}");
            notebook.set(key, "v".repeat(value_bytes)).map_err(|error| error.to_string())?;
        }
        Ok(notebook.take())
    }

    #[test]
    fn a_state_has_four_limits() {
        for (keys, key_bytes, value_bytes, error) in [
            (64, 128, 0, None),
            (65, 128, 0, Some("state limit (64 keys)")),
            (1, 129, 0, Some("state limit (128 bytes in a key)")),
            (15, 8, 16 * 1024, None),
            (1, 8, 16 * 1024 + 1, Some("state limit (16384 bytes in a value)")),
            (64, 96, 4000, None),
            (64, 97, 4000, Some("state limit (262144 bytes)")),
        ] {
            let filled = filled(keys, key_bytes, value_bytes);
            let what = format!("{keys} × {key_bytes} × {value_bytes}");
            match error {
                None => assert_eq!(filled.unwrap().len(), keys, "{what}"),
                Some(error) => assert!(filled.unwrap_err().ends_with(error), "{what}"),
            }
        }
    }

    #[test]
    fn writing_a_key_again_takes_no_more_room() {
        let mut notebook = GuestState::default();
        for turn in 0..100 {
            for key in 0..15 {
                notebook.set(key.to_string(), turn.to_string().repeat(8_000)).unwrap();
            }
        }
        notebook.remove("0");
        notebook.remove("never there");
        assert_eq!(notebook.get("0"), None);
        assert_eq!(notebook.take().len(), 14);
        assert!(notebook.take().is_empty());
    }
}

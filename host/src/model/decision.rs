//! Decisions: for each trigger considered, why it fired or did not.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::id::{RunId, TriggerId};
use super::name::Name;
use super::time::Time;

/// What a trigger made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fired, and this is the run.
    Fired(RunId),
    /// Its filter did not let the event pass; names the clause.
    Filtered(String),
    /// It waits with others for a burst to end or a batch to fill.
    Held,
    /// It has fired as often as it may for now, and this is left out; says when it may again.
    Limited(Time),
    /// It has fired as often as it may for now, and this waits for its turn; says when that comes.
    Deferred(Time),
    /// A pre-fire hook called the run off; says which and why.
    Canceled(String),
    /// It is switched off.
    Disabled,
    /// The event lies too deep, or the trigger's own run caused it; says which.
    LoopGuard(String),
    /// Its template has no prompt for this event; says why.
    RenderError(String),
    /// A component refused its task, crashed or exceeded a limit; says which and how.
    ComponentError(String),
}

impl Verdict {
    /// The verdict's word.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Fired(_) => Outcome::Fired,
            Self::Filtered(_) => Outcome::Filtered,
            Self::Held => Outcome::Held,
            Self::Limited(_) => Outcome::Limited,
            Self::Deferred(_) => Outcome::Deferred,
            Self::Canceled(_) => Outcome::Canceled,
            Self::Disabled => Outcome::Disabled,
            Self::LoopGuard(_) => Outcome::LoopGuard,
            Self::RenderError(_) => Outcome::RenderError,
            Self::ComponentError(_) => Outcome::ComponentError,
        }
    }

    /// The run, when there is one.
    pub fn run_id(&self) -> Option<&RunId> {
        match self {
            Self::Fired(run) => Some(run),
            _ => None,
        }
    }

    /// The reason, when there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Filtered(why)
            | Self::Canceled(why)
            | Self::LoopGuard(why)
            | Self::RenderError(why)
            | Self::ComponentError(why) => Some(why),
            Self::Fired(_) | Self::Held | Self::Limited(_) | Self::Deferred(_) | Self::Disabled => {
                None
            }
        }
    }

    /// When the trigger may fire again, for one that has reached its limit.
    pub fn retry_at(&self) -> Option<Time> {
        match self {
            Self::Limited(retry_at) | Self::Deferred(retry_at) => Some(*retry_at),
            _ => None,
        }
    }
}

/// A verdict's word on the wire and in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// See [`Verdict::Fired`].
    Fired,
    /// See [`Verdict::Filtered`].
    Filtered,
    /// See [`Verdict::Held`].
    Held,
    /// See [`Verdict::Limited`].
    Limited,
    /// See [`Verdict::Deferred`].
    Deferred,
    /// See [`Verdict::Canceled`].
    Canceled,
    /// See [`Verdict::Disabled`].
    Disabled,
    /// See [`Verdict::LoopGuard`].
    LoopGuard,
    /// See [`Verdict::RenderError`].
    RenderError,
    /// See [`Verdict::ComponentError`].
    ComponentError,
}

impl Outcome {
    /// Every outcome with its word.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Fired, "fired"),
        (Self::Filtered, "filtered"),
        (Self::Held, "held"),
        (Self::Limited, "limited"),
        (Self::Deferred, "deferred"),
        (Self::Canceled, "canceled"),
        (Self::Disabled, "disabled"),
        (Self::LoopGuard, "loop_guard"),
        (Self::RenderError, "render_error"),
        (Self::ComponentError, "component_error"),
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(outcome, _)| *outcome).ok_or_else(|| {
            format!("`{text}` is not an outcome: {}", Self::ALL.map(|(_, word)| word).join(", "))
        })
    }
}

/// One trigger's answer to one event.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The trigger.
    pub trigger_id: TriggerId,
    /// Its name at that time.
    pub trigger: Name,
    /// What it made of the event.
    pub verdict: Verdict,
    /// When it was decided.
    pub at: Time,
}

//! How jobs and triggers fire: how often, how urgently, and what becomes of a failed attempt.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::policy::Attempts;

/// The longest wait between two attempts.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// How far a wait is spread, in either direction, as a part of it.
const SPREAD: f64 = 0.2;

/// How soon a run's commands are taken, compared with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After everything else.
    Low,
    /// As most things are.
    #[default]
    Normal,
    /// Before what is normal.
    High,
    /// Before everything else.
    Critical,
}

impl Priority {
    /// Every value with its word, the most urgent first.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Critical, "critical"),
        (Self::High, "high"),
        (Self::Normal, "normal"),
        (Self::Low, "low"),
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(priority, _)| *priority == self).map_or("", |(_, word)| word)
    }

    /// The one with this rank.
    pub fn of_base(base: u32) -> Option<Self> {
        Self::ALL.iter().map(|(priority, _)| *priority).find(|one| one.base() == base)
    }

    /// Its rank in the queue; more is sooner.
    pub fn base(self) -> u32 {
        match self {
            Self::Critical => 1000,
            Self::High => 750,
            Self::Normal => 500,
            Self::Low => 250,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found
            .map(|(priority, _)| *priority)
            .ok_or_else(|| format!("`{text}` is not a priority: critical, high, normal or low"))
    }
}

/// Whether a failed attempt is followed by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum Retry {
    /// It is not.
    #[default]
    None,
    /// It is, after a wait that doubles.
    Backoff {
        /// How many attempts may follow the first.
        max_retries: u32,
        /// The wait before the second attempt, in milliseconds.
        base_delay_ms: u64,
    },
}

impl From<Attempts> for Retry {
    /// What a policy says of retries.
    fn from(Attempts { attempts, delay_ms }: Attempts) -> Self {
        match attempts {
            0 | 1 => Self::None,
            more => Self::Backoff { max_retries: more - 1, base_delay_ms: delay_ms },
        }
    }
}

impl Retry {
    /// How many attempts may follow the first, unless it is said otherwise.
    pub const MAX_RETRIES: u32 = 3;
    /// The wait before the second attempt, unless it is said otherwise.
    pub const BASE_DELAY: Duration = Duration::from_secs(2);

    /// How long to wait after the failed `attempt`, counted from 1; none when it was the last.
    /// `dice`, from 0 to 1, spreads the wait by a fifth in either direction.
    pub fn delay(self, attempt: u32, dice: f64) -> Option<Duration> {
        let Self::Backoff { max_retries, base_delay_ms } = self else { return None };
        if attempt > max_retries {
            return None;
        }
        let doubled = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(base_delay_ms.saturating_mul(doubled)).min(BACKOFF_MAX);
        Some(wait.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * dice.clamp(0.0, 1.0)))
    }
}

/// How many runs a job or trigger may start in a rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FireLimit {
    /// So many.
    pub max: u32,
    /// Within so long.
    pub window: Duration,
    /// What becomes of a trigger's fires beyond it.
    pub over: Over,
}

impl Default for FireLimit {
    fn default() -> Self {
        Self { max: 60, window: Duration::from_secs(60 * 60), over: Over::default() }
    }
}

/// What becomes of a trigger's fires that there is no room for. A job's slots are skipped until there
/// is, whichever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// They wait, and fire in their order when there is room.
    #[default]
    Defer,
    /// They never come to be.
    Drop,
}

/// How many fires of one trigger may wait for room.
pub const DEFERRED_MAX: u64 = 1000;

/// Whether a prompt may hold what a sender wrote outside of a fence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Untrusted {
    /// It may, and the run's record says so.
    #[default]
    Allowed,
    /// It may not: rendering is refused.
    Fenced,
}

/// Several events that lead to one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batching {
    /// The last event of a burst: it fires when none has come for `window`.
    Debounce {
        /// Bursts are told apart by the value at this envelope path; one for all when absent.
        key: Option<String>,
        /// How long it has to be quiet.
        window: Duration,
        /// How long the first event of a burst waits at most; as long as it takes when absent.
        max_wait: Option<Duration>,
    },
    /// All events of a batch: it fires when there are `size`, or the first has waited for `wait`.
    Batch {
        /// Batches are told apart by the value at this envelope path; one for all when absent.
        key: Option<String>,
        /// How many events make a batch.
        size: u32,
        /// How long the first event of a batch waits at most.
        wait: Duration,
    },
}

impl Batching {
    /// The envelope path by whose value its events are told apart.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Debounce { key, .. } | Self::Batch { key, .. } => key.as_deref(),
        }
    }
}

/// What a due slot does while the job's previous run has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Both run.
    Allow,
    /// The slot is skipped.
    #[default]
    Skip,
    /// One run waits for the previous to end; further slots are skipped.
    Queue,
    /// The previous run is canceled, and the new one begins when it has ended.
    Replace,
}

/// What becomes of slots that could not fire in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are counted, and the schedule goes on.
    #[default]
    SkipMissed,
    /// One run stands for all of them.
    Coalesce,
    /// Each gets its run, the oldest first, up to a number.
    CatchUp,
}

macro_rules! words {
    ($($name:ident, $what:literal: $($variant:ident = $word:literal),*;)*) => {$(
        impl $name {
            /// The word on the wire and in the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!(
                        "`{text}` is not {}: {}", $what, [$($word),*].join(", ")
                    )),
                }
            }
        }
    )*};
}

words! {
    Untrusted, "a rule for untrusted content": Allowed = "allowed", Fenced = "fenced";
    Over, "what becomes of fires over the limit": Defer = "defer", Drop = "drop";
    Overlap, "an overlap policy": Allow = "allow", Skip = "skip", Queue = "queue", Replace = "replace";
    CatchUp, "a catch-up policy":
        SkipMissed = "skip_missed", Coalesce = "coalesce", CatchUp = "catch_up";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_ceiling() {
        let retry = Retry::Backoff { max_retries: 20, base_delay_ms: 2000 };
        let secs = |attempt| retry.delay(attempt, 0.5).map(|wait| wait.as_secs());
        assert_eq!(secs(1), Some(2));
        assert_eq!(secs(2), Some(4));
        assert_eq!(secs(9), Some(512));
        assert_eq!(secs(10), Some(900));
        assert_eq!(secs(20), Some(900));
        assert_eq!(secs(21), None);
        assert_eq!(Retry::None.delay(1, 0.5), None);
    }

    #[test]
    fn waits_are_spread_by_a_fifth() {
        let retry = Retry::Backoff { max_retries: 1, base_delay_ms: 1000 };
        let ms = |dice| retry.delay(1, dice).map(|wait| wait.as_millis());
        assert_eq!((ms(0.0), ms(1.0)), (Some(800), Some(1200)));
    }
}

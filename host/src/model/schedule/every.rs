//! Fixed intervals: a grid of equal steps from an anchor, in UTC.
//!
//! The slots are `anchor + n · period` for n from 1 on: the anchor is where counting starts and is
//! no slot itself, and nothing comes before it. A period is exact: `1day` is 24 hours, `1month` a
//! twelfth of a year of 365.25 days.

use std::fmt;
use std::time::Duration;

use super::super::time::Time;

const PERIOD_MIN: Duration = Duration::from_secs(1);
/// A hundred years.
const PERIOD_MAX: Duration = Duration::from_secs(36_525 * 24 * 60 * 60);

/// Equal steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// From one second to a hundred years.
    pub(super) period_ms: i64,
    /// Where it starts, unless whoever asks says it.
    pub(super) anchor: Option<Time>,
}

/// The text is not a period.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPeriod {
    #[error("`{text}` is not a duration such as 90s, 15m or 1h 30m: {source}")]
    NotADuration { text: String, source: humantime::DurationError },
    #[error("`{0}` is less than a second")]
    TooShort(String),
    #[error("`{0}` is more than a hundred years")]
    TooLong(String),
    #[error("`{0}` is not a whole number of milliseconds")]
    TooFine(String),
}

/// The period that `text` says, in milliseconds.
pub(super) fn period_ms(text: &str) -> Result<i64, InvalidPeriod> {
    let owned = || text.to_owned();
    let period = humantime::parse_duration(text)
        .map_err(|source| InvalidPeriod::NotADuration { text: owned(), source })?;
    match period {
        _ if period < PERIOD_MIN => Err(InvalidPeriod::TooShort(owned())),
        _ if period > PERIOD_MAX => Err(InvalidPeriod::TooLong(owned())),
        _ if period.subsec_nanos() % 1_000_000 != 0 => Err(InvalidPeriod::TooFine(owned())),
        _ => i64::try_from(period.as_millis()).map_err(|_| InvalidPeriod::TooLong(owned())),
    }
}

impl Grid {
    pub(super) fn next_after(&self, after: Time, anchored: Time) -> Option<Time> {
        let anchor = self.anchor.unwrap_or(anchored);
        let steps = self.steps(anchor, after) + 1;
        Time::from_millis(anchor.as_millis() + steps * self.period_ms)
    }

    pub(super) fn count(&self, from: Time, until: Time, anchored: Time) -> u64 {
        let anchor = self.anchor.unwrap_or(anchored);
        let slots = self.steps(anchor, until) - self.steps(anchor, from);
        u64::try_from(slots).unwrap_or(0)
    }

    /// How many slots there are up to and including `until`.
    fn steps(&self, anchor: Time, until: Time) -> i64 {
        (until.as_millis() - anchor.as_millis()).max(0) / self.period_ms
    }
}

/// One canonical form, in milliseconds.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.period_ms)?;
        self.anchor.map_or(Ok(()), |anchor| write!(f, " from {}", anchor.as_millis()))
    }
}

//! Instants, in whole milliseconds since the Unix epoch, written as RFC 3339 in UTC.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant with millisecond precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// How much two hosts' clocks may differ: either may be wrong by five seconds. What lies further ahead
/// than its rule allows was written by a clock that was wrong.
pub const SKEW: Duration = Duration::from_secs(10);

/// The text is not an RFC 3339 instant that [`Time`] can hold.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 instant such as 2026-01-31T09:00:00Z")]
pub struct InvalidTime(String);

impl Time {
    /// The last instant that four-digit years can write; anything later is not a time anyone sent.
    const MAX_MS: i64 = 253_402_300_799_999;

    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant `ms` milliseconds after the Unix epoch, if RFC 3339 can write it.
    pub fn from_millis(ms: i64) -> Option<Self> {
        (0..=Self::MAX_MS).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// The millisecond before this one, but never before the epoch.
    pub fn before(self) -> Self {
        self - Duration::from_millis(1)
    }

    /// The time from `earlier` to this one; zero when it lies after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms).min(Self::MAX_MS))
    }
}

impl std::ops::Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms).max(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Time {
    type Err = InvalidTime;
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|instant| Self::from_millis(instant.timestamp_millis()))
            .ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant with millisecond precision, as RFC 3339.",
            "type": "string",
            "format": "date-time",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_in_utc() {
        let time: Time = "2026-03-29T03:30:00.25+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-29T01:30:00.250Z");
        assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
    }

    #[test]
    fn what_rfc_3339_cannot_write_is_no_time() {
        assert_eq!(Time::from_millis(-1), None);
        assert_eq!(Time::from_millis(i64::MAX), None);
        assert!("yesterday".parse::<Time>().is_err());
    }
}

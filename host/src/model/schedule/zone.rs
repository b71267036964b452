//! Time zones: what the clocks show, and when they show it.
//!
//! The zones are bundled with the program. Around a change of the clocks,
//!
//! ```text
//! gap:   instants  ───────●───────    a local time in the gap is taken for the change itself,
//!        local     01:59 ─┘ 03:00     the first instant after it
//!
//! fold:  instants  ───────●───────    a local time shown twice is taken for its first showing
//!        local     02:59 ─┘ 02:00
//! ```
//! so that a later local time is never taken for an earlier instant. Who goes by elapsed time asks
//! instead when the clocks show something next, whether they have shown it before or not.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::super::time::Time;

/// The zone without changes.
pub(super) const UTC: &str = "UTC";

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone(TimeZone);

/// There is no such zone; says which one may be meant.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is not an IANA time zone such as Europe/Berlin{}", meant(.similar))]
pub(super) struct UnknownZone {
    name: String,
    similar: Option<String>,
}

fn meant(similar: &Option<String>) -> String {
    similar.as_ref().map_or_else(String::new, |name| format!("; is `{name}` meant?"))
}

impl Zone {
    /// The zone of that name, which is taken to the letter.
    pub(super) fn find(name: &str) -> Result<Self, UnknownZone> {
        let found = BUNDLED.get(name).ok();
        found
            .filter(|zone| !zone.is_unknown() && zone.iana_name() == Some(name))
            .map(Self)
            .ok_or_else(|| unknown(name))
    }

    pub(super) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or(UTC)
    }

    /// `at` with the offset that the zone has then.
    pub(super) fn written(&self, at: Time) -> Option<String> {
        let zoned = timestamp(at)?.to_zoned(self.0.clone());
        Some(zoned.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
    }

    /// The latest local time that the clocks have shown by `at`.
    ///
    /// That is what they show, but while they repeat an hour it is the end of that hour, less a
    /// second.
    pub(super) fn reached(&self, at: Time) -> Option<DateTime> {
        let at = timestamp(at)?;
        let shown = self.0.to_datetime(at);
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Fold { before, after } if self.0.to_offset(at) == after => {
                let change = self.change(shown, before, after)?;
                before.to_datetime(change).checked_sub(SignedDuration::from_secs(1)).ok()
            }
            _ => Some(shown),
        }
    }

    /// The first instant after `after` at which the clocks show what `next` finds: the first local
    /// time of its own that is later than the one it is given, by a second at least.
    pub(super) fn next_shown(
        &self,
        after: Time,
        next: impl Fn(DateTime) -> Option<DateTime>,
    ) -> Option<Time> {
        let mut begin = timestamp(after)?;
        let mut shown = self.0.to_datetime(begin);
        // From one change of the clocks to the next, instants and local times go in step.
        loop {
            let offset = self.0.to_offset(begin);
            let found = offset.to_timestamp(next(shown)?).ok();
            match self.0.following(begin).next().map(|change| change.timestamp()) {
                Some(change) if found.is_none_or(|found| found >= change) => {
                    begin = change;
                    let second = SignedDuration::from_secs(1);
                    shown = self.0.to_datetime(begin).checked_sub(second).ok()?;
                }
                _ => return Time::from_millis(found?.as_millisecond()),
            }
        }
    }

    /// The instant that `local` is taken for.
    pub(super) fn instant(&self, local: DateTime) -> Option<Time> {
        let taken = self.0.to_ambiguous_timestamp(local);
        let instant = match taken.offset() {
            AmbiguousOffset::Gap { before, after } => self.change(local, before, after)?,
            AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => {
                taken.earlier().ok()?
            }
        };
        Time::from_millis(instant.as_millisecond())
    }

    /// The change of the clocks, from one offset to another, that makes `local` a gap or a fold.
    fn change(&self, local: DateTime, before: Offset, after: Offset) -> Option<Timestamp> {
        // Read with the greater offset, such a local time is earlier than the change.
        let earlier = before.max(after).to_timestamp(local).ok()?;
        self.0.following(earlier).find(|to| to.offset() == after).map(|to| to.timestamp())
    }
}

fn timestamp(at: Time) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.as_millis()).ok()
}

fn unknown(name: &str) -> UnknownZone {
    let wanted = name.trim().replace(' ', "_");
    let whole = |zone: &str| zone.eq_ignore_ascii_case(&wanted);
    let city = |zone: &str| zone.rsplit('/').next().is_some_and(whole);
    let similar = named(whole).or_else(|| named(city));
    UnknownZone { name: name.chars().take(64).collect(), similar }
}

fn named(wanted: impl Fn(&str) -> bool) -> Option<String> {
    BUNDLED.available().map(|zone| zone.as_str().to_owned()).find(|zone| wanted(zone))
}

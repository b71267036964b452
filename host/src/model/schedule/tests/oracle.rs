//! Cron by brute force: every second or minute is looked at, and each field is read anew for it.
//!
//! It shares nothing with the code under test but the offsets of the time zones. A slot is where the
//! clocks show, for the first time, a later local time than ever before, and that time matches or one
//! they skipped to get there does. Where the minute or the hour begins with `*`, it is wherever the
//! clocks show a time that matches.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const MONTHS: &str = "jan feb mar apr may jun jul aug sep oct nov dec";
const WEEKDAYS: &str = "sun mon tue wed thu fri sat";

/// An expression, only looked at as text.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    fields: Vec<String>,
    zone: TimeZone,
}

impl Oracle {
    pub(super) fn new(expression: &str, zone: &TimeZone) -> Self {
        let mut fields: Vec<String> = expression.split(' ').map(str::to_owned).collect();
        if fields.len() == 5 {
            fields.insert(0, "0".to_owned());
        }
        Self { fields, zone: zone.clone() }
    }

    /// The slots after `from` up to and including `until`, which are whole steps of `step`.
    pub(super) fn slots(
        &self,
        from: Timestamp,
        until: Timestamp,
        step: SignedDuration,
    ) -> Vec<Timestamp> {
        if self.is_elapsing() {
            let instants = std::iter::successors(Some(from + step), |at| Some(*at + step));
            let within = instants.take_while(|at| *at <= until);
            return within.filter(|at| self.matches(self.zone.to_datetime(*at))).collect();
        }
        let mut slots = vec![];
        let mut shown = self.shown(from, step);
        let mut at = from + step;
        while at <= until {
            let local = self.zone.to_datetime(at);
            if local > shown {
                let mut new = shown + step;
                while new <= local && !self.matches(new) {
                    new += step;
                }
                slots.extend((new <= local).then_some(at));
                shown = local;
            }
            at += step;
        }
        slots
    }

    /// The latest local time shown by `at`; no clock is set back by more than three hours here.
    fn shown(&self, at: Timestamp, step: SignedDuration) -> DateTime {
        let hours = SignedDuration::from_hours(3);
        let before = std::iter::successors(Some(at), |at| Some(*at - step));
        let recent = before.take_while(|earlier| at.duration_since(*earlier) <= hours);
        recent.map(|at| self.zone.to_datetime(at)).max().unwrap()
    }

    /// Whether the minute or the hour begins with `*`.
    pub(super) fn is_elapsing(&self) -> bool {
        self.fields[1].starts_with('*') || self.fields[2].starts_with('*')
    }

    /// Whether the expression means this local time.
    pub(super) fn matches(&self, local: DateTime) -> bool {
        self.holds(0, local.second(), 0, 59, "")
            && self.holds(1, local.minute(), 0, 59, "")
            && self.holds(2, local.hour(), 0, 23, "")
            && self.date_matches(local.date())
    }

    fn date_matches(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        let day = self.holds(3, date.day(), 1, 31, "");
        let weekday = self.holds(5, weekday, 0, 7, WEEKDAYS)
            || weekday == 0 && self.holds(5, 7, 0, 7, WEEKDAYS);
        let starred = self.fields[3].starts_with('*') || self.fields[5].starts_with('*');
        let days = if starred { day && weekday } else { day || weekday };
        self.holds(4, date.month(), 1, 12, MONTHS) && days
    }

    fn holds(&self, field: usize, value: i8, low: i8, high: i8, names: &str) -> bool {
        let number = |text: &str| {
            let named = names.split(' ').position(|name| name.eq_ignore_ascii_case(text));
            named.map_or_else(|| text.parse::<i8>().unwrap(), |place| place as i8 + low)
        };
        self.fields[field].split(',').any(|item| {
            let (range, step) = item.split_once('/').unwrap_or((item, "1"));
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (low, high),
                Some((first, last)) => (number(first), number(last)),
                None => (number(range), number(range)),
            };
            (first..=last).contains(&value) && (value - first) % step.parse::<i8>().unwrap() == 0
        })
    }
}

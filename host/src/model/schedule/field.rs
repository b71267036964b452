//! The fields of a cron expression: lists of values, ranges and steps.
//!
//! Values are numbers or, for months and weekdays, English names of three letters in any case, and
//! names do wherever numbers do. A step needs `*` or a range to step over, as in Vixie cron; one
//! beyond the range leaves its first value.

use std::fmt;

/// Small numbers: the values that a field holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) fn has(self, value: i8) -> bool {
        self.0 & bit(value) != 0
    }

    /// The least value that is not less than `least`.
    pub(super) fn at_least(self, least: i8) -> Option<i8> {
        let rest = self.0 & !(bit(least) - 1);
        (rest != 0).then(|| rest.trailing_zeros() as i8)
    }

    /// The least value.
    pub(super) fn first(self) -> Option<i8> {
        self.at_least(0)
    }
}

fn bit(value: i8) -> u64 {
    1 << value
}

impl FromIterator<i8> for Set {
    fn from_iter<I: IntoIterator<Item = i8>>(values: I) -> Self {
        Self(values.into_iter().fold(0, |bits, value| bits | bit(value)))
    }
}

/// Hexadecimal, a bit for each value.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A place in the expression and what may stand there.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    low: i8,
    high: i8,
    names: &'static [&'static str],
}

/// The fields in their order; the first only with `seconds = true`.
pub(super) const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, names: &[] },
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of month", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: &MONTHS },
    Field { name: "day of week", low: 0, high: 7, names: &WEEKDAYS },
];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What is wrong with a field.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("an item of the list is empty")]
    EmptyItem,
    #[error("a range needs both its ends")]
    OpenRange,
    #[error("`{text}` is not {wanted}")]
    NotAValue { text: String, wanted: String },
    #[error("`{0}` is Quartz's, which cron does not have")]
    Quartz(String),
    #[error("{value} is not within {low} to {high}")]
    OutOfRange { value: String, low: i8, high: i8 },
    #[error("the range `{range}` runs backwards: {instead}")]
    Backwards { range: String, instead: String },
    #[error("`{0}` is not a step: a number from 1 on")]
    NotAStep(String),
    #[error("a step needs a range or `*` to step over: `{value}-{high}/{step}`")]
    StepOverOne { value: String, high: i8, step: String },
}

impl Field {
    /// The values that `text` means.
    pub(super) fn parse(&self, text: &str) -> Result<Set, Fault> {
        text.split(',').try_fold(Set::default(), |all, item| {
            let Set(values) = self.item(item)?;
            Ok(Set(all.0 | values))
        })
    }

    fn item(&self, item: &str) -> Result<Set, Fault> {
        if item.is_empty() {
            return Err(Fault::EmptyItem);
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (first, last) = match (range, range.split_once('-'), step) {
            ("*", ..) => (self.low, self.high),
            (_, Some((first, last)), _) => self.range(range, first, last)?,
            (_, None, None) => (self.value(range)?, self.value(range)?),
            (_, None, Some(step)) => return Err(self.step_over_one(range, step)),
        };
        Ok((first..=last).step_by(step.map_or(Ok(1), stride)?).collect())
    }

    fn range(&self, range: &str, first: &str, last: &str) -> Result<(i8, i8), Fault> {
        if first.is_empty() || last.is_empty() {
            return Err(Fault::OpenRange);
        }
        let ends = (self.value(first)?, self.value(last)?);
        if ends.0 > ends.1 {
            return Err(self.backwards(range, first, last));
        }
        Ok(ends)
    }

    fn value(&self, text: &str) -> Result<i8, Fault> {
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            let value = text.parse().ok().filter(|value| (self.low..=self.high).contains(value));
            return value.ok_or_else(|| self.out_of_range(text));
        }
        let named = (self.low..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        named.map(|(value, _)| value).ok_or_else(|| self.not_a_value(text))
    }

    fn out_of_range(&self, value: &str) -> Fault {
        Fault::OutOfRange { value: value.to_owned(), low: self.low, high: self.high }
    }

    fn not_a_value(&self, text: &str) -> Fault {
        let text = text.to_owned();
        let mark = text.trim_start_matches(|c: char| c.is_ascii_digit());
        if text.contains(['?', '#']) || ["L", "W", "LW"].contains(&mark) {
            return Fault::Quartz(text);
        }
        let wanted = match self.names {
            [first, .., last] => format!("a number or a name from {first} to {last}"),
            _ => "a number".to_owned(),
        };
        Fault::NotAValue { text, wanted }
    }

    fn backwards(&self, range: &str, first: &str, last: &str) -> Fault {
        let instead = match last.to_ascii_lowercase().as_str() {
            "sun" => format!("`{first}-7` ends on Sunday"),
            _ => format!("`{first}-{},{}-{last}` goes around", self.high, self.low),
        };
        Fault::Backwards { range: range.to_owned(), instead }
    }

    fn step_over_one(&self, value: &str, step: &str) -> Fault {
        match self.value(value).and(stride(step)) {
            Ok(_) => {
                let (value, step) = (value.to_owned(), step.to_owned());
                Fault::StepOverOne { value, high: self.high, step }
            }
            Err(fault) => fault,
        }
    }
}

fn stride(text: &str) -> Result<usize, Fault> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    let step = text.parse().ok().filter(|step| digits && *step > 0);
    step.ok_or_else(|| Fault::NotAStep(text.to_owned()))
}

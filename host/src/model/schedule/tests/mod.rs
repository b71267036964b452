//! The rules as a table, as refusals, and as properties held against brute force.

mod oracle;
mod properties;
mod refusals;
mod rules;

use super::{Schedule, Spec};
use crate::model::time::Time;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// The schedule of an expression of five fields, or of six.
fn cron(expression: &str, timezone: &str) -> Schedule {
    let seconds = expression.split_ascii_whitespace().count() == 6;
    let timezone = Some(timezone);
    parsed(&Spec { cron: Some(expression), seconds, timezone, ..Spec::default() })
}

fn every(period: &str, anchor: Option<&str>) -> Schedule {
    parsed(&Spec { every: Some(period), anchor, ..Spec::default() })
}

fn once(at: &str) -> Schedule {
    parsed(&Spec { at: Some(at), ..Spec::default() })
}

fn parsed(spec: &Spec<'_>) -> Schedule {
    Schedule::parse(spec).unwrap_or_else(|problems| panic!("{spec:?}: {problems}"))
}

//! When a job is due: cron expressions, fixed intervals and single instants.
//!
//! A schedule is a set of instants, its *slots*. It knows nothing of the present, of what has fired
//! or of what was missed; it answers which slots lie where, and gives the same answer everywhere:
//! the time zones are those that the program was built with, not the machine's.
//!
//! - **cron** has five fields with the meaning they have in Vixie cron (`cron.rs`), read on the clocks
//!   of a time zone. A pattern with a fixed minute and hour has each of its local times once: one that
//!   the clocks skip is the first instant after the gap, all that a gap swallowed being one slot, and
//!   one that they show twice is the first of the two. A pattern whose minute or hour begins with `*`
//!   goes on by elapsed time: `0 * * * *` is due in both of two equal hours, and nothing stands for
//!   what a gap swallowed.
//! - **every** is a grid of equal steps in UTC (`every.rs`); no clock change disturbs it.
//! - **at** is one instant.
//!
//! `every` and `at` take a time zone too; it must exist, and decides only how people are shown the
//! slots.

mod cron;
mod every;
mod field;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;
use std::iter;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::cron::Pattern;
use self::every::Grid;
use self::zone::Zone;
use super::problem::Problems;
use super::time::Time;

/// The longest expression, duration or instant, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// What a definition says of its schedule, unparsed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spec<'a> {
    /// Five fields, six with `seconds`, or a word such as `@daily`.
    pub cron: Option<&'a str>,
    /// A duration such as `15m`, of a second or more.
    pub every: Option<&'a str>,
    /// An RFC 3339 instant.
    pub at: Option<&'a str>,
    /// Whether the fields of `cron` begin with one for seconds.
    pub seconds: bool,
    /// The RFC 3339 instant that the grid of `every` starts from.
    pub anchor: Option<&'a str>,
    /// The IANA time zone whose clocks `cron` is read on; UTC when absent.
    pub timezone: Option<&'a str>,
}

/// The kinds of schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A cron expression.
    Cron,
    /// A fixed interval.
    Every,
    /// Once.
    At,
}

impl Mode {
    /// Every mode with its word.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Cron, "cron"), (Self::Every, "every"), (Self::At, "at")];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found
            .map(|(mode, _)| *mode)
            .ok_or_else(|| format!("`{text}` is not a schedule mode: cron, every or at"))
    }
}

/// The slots of a job. Cheap to clone; equal when written the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rule: Rule,
    text: Arc<str>,
    zone: Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Cron(Pattern),
    Every(Grid),
    At(Time),
}

impl Schedule {
    /// The schedule that a definition means.
    ///
    /// # Errors
    /// All problems at once, by the names of the spec's fields. That no mode is set is a problem of
    /// `cron`.
    pub fn parse(spec: &Spec<'_>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let zone = problems.take("timezone", Zone::find(spec.timezone.unwrap_or(zone::UTC)));
        misplaced(spec, &mut problems);
        let rules =
            [cron(spec, &mut problems), every(spec, &mut problems), at(spec, &mut problems)];
        let schedule = rules
            .into_iter()
            .flatten()
            .next()
            .zip(zone)
            .map(|((rule, text), zone)| Self { rule, text, zone });
        problems.unless_any(schedule).and_then(|schedule| schedule.ok_or_else(Problems::default))
    }

    /// Its kind.
    pub fn mode(&self) -> Mode {
        match self.rule {
            Rule::Cron(_) => Mode::Cron,
            Rule::Every(_) => Mode::Every,
            Rule::At(_) => Mode::At,
        }
    }

    /// The expression, duration or instant as it was written, without needless spaces.
    pub fn expression(&self) -> &str {
        &self.text
    }

    /// The IANA name of its time zone.
    pub fn timezone(&self) -> &str {
        self.zone.name()
    }

    /// `at` as RFC 3339 with the offset of the schedule's time zone; in UTC in the last hours of
    /// the year 9999, which not every zone can write.
    pub fn local(&self, at: Time) -> String {
        self.zone.written(at).unwrap_or_else(|| at.to_string())
    }

    /// The first slot after `after`, and not at it; none when there is no further one before the
    /// year 10000.
    ///
    /// `anchored` is where an `every` without an anchor of its own starts from: its job's creation.
    pub fn next_after(&self, after: Time, anchored: Time) -> Option<Time> {
        match &self.rule {
            Rule::Cron(pattern) if pattern.is_elapsing() => {
                self.zone.next_shown(after, |local| pattern.next_after(local))
            }
            Rule::Cron(pattern) => {
                // Later local times are later instants or the same one, and `reached` skips the
                // rest of an hour that is being shown again: so the first match is the slot.
                self.zone.instant(pattern.next_after(self.zone.reached(after)?)?)
            }
            Rule::Every(grid) => grid.next_after(after, anchored),
            Rule::At(at) => (*at > after).then_some(*at),
        }
    }

    /// The slots after `from` up to and including `until`, oldest first, at most `max` of them.
    pub fn slots(&self, from: Time, until: Time, anchored: Time, max: usize) -> Vec<Time> {
        self.walk(from, until, anchored).take(max).collect()
    }

    /// How many slots lie after `from` up to and including `until`.
    ///
    /// Exact for `every` and `at`, whatever `max` is. The slots of `cron` are walked, and years of
    /// `* * * * * *` are many: counting stops at `max`, and `max` is the answer.
    pub fn count(&self, from: Time, until: Time, anchored: Time, max: u64) -> u64 {
        match &self.rule {
            Rule::Every(grid) => grid.count(from, until, anchored),
            Rule::At(at) => u64::from(from < *at && *at <= until),
            Rule::Cron(_) => {
                let max = usize::try_from(max).unwrap_or(usize::MAX);
                self.walk(from, until, anchored).take(max).count() as u64
            }
        }
    }

    /// SHA-256, as hex, of what decides the slots: it changes when the schedule means something
    /// else, and stays when the same is written in another way, as `sun` for `0`.
    pub fn hash(&self) -> String {
        let meaning = match &self.rule {
            Rule::Cron(pattern) => format!("cron {pattern} {}", self.zone.name()),
            Rule::Every(grid) => format!("every {grid}"),
            Rule::At(at) => format!("at {}", at.as_millis()),
        };
        hex::encode(Sha256::digest(meaning))
    }

    fn walk(&self, from: Time, until: Time, anchored: Time) -> impl Iterator<Item = Time> {
        let next = move |after: Time| self.next_after(after, anchored);
        iter::successors(next(from), move |last| next(*last)).take_while(move |slot| *slot <= until)
    }
}

/// For people: `cron 0 9 * * 1-5 Europe/Berlin`, `every 15m from 2026-01-01T00:00:00.000Z`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mode(), self.text)?;
        match &self.rule {
            Rule::Cron(_) => write!(f, " {}", self.zone.name()),
            Rule::Every(Grid { anchor: Some(anchor), .. }) => write!(f, " from {anchor}"),
            Rule::Every(_) | Rule::At(_) => Ok(()),
        }
    }
}

/// Notes what is set beside the one mode, and that no mode is.
fn misplaced(spec: &Spec<'_>, problems: &mut Problems) {
    let modes = [("cron", spec.cron), ("every", spec.every), ("at", spec.at)];
    let mut set = modes.into_iter().filter(|(_, text)| text.is_some()).map(|(mode, _)| mode);
    match set.next() {
        None => problems.add("cron", "a schedule needs one of `cron`, `every` and `at`"),
        Some(first) => set.for_each(|mode| {
            problems
                .add(mode, format_args!("cannot be set beside `{first}`: a schedule has one mode"));
        }),
    }
    if spec.seconds && spec.cron.is_none() {
        problems.add("seconds", "goes with `cron` only");
    }
    if spec.anchor.is_some() && spec.every.is_none() {
        problems.add("anchor", "goes with `every` only");
    }
}

type Written = (Rule, Arc<str>);

fn cron(spec: &Spec<'_>, problems: &mut Problems) -> Option<Written> {
    let text = problems.take("cron", short(spec.cron?))?;
    match Pattern::parse(text, spec.seconds) {
        Ok(pattern) => {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            Some((Rule::Cron(pattern), words.join(" ").into()))
        }
        Err(errors) => {
            errors.iter().for_each(|error| problems.add("cron", error));
            None
        }
    }
}

fn every(spec: &Spec<'_>, problems: &mut Problems) -> Option<Written> {
    let text = problems.take("every", short(spec.every?));
    let period_ms = text.and_then(|text| problems.take("every", every::period_ms(text)));
    let anchor = spec.anchor.map(|text| instant("anchor", text, problems));
    // An anchor that is none has been noted, and this rule will not be used.
    Some((Rule::Every(Grid { period_ms: period_ms?, anchor: anchor.flatten() }), text?.into()))
}

fn at(spec: &Spec<'_>, problems: &mut Problems) -> Option<Written> {
    let text = spec.at?.trim_ascii();
    Some((Rule::At(instant("at", text, problems)?), text.into()))
}

fn instant(path: &str, text: &str, problems: &mut Problems) -> Option<Time> {
    let text = problems.take(path, short(text))?;
    problems.take(path, text.parse())
}

/// `text` without the spaces around it, unless it is too long to be quoted in a reason.
fn short(text: &str) -> Result<&str, String> {
    match text.len() > TEXT_BYTES_MAX {
        true => Err(format!("is longer than {TEXT_BYTES_MAX} bytes")),
        false => Ok(text.trim_ascii()),
    }
}

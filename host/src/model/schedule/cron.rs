//! Cron expressions, as Vixie cron reads them, on the wall clock.
//!
//! ```text
//! (second) minute hour day-of-month month day-of-week
//! ```
//! A date matches when its month does and its days do. When both day fields are restricted, either
//! one is enough; a field is unrestricted when it *begins* with `*`, so `*/2` is, and then both must
//! match. 0 and 7 are Sunday.
//!
//! A pattern whose minute or hour begins with `*` is an *elapsing* one: it follows the clocks through
//! an hour that they show twice or not at all, as in Vixie cron.
//!
//! Refused are dates that never come. `0 0 30 2 1` does come, on Mondays in February.
//!
//! Time zones are of no concern here: what matches is a local date and time, whether the clocks ever
//! show it or not.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};

use super::field::{FIELDS, Fault, Field, Set};

/// What stands for a whole expression.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The longest each month can be, from January on.
const MONTH_DAYS_MAX: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The local times that an expression means; none of the sets is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    seconds: Set,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    /// From Sunday, which is 0.
    weekdays: Set,
    /// Whether one of `days` and `weekdays` is enough.
    either: bool,
    /// Whether it goes by what the clocks show, however often they show it: its minute or its hour
    /// begins with `*`.
    elapsing: bool,
}

/// What is wrong with an expression.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidCron {
    #[error("`{text}` has {found} fields, not {}: {}", .wanted.len(), names(.wanted))]
    Fields { text: String, found: usize, wanted: &'static [Field] },
    #[error("`{0}` has 6 fields, not 5; a leading one for seconds needs `seconds = true`")]
    Seconds(String),
    #[error("the {field} `{text}`: {fault}")]
    Field { field: &'static str, text: String, fault: Fault },
    #[error(
        "there is no `{0}`: @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually"
    )]
    Word(String),
    #[error("`{0}` says nothing of seconds, but `seconds = true` does")]
    WordWithSeconds(String),
    #[error("`{0}` never comes: none of its months has such a day")]
    Never(String),
}

fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

impl Pattern {
    /// The pattern of an expression; its first field is that of seconds if `seconds` says so.
    pub(super) fn parse(text: &str, seconds: bool) -> Result<Self, Vec<InvalidCron>> {
        let text = expanded(text, seconds).map_err(|error| vec![error])?;
        let words = words(text, seconds).map_err(|error| vec![error])?;
        let mut errors = vec![];
        let mut set = |place: usize| {
            FIELDS[place].parse(words[place]).unwrap_or_else(|fault| {
                let (field, text) = (FIELDS[place].name, words[place].to_owned());
                errors.push(InvalidCron::Field { field, text, fault });
                Set::default()
            })
        };
        let pattern = Self {
            seconds: set(0),
            minutes: set(1),
            hours: set(2),
            days: set(3),
            months: set(4),
            weekdays: from_sunday(set(5)),
            either: !words[3].starts_with('*') && !words[5].starts_with('*'),
            elapsing: words[1].starts_with('*') || words[2].starts_with('*'),
        };
        if errors.is_empty() && !pattern.comes() {
            errors.push(InvalidCron::Never(text.to_owned()));
        }
        if errors.is_empty() { Ok(pattern) } else { Err(errors) }
    }

    /// Whether an hour that the clocks repeat has its slots twice, and one that they skip has none.
    pub(super) fn is_elapsing(&self) -> bool {
        self.elapsing
    }

    /// The first matching local time that is later than `after`, by a second at least.
    pub(super) fn next_after(&self, after: DateTime) -> Option<DateTime> {
        let date = after.date();
        if self.days_of(date).is_some_and(|days| days.has(date.day()))
            && let Some(time) = self.time_after(after.time())
        {
            return Some(date.to_datetime(time));
        }
        let time = self.time_from(0, 0, 0)?;
        self.date_from(date.tomorrow().ok()?).map(|date| date.to_datetime(time))
    }

    fn time_after(&self, after: Time) -> Option<Time> {
        self.time_from(after.hour(), after.minute(), after.second() + 1)
    }

    /// The first time of day that is not before the one given, whose second and minute may be 60.
    fn time_from(&self, hour: i8, minute: i8, second: i8) -> Option<Time> {
        let in_minute = || {
            let here = self.hours.has(hour) && self.minutes.has(minute);
            here.then(|| self.seconds.at_least(second)).flatten().map(|s| (hour, minute, s))
        };
        let in_hour = || {
            let minute = self.minutes.at_least(minute + 1).filter(|_| self.hours.has(hour))?;
            Some((hour, minute, self.seconds.first()?))
        };
        let in_day =
            || Some((self.hours.at_least(hour + 1)?, self.minutes.first()?, self.seconds.first()?));
        let (hour, minute, second) = in_minute().or_else(in_hour).or_else(in_day)?;
        Time::new(hour, minute, second, 0).ok()
    }

    /// The first matching date from `date` on, going by months.
    fn date_from(&self, date: Date) -> Option<Date> {
        let (mut month, mut least) = (date.first_of_month(), date.day());
        loop {
            if let Some(day) = self.days_of(month).and_then(|days| days.at_least(least)) {
                return Date::new(month.year(), month.month(), day).ok();
            }
            (month, least) = (self.month_after(month)?, 1);
        }
    }

    /// The first day of the next month that the expression names.
    fn month_after(&self, month: Date) -> Option<Date> {
        match self.months.at_least(month.month() + 1) {
            Some(later) => Date::new(month.year(), later, 1).ok(),
            None => Date::new(month.year() + 1, self.months.first()?, 1).ok(),
        }
    }

    /// The matching days of the month that `date` lies in, if the expression names it.
    fn days_of(&self, date: Date) -> Option<Set> {
        let first = date.first_of_month().weekday().to_sunday_zero_offset();
        let on = |day: &i8| {
            let (day, weekday) = (self.days.has(*day), self.weekdays.has((first + *day - 1) % 7));
            if self.either { day || weekday } else { day && weekday }
        };
        let named = self.months.has(date.month());
        named.then(|| (1..=date.days_in_month()).filter(on).collect())
    }

    /// Whether any date matches, in any year.
    fn comes(&self) -> bool {
        let day = self.days.first().unwrap_or(i8::MAX);
        let longest = (1..).zip(MONTH_DAYS_MAX).filter(|(month, _)| self.months.has(*month));
        self.either || longest.map(|(_, days)| days).max().is_some_and(|days| day <= days)
    }
}

/// One canonical form, whatever the expression looked like.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, minutes, hours, days, months, weekdays, either, elapsing } = self;
        let joint = if *either { "or" } else { "and" };
        write!(f, "{seconds} {minutes} {hours} {months} {days} {joint} {weekdays}")?;
        if *elapsing { f.write_str(" elapsing") } else { Ok(()) }
    }
}

/// The fields that a word stands for, or `text` itself.
fn expanded(text: &str, seconds: bool) -> Result<&str, InvalidCron> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let found = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    match found {
        Some(_) if seconds => Err(InvalidCron::WordWithSeconds(text.to_owned())),
        Some((_, fields)) => Ok(fields),
        None => Err(InvalidCron::Word(text.to_owned())),
    }
}

/// A word for each of [`FIELDS`].
fn words(text: &str, seconds: bool) -> Result<[&str; FIELDS.len()], InvalidCron> {
    let implied = if seconds { &[][..] } else { &["0"] };
    let found: Vec<&str> = text.split_ascii_whitespace().collect();
    <[&str; FIELDS.len()]>::try_from([implied, &found].concat()).map_err(|_| {
        let text = text.to_owned();
        match (found.len(), seconds) {
            (6, false) => InvalidCron::Seconds(text),
            (found, _) => InvalidCron::Fields { text, found, wanted: &FIELDS[implied.len()..] },
        }
    })
}

/// The weekdays with 7, which is Sunday too, as 0.
fn from_sunday(weekdays: Set) -> Set {
    (0..=7).filter(|day| weekdays.has(*day)).map(|day| day % 7).collect()
}

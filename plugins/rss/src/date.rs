//! Dates as feeds have them: RFC 822 and its descendants, RFC 3339 and its, and what people write
//! who have read neither.
//!
//! A date is read word by word, wherever its parts stand, since programs that write feeds put them
//! anywhere. What no part can be made of is passed over, such as the day of the week, which is often
//! wrong. Without a zone it is UTC; a date that two people would read differently is none.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// The longest text that is taken for a date, in bytes.
const BYTES_MAX: usize = 100;

/// Months by how they begin, in the languages that feeds are met in: English, German, French,
/// Spanish, Italian, Portuguese and Dutch.
const MONTHS: [&[&str]; 12] = [
    &["jan", "jän", "ene", "gen"],
    &["feb", "fév", "fev"],
    &["mar", "mär", "mrz", "maa"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mei", "mag"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "aoû", "aou", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "déc", "dez", "dic"],
];

/// Zones by name, in minutes east of UTC. Of names that several zones have, the one that feeds mean.
const ZONES: [(&str, i32); 52] = [
    ("z", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("met", 60),
    ("mez", 60),
    ("cest", 120),
    ("mest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("sast", 120),
    ("idt", 180),
    ("trt", 180),
    ("msk", 180),
    ("msd", 240),
    ("pkt", 300),
    ("ist", 330),
    ("ict", 420),
    ("wib", 420),
    ("hkt", 480),
    ("sgt", 480),
    ("pht", 480),
    ("awst", 480),
    ("jst", 540),
    ("kst", 540),
    ("acst", 570),
    ("acdt", 630),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
    ("brt", -180),
    ("art", -180),
    ("clt", -240),
    ("nst", -210),
    ("ndt", -150),
    ("ast", -240),
    ("adt", -180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("hst", -600),
];

/// The instant that a text names.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.is_empty() || text.len() > BYTES_MAX {
        return None;
    }
    if text.bytes().all(|c| c.is_ascii_digit()) && text.len() != 8 {
        return number(text);
    }
    let mut found = Found::default();
    words(text).try_for_each(|word| found.take(&word))?;
    found.instant()
}

/// A date as events have it.
pub(crate) fn rfc3339(date: DateTime<Utc>) -> String {
    date.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A year, or seconds or milliseconds since the Unix epoch.
fn number(text: &str) -> Option<DateTime<Utc>> {
    match text.len() {
        4 => Some(
            NaiveDate::from_ymd_opt(full_year(text)?, 1, 1)?.and_time(NaiveTime::MIN).and_utc(),
        ),
        9 | 10 => DateTime::from_timestamp(text.parse().ok()?, 0),
        12 | 13 => DateTime::from_timestamp_millis(text.parse().ok()?),
        _ => None,
    }
}

/// The words of a date, in lower case: a date and a time joined by `T` are two.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
    let is_joint = |at: usize| text[at] == 't' && at > 0 && digit(at - 1) && digit(at + 1);
    let spaced = (0..text.len()).map(|at| match text[at] {
        ',' | '(' | ')' | '_' => ' ',
        _ if is_joint(at) => ' ',
        c => c,
    });
    let spaced: String = spaced.collect();
    spaced.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The parts of a date that were found so far.
#[derive(Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    time: Option<Clock>,
    zone_minutes: Option<i32>,
}

#[derive(Clone, Copy)]
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

impl Found {
    /// Takes a word. None when the whole cannot be a date.
    fn take(&mut self, word: &str) -> Option<()> {
        let first = word.chars().next()?;
        if matches!(first, '+' | '-') && self.time.is_some() {
            self.zone_minutes = offset(word).or(self.zone_minutes);
            return Some(());
        }
        match first.is_ascii_digit() {
            true if word.contains(':') => self.clock(word),
            true if word.contains(['-', '/', '.']) => self.date(word.trim_end_matches('.')),
            true => self.number(word),
            false => self.name(word),
        }
    }

    /// A time of day, with what stands right behind it.
    fn clock(&mut self, word: &str) -> Option<()> {
        let end = word.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.'));
        let (time, rest) = word.split_at(end.unwrap_or(word.len()));
        let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut parts = whole.split(':').map(|part| part.parse::<u32>().ok());
        let (hour, minute) = (parts.next()??, parts.next()??);
        // A leap second is the second before it.
        let second = parts.next().unwrap_or(Some(0))?.min(59);
        let nanos = format!("{fraction:0<9.9}").parse().ok()?;
        self.time = Some(Clock { hour, minute, second, nanos });
        if rest.is_empty() { Some(()) } else { self.take(rest) }
    }

    /// A date in one word.
    fn date(&mut self, word: &str) -> Option<()> {
        let parts: Vec<&str> = word.split(['-', '/', '.']).collect();
        match parts[..] {
            [day] => self.number(day),
            [year, month] if year.len() == 4 => self.set(year, month, "1"),
            [year, month, day] if year.len() == 4 => self.set(year, month, day),
            [day, month, year] if is_month(month) || word.contains('.') => {
                self.set(year, month, day)
            }
            // The month stands first in America and second elsewhere.
            [one, other, year] if year.len() == 4 => match (one.parse(), other.parse()) {
                (Ok(13..=31), Ok(1..=12_u32)) => self.set(year, other, one),
                (Ok(1..=12_u32), Ok(13..=31)) => self.set(year, one, other),
                (Ok(same), Ok(again)) if same == again => self.set(year, one, one),
                _ => None,
            },
            _ => None,
        }
    }

    fn set(&mut self, year: &str, month: &str, day: &str) -> Option<()> {
        self.year = Some(full_year(year)?);
        self.month = Some(month.parse().ok().or_else(|| month_of(month))?);
        self.day = Some(day.parse().ok()?);
        Some(())
    }

    /// A word that begins with a digit and has nothing between its digits.
    fn number(&mut self, word: &str) -> Option<()> {
        let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (digits, rest) = word.split_at(end);
        match (digits.len(), rest) {
            (1 | 2, "am" | "pm") => self.clock(&format!("{digits}:00{rest}")),
            (1 | 2, _) if self.day.is_none() => {
                self.day = Some(digits.parse().ok()?);
                Some(())
            }
            (2 | 4, "") if self.year.is_none() => {
                self.year = Some(full_year(digits)?);
                Some(())
            }
            (8, "") if self.year.is_none() => self.set(&digits[..4], &digits[4..6], &digits[6..]),
            (4 | 6, _) if self.day.is_some() && self.time.is_none() => {
                let second = digits.get(4..).filter(|second| !second.is_empty()).unwrap_or("0");
                self.clock(&format!("{}:{}:{second}{rest}", &digits[..2], &digits[2..4]))
            }
            _ => Some(()),
        }
    }

    /// A month, a zone, or half of the day; anything else is passed over.
    fn name(&mut self, word: &str) -> Option<()> {
        let word = word.trim_end_matches('.');
        let (name, sign) = word.split_at(word.find(['+', '-']).unwrap_or(word.len()));
        let is_word = name.chars().all(char::is_alphabetic);
        if let Some(month) = month_of(name).filter(|_| is_word) {
            // A day of the week may look like a month, and stands before it.
            self.month = Some(month);
        } else if let (Some(time), "am" | "a.m" | "pm" | "p.m") = (&mut self.time, name) {
            time.hour = time.hour % 12 + if name.starts_with('p') { 12 } else { 0 };
        } else if let (Some(_), None) = (self.time, self.zone_minutes) {
            let named = ZONES.iter().find(|(zone, _)| *zone == name).map(|(_, minutes)| *minutes);
            self.zone_minutes = named.map(|minutes| minutes + offset(sign).unwrap_or(0));
        }
        Some(())
    }

    fn instant(self) -> Option<DateTime<Utc>> {
        let date = NaiveDate::from_ymd_opt(self.year?, self.month?, self.day.unwrap_or(1))?;
        let Clock { hour, minute, second, nanos } =
            self.time.unwrap_or(Clock { hour: 0, minute: 0, second: 0, nanos: 0 });
        let (date, hour) = match (hour, minute, second) {
            (24, 0, 0) => (date.checked_add_days(Days::new(1))?, 0),
            _ => (date, hour),
        };
        let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?;
        let east = TimeDelta::minutes(self.zone_minutes.unwrap_or(0).into());
        date.and_time(time).and_utc().checked_sub_signed(east)
    }
}

fn is_month(word: &str) -> bool {
    month_of(word).is_some()
}

fn month_of(word: &str) -> Option<u32> {
    let found = MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)))?;
    u32::try_from(found + 1).ok()
}

/// A year of two digits is of the fifty years before or after 2000 (RFC 5322, section 4.3).
fn full_year(digits: &str) -> Option<i32> {
    let year: i32 = digits.parse().ok()?;
    match (digits.len(), year) {
        (2, ..50) => Some(2000 + year),
        (2, _) => Some(1900 + year),
        (4, 1..) => Some(year),
        _ => None,
    }
}

/// `+02:00`, `+0200`, `+2`: minutes east of UTC.
fn offset(word: &str) -> Option<i32> {
    let sign = match word.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = word[1..].chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (&digits[..], "0"),
        3 | 4 => digits.split_at(digits.len() - 2),
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests;

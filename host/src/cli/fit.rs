//! Tables for people: as wide as their terminal, with ages instead of instants and identifiers as
//! short as commands take them. A pipe gets all of it as it is.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use crate::model::id::DIGITS;
use crate::model::time::Time;

/// The blanks between two columns.
const GAP: usize = 2;
/// How many digits of an identifier are shown: those of the millisecond, and some that differ.
const DIGITS_SHOWN: usize = 16;
/// No column becomes narrower for the others' sake.
const WIDTH_MIN: usize = 4;

type Rows = Vec<Vec<String>>;

/// The rows with ages instead of instants, at `now`.
pub(super) fn aged(rows: Rows, now: Time) -> Rows {
    let age = |cell: String| match instant(&cell) {
        Some(at) => age(at, now),
        None => cell,
    };
    rows.into_iter().map(|row| row.into_iter().map(age).collect()).collect()
}

/// The rows, the headings first, cut so that they fit into `width` columns. Identifiers are
/// shortened and never cut, so that they can be copied.
pub(super) fn fitted(mut rows: Rows, width: usize) -> Rows {
    if total(&widths(&rows)) <= width {
        return rows;
    }
    rows.iter_mut().flatten().for_each(shorten);
    let mut widths = widths(&rows);
    narrow(&mut widths, &identifying(&rows), width);
    for row in &mut rows {
        for (cell, width) in row.iter_mut().zip(&widths) {
            cut(cell, *width);
        }
    }
    rows
}

/// A line per row, the columns below each other.
pub(super) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let widths = widths(rows);
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + GAP - shown_width(cell)));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// How long ago an instant was, or how long it is until then.
fn age(at: Time, now: Time) -> String {
    if at > now {
        format!("in {}", rough(at.since(now)))
    } else {
        format!("{} ago", rough(now.since(at)))
    }
}

/// A span in its two greatest units; a short one to the tenth of a second.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{:.1}s", span.as_secs_f64()),
        60..3_600 => format!("{}m {}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h {}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d {}h", secs / 86_400, secs / 3_600 % 24),
    }
}

/// A span in its greatest unit.
fn rough(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// An instant as the API writes it, and nothing that a user has called so.
fn instant(cell: &str) -> Option<Time> {
    cell.parse::<Time>().ok().filter(|at| at.to_string() == cell)
}

/// An identifier without the digits that nobody needs.
fn shorten(cell: &mut String) {
    if let Some(sort) = sort_of(cell, DIGITS) {
        cell.truncate(sort.len() + 1 + DIGITS_SHOWN);
    }
}

/// The sort of an identifier with so many digits.
fn sort_of(cell: &str, count: usize) -> Option<&str> {
    let (sort, digits) = cell.split_once('_')?;
    let is_id = digits.len() == count
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && sort.bytes().all(|byte| byte.is_ascii_lowercase());
    is_id.then_some(sort)
}

fn columns(rows: &[Vec<String>]) -> usize {
    rows.iter().map(Vec::len).max().unwrap_or(0)
}

fn column(rows: &[Vec<String>], nth: usize) -> impl Iterator<Item = &String> {
    rows.iter().filter_map(move |row| row.get(nth))
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |nth| column(rows, nth).map(|cell| shown_width(cell)).max().unwrap_or(0);
    (0..columns(rows)).map(widest).collect()
}

/// Which columns have identifiers in them.
fn identifying(rows: &[Vec<String>]) -> Vec<bool> {
    let identifies = |nth| column(rows, nth).any(|cell| sort_of(cell, DIGITS_SHOWN).is_some());
    (0..columns(rows)).map(identifies).collect()
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Takes from the widest column until all fit, or none has anything to give.
fn narrow(widths: &mut [usize], kept: &[bool], width: usize) {
    while total(widths) > width {
        let giving = widths.iter_mut().zip(kept).filter(|(_, kept)| !**kept);
        let widest = giving.map(|(width, _)| width).max_by_key(|width| **width);
        match widest {
            Some(widest) if *widest > WIDTH_MIN => *widest -= 1,
            _ => return,
        }
    }
}

/// What does not fit into `width` is left out, and a mark says so. What has a colour is short.
fn cut(cell: &mut String, width: usize) {
    if cell.contains('\u{1b}') || shown_width(cell) <= width {
        return;
    }
    while cell.width() > width.saturating_sub(1) && cell.pop().is_some() {}
    cell.push('…');
}

/// The columns that a text takes, for which its colours do not count.
fn shown_width(text: &str) -> usize {
    match text.contains('\u{1b}') {
        true => anstream::adapter::strip_str(text).to_string().width(),
        false => text.width(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn now() -> Time {
        Time::from_millis(NOW).unwrap()
    }

    fn ago(secs: i64) -> Time {
        Time::from_millis(NOW - secs * 1000).unwrap()
    }

    #[test]
    fn ages_are_in_their_greatest_unit() {
        for (secs, wanted) in [
            (0, "0s ago"),
            (59, "59s ago"),
            (60, "1m ago"),
            (3 * 3600 + 59 * 60, "3h ago"),
            (40 * 86_400, "40d ago"),
            (-90, "in 1m"),
        ] {
            assert_eq!(age(ago(secs), now()), wanted);
        }
        let called_so = "2026-01-31T09:00:00Z".to_owned();
        assert_eq!(aged(vec![vec![called_so.clone()]], now()), [[called_so]]);
    }

    #[test]
    fn spans_are_in_their_two_greatest_units() {
        for (ms, wanted) in [
            (0, "0.0s"),
            (1_240, "1.2s"),
            (61_000, "1m 1s"),
            (3_600_000 + 59 * 60_000, "1h 59m"),
            (25 * 3_600_000, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), wanted);
        }
    }

    #[test]
    fn a_table_fits() {
        let id = format!("run_{}", "0123456789abcdef".repeat(2));
        let name = "a trigger with a very long name, which nobody reads";
        let rows = vec![
            ["ID", "TRIGGER", "CREATED"].map(str::to_owned).to_vec(),
            vec![id, name.into(), ago(90).to_string()],
        ];
        let rows = fitted(aged(rows, now()), 60);
        assert_eq!(rows[1][0], "run_0123456789abcdef");
        assert_eq!(rows[1][2], "1m ago");
        assert!(rows[1][1].starts_with("a trigger with a") && rows[1][1].ends_with('…'));
        assert!(lines(&rows).iter().all(|line| line.width() <= 60), "{rows:?}");
        // What fits is left alone.
        let rows = vec![vec!["größer".to_owned()]];
        assert_eq!(fitted(rows.clone(), 80), rows);
    }

    #[test]
    fn colours_take_no_room() {
        let rows =
            [vec!["\u{1b}[32mok\u{1b}[0m".to_owned(), "a".into()], vec!["-".into(), "b".into()]];
        let lines = lines(&rows);
        assert_eq!(lines, ["\u{1b}[32mok\u{1b}[0m  a", "-   b"]);
    }
}

//! What a run has said so far, and how far somebody has read it.

use std::fmt;
use std::str::FromStr;

/// How far somebody has read: the numbers of the last log line and the last event. Written
/// `l12-e3`, and `l12-e3-end` behind the end of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last log line's number; 0 before the first.
    pub logs: i64,
    /// The last event's number; 0 before the first.
    pub events: i64,
    /// Whether the run's end was read, too.
    pub ended: bool,
}

/// The text is not a cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an id that a stream of this kind gave, such as `l12-e3`")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}-e{}{}", self.logs, self.events, if self.ended { "-end" } else { "" })
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (numbers, ended) = match text.strip_suffix("-end") {
            Some(numbers) => (numbers, true),
            None => (text, false),
        };
        let (logs, events) = numbers.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self { logs: number(logs, 'l')?, events: number(events, 'e')?, ended })
    }
}

fn number(text: &str, letter: char) -> Result<i64, InvalidCursor> {
    let digits = text.strip_prefix(letter).ok_or(InvalidCursor)?;
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(InvalidCursor);
    }
    digits.parse().map_err(|_| InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back() {
        for (logs, events, ended) in [(0, 0, false), (12, 3, false), (i64::MAX, 1, true)] {
            let cursor = Cursor { logs, events, ended };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "l1", "e1-l1", "l-1-e2", "l1-e", "l+1-e1", "l1-e2-ende", "12"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
        assert!(format!("l{}0-e0", i64::MAX).parse::<Cursor>().is_err());
    }
}

//! Text from outside, made fit for a terminal.
//!
//! Senders write prompts, agents write logs, and a terminal obeys what it is shown: an escape
//! sequence can retitle a window, hide a line or fill the clipboard. Only what people read passes
//! through here; JSON and pipes get the text as it is. What else nobody would see, such as a turn of
//! the writing direction, is made visible where it reaches a terminal ([`output`](super::output)).

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde::{Deserialize, Deserializer};

use crate::model::visible;

/// Writes a line of text to standard output: as it is to a pipe or a file, made visible to a
/// terminal.
///
/// # Errors
/// When standard output does not take it.
pub fn write(text: &str) -> io::Result<()> {
    line(io::stdout().lock(), text)
}

/// The same to standard error, which need not take it.
pub fn write_aside(text: &str) {
    let _ = line(io::stderr().lock(), text);
}

fn line(mut to: impl Write + IsTerminal, text: &str) -> io::Result<()> {
    match to.is_terminal() {
        true => writeln!(to, "{}", visible::shown(Plain::from(text).as_str())),
        false => writeln!(to, "{text}"),
    }
}

/// Text without the sequences that terminals obey; other controls but line ends and tabs stand as
/// escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plain(String);

impl Plain {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as one line.
    pub fn line(&self) -> String {
        self.0.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        let text = visible::without_sequences(text);
        if !text.contains(is_obeyed) {
            return Self(text.into_owned());
        }
        let text = text.replace("\r\n", "\n");
        let mut plain = String::with_capacity(text.len());
        for c in text.trim_end_matches('\r').chars() {
            if is_obeyed(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
        }
        Self(plain)
    }
}

/// Whether a terminal does something at this character; C1 controls in UTF-8 are among them.
fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(from)?.as_str()))
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        for (text, wanted) in [
            ("plain — tëxt\n\tindented", "plain — tëxt\n\tindented"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]52;c;aGk=\u{7}b", "a\\u{1b}]52;c;aGk=\\u{7}b"),
            ("over\rwritten\u{8}\u{7}", "over\\rwritten\\u{8}\\u{7}"),
            ("lines\r\nof DOS\r", "lines\nof DOS"),
            ("c1 \u{9b}2J", "c1 \\u{9b}2J"),
            ("nul\0", "nul\\u{0}"),
        ] {
            assert_eq!(Plain::from(text).to_string(), wanted, "{text:?}");
        }
        assert_eq!(Plain::from("two\n  lines ").line(), "two lines");
    }
}

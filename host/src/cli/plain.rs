//! Text from outside, made fit for a terminal.
//!
//! Senders write prompts, agents write logs, and a terminal obeys what it is shown: an escape
//! sequence can retitle a window, hide a line or fill the clipboard. Only what people read passes
//! through here; JSON and pipes get the text as it is.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde::{Deserialize, Deserializer};

/// Writes a line of text: as it is to a pipe or a file, [`Plain`] to a terminal.
///
/// # Errors
/// When the stream does not take it.
pub fn write(mut to: impl Write + IsTerminal, text: &str) -> io::Result<()> {
    if to.is_terminal() { writeln!(to, "{}", Plain::from(text)) } else { writeln!(to, "{text}") }
}

/// Text without escape sequences and control characters but for line ends and tabs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        let visible = anstream::adapter::strip_str(text).to_string();
        // What is left is UTF-8's form of the C1 controls, which some terminals obey too.
        Self(visible.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect())
    }
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
            ("a\u{1b}]52;c;aGk=\u{7}b", "ab"),
            ("over\rwritten\u{8}\u{7}", "overwritten"),
            ("c1 \u{9b}2J", "c1 2J"),
            ("nul\0", "nul"),
        ] {
            assert_eq!(Plain::from(text).to_string(), wanted, "{text:?}");
        }
        assert_eq!(Plain::from("two\n  lines ").line(), "two lines");
    }
}

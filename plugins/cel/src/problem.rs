//! What is wrong with an expression, and where.

use std::fmt;

/// A place in the text, in lines and characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(place: Option<Place>, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// `1:17: there is no function …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

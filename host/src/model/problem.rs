//! What is wrong with something a user wrote: a path, and the reason.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where, as a dotted path such as `triggers[0].prompt`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Everything that is wrong, so that nobody has to mend one line at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one more.
    pub fn add(&mut self, path: impl Into<String>, reason: impl fmt::Display) {
        self.0.push(Problem { path: path.into(), reason: reason.to_string() });
    }

    /// The value of `parsed`, or none and one more problem at `path`.
    pub fn take<T, E: fmt::Display>(&mut self, path: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|reason| self.add(path, reason)).ok()
    }

    /// Notes all of these as well.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// All of these, with their paths below `above`.
    pub fn within(self, above: &str) -> Self {
        let below = |Problem { path, reason }| {
            let dot = if path.is_empty() { "" } else { "." };
            Problem { path: format!("{above}{dot}{path}"), reason }
        };
        Self(self.0.into_iter().map(below).collect())
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// `value`, unless something is wrong.
    ///
    /// # Errors
    /// All problems, when there are any.
    pub fn unless_any<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let line_end = if i + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{problem}{line_end}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

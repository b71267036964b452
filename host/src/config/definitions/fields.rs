//! A definition's fields, read one by one: each is parsed where it is asked for, every problem is
//! noted at its dotted path, and what nobody asked for is one.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::near;
use crate::model::problem::Problems;

/// The fields of one table, those that were read already taken out.
pub(crate) struct Fields<'p> {
    path: String,
    left: Map<String, Value>,
    known: Vec<&'static str>,
    given: Vec<&'static str>,
    problems: &'p mut Problems,
}

impl<'p> Fields<'p> {
    /// The fields of the table at `path`; none, and a problem, when there is something else.
    pub(crate) fn open(path: &str, value: Value, problems: &'p mut Problems) -> Option<Self> {
        match value {
            Value::Object(left) => {
                let (path, known, given) = (path.to_owned(), Vec::new(), Vec::new());
                Some(Self { path, left, known, given, problems })
            }
            other => {
                problems.add(path, format!("is {}, not a table", described(&other)));
                None
            }
        }
    }

    /// The path of a field.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// Notes a problem at a field.
    pub(crate) fn problem(&mut self, name: &str, reason: impl Display) {
        let path = self.path(name);
        self.problems.add(path, reason);
    }

    /// Whether a field is there, read or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Whether a field that was read had been there, right or wrong.
    pub(crate) fn was_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// A field as it stands.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        let value = self.left.remove(name).filter(|value| !value.is_null());
        if value.is_some() {
            self.given.push(name);
        }
        value
    }

    /// A field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let Some(value) = self.raw(name) else {
            self.problem(name, "is missing");
            return None;
        };
        self.parsed(name, &value, parse)
    }

    /// A field that may be there: none, and a problem, only when it is there and wrong.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.raw(name) {
            Some(value) => self.parsed(name, &value, parse).map(Some),
            None => Some(None),
        }
    }

    /// A field with a default.
    pub(crate) fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.optional(name, parse).map(|value| value.unwrap_or(default))
    }

    /// A field's value that was read apart.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        value: &Value,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let path = self.path(name);
        self.problems.take(&path, parse(value))
    }

    /// A table within this one.
    pub(crate) fn table(&mut self, name: &'static str) -> Option<Fields<'_>> {
        let value = self.raw(name)?;
        Fields::open(&self.path(name), value, self.problems)
    }

    /// Where the problems go, for what is parsed elsewhere.
    pub(crate) fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// What is left is unknown.
    pub(crate) fn close(self) {
        for name in self.left.keys() {
            self.problems.add(format!("{}.{name}", self.path), unknown(&self.known, name));
        }
    }
}

/// What is wrong with a field that is none of these.
pub(crate) fn unknown(known: &[&str], name: &str) -> String {
    near::unknown("fields", known, name)
}

/// Text.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| format!("is {}, not text", described(value)))?;
    Ok(text.to_owned())
}

/// Text that is not blank.
pub(crate) fn some_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}

/// Text that parses.
pub(crate) fn word<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    text(value)?.parse().map_err(|reason: T::Err| reason.to_string())
}

/// True or false.
pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("is {}, not true or false", described(value)))
}

/// A whole number from `min` to `max`.
pub(crate) fn count(min: u32, max: u32) -> impl FnOnce(&Value) -> Result<u32, String> {
    move |value| {
        let number = value.as_i64().ok_or_else(|| {
            format!("is {}, not a whole number from {min} to {max}", described(value))
        })?;
        u32::try_from(number)
            .ok()
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| format!("is {number}, which does not lie between {min} and {max}"))
    }
}

/// A duration longer than nothing.
pub(crate) fn duration(value: &Value) -> Result<Duration, String> {
    match duration_or_none(value)? {
        Duration::ZERO => Err("is a duration of zero".to_owned()),
        span => Ok(span),
    }
}

/// A duration.
pub(crate) fn duration_or_none(value: &Value) -> Result<Duration, String> {
    const SPAN_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
    let text = text(value)?;
    let span = humantime::parse_duration(&text)
        .map_err(|reason| format!("`{text}` is not a duration such as 30s or 5m: {reason}"))?;
    if span > SPAN_MAX { Err(format!("`{text}` is longer than ten years")) } else { Ok(span) }
}

/// A list of what `item` parses.
pub(crate) fn list<T>(
    item: impl Fn(&Value) -> Result<T, String>,
) -> impl FnOnce(&Value) -> Result<Vec<T>, String> {
    move |value| {
        let items = value.as_array();
        let items = items.ok_or_else(|| format!("is {}, not a list", described(value)))?;
        let parsed = items
            .iter()
            .enumerate()
            .map(|(i, value)| item(value).map_err(|reason| format!("number {}: {reason}", i + 1)));
        parsed.collect()
    }
}

/// A table, as JSON text.
pub(crate) fn json_table(value: &Value) -> Result<String, String> {
    table(value).map(|table| table.to_string())
}

/// A table.
pub(crate) fn table(value: &Value) -> Result<Value, String> {
    match value {
        Value::Object(_) => Ok(value.clone()),
        other => Err(format!("is {}, not a table", described(other))),
    }
}

/// What a value is, for people.
pub(crate) fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

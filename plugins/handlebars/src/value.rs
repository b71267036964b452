//! What an expression stands for, and what can be asked of it.
//!
//! A place in the event stays in the host until something is asked; then exactly that is fetched:
//! text for a field, JSON for a loop, nothing but its beginning is looked at for a condition.
//! Each value knows whether it is the sender's word: what comes out of `data` is, and so is what
//! was made of it.

use std::borrow::Cow;

use hillock_plugin_sdk::path::push;
use hillock_plugin_sdk::template::Content;
use serde_json::{Number, Value};

use crate::failure::Failure;

/// The event, as far as a template may look at it.
pub(crate) trait Envelope {
    /// The JSON at a path.
    fn get(&self, path: &str) -> Option<String>;
    /// The scalar at a path as text; `None` for null, arrays and objects.
    fn text(&self, path: &str) -> Option<String>;
}

/// A value with the path that it came by, empty for one that was computed.
#[derive(Clone, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) path: String,
    /// What the prompt holds when this is printed.
    pub(crate) content: Content,
    kind: Kind<'a>,
}

#[derive(Clone, Debug)]
enum Kind<'a> {
    /// In the host, if it is there.
    Remote,
    Here(Cow<'a, Value>),
    /// A text in its fence.
    Fence(String),
    Missing,
}

impl<'a> Found<'a> {
    /// The whole event.
    pub(crate) fn event() -> Self {
        Self { path: String::new(), content: Content::Trusted, kind: Kind::Remote }
    }

    /// A value that was computed, from others that hold this.
    pub(crate) fn computed(value: impl Into<Value>, content: Content) -> Self {
        Self { path: String::new(), content, kind: Kind::Here(Cow::Owned(value.into())) }
    }

    /// A value that stands in the template.
    pub(crate) fn literal(value: &'a Value) -> Self {
        Self::item(String::new(), value, Content::Trusted)
    }

    /// One of the values that a loop goes through.
    pub(crate) fn item(path: String, value: &'a Value, content: Content) -> Self {
        Self { path, content, kind: Kind::Here(Cow::Borrowed(value)) }
    }

    /// A fence around a text that holds this.
    pub(crate) fn fence(fence: String, content: Content) -> Self {
        let content = content.min(Content::Fenced);
        Self { path: String::new(), content, kind: Kind::Fence(fence) }
    }

    pub(crate) fn is_fence(&self) -> bool {
        matches!(self.kind, Kind::Fence(_))
    }

    /// What a helper is given. Helpers cut and quote what they are given, and a fence does not
    /// outlive that: it goes in as the text that it is.
    pub(crate) fn into_argument(self) -> Self {
        match self.kind {
            Kind::Fence(fence) => Self::computed(fence, unfenced(self.content)),
            _ => self,
        }
    }

    /// What stands under a key or an index.
    pub(crate) fn child(self, segment: &str) -> Self {
        let mut path = self.path;
        let is_top = path.is_empty();
        push(&mut path, segment);
        let content = match self.kind {
            Kind::Remote if is_top && segment == "data" => Content::Unfenced,
            _ => self.content,
        };
        let kind = match self.kind {
            Kind::Missing | Kind::Fence(_) => Kind::Missing,
            Kind::Remote => Kind::Remote,
            Kind::Here(value) => child_of(value, segment),
        };
        Self { path, content, kind }
    }

    /// The scalar as text, null as none.
    pub(crate) fn text(&self, envelope: &impl Envelope) -> Result<String, Failure> {
        match &self.kind {
            Kind::Missing => Err(self.missing()),
            Kind::Remote if self.path.is_empty() => Err(self.missing()),
            Kind::Here(value) => scalar(value).ok_or_else(|| self.no_scalar()),
            Kind::Fence(fence) => Ok(fence.clone()),
            Kind::Remote => match envelope.text(&self.path) {
                Some(text) => Ok(text),
                None => match envelope.get(&self.path).as_deref() {
                    Some("null") => Ok(String::new()),
                    Some(_) => Err(self.no_scalar()),
                    None => Err(self.missing()),
                },
            },
        }
    }

    /// The whole value; `None` when it is missing.
    pub(crate) fn value(self, envelope: &impl Envelope) -> Result<Option<Cow<'a, Value>>, Failure> {
        match self.kind {
            Kind::Missing => Ok(None),
            Kind::Here(value) => Ok(Some(value)),
            Kind::Fence(fence) => Ok(Some(Cow::Owned(fence.into()))),
            Kind::Remote => Ok(fetch(&self.path, envelope)?.map(Cow::Owned)),
        }
    }

    /// Whether a condition holds: not for what is missing, false, null, 0, `""` and `[]`.
    pub(crate) fn is_true(&self, envelope: &impl Envelope) -> bool {
        match &self.kind {
            Kind::Missing => false,
            Kind::Here(value) => is_true(value),
            Kind::Fence(_) => true,
            Kind::Remote => envelope.get(&self.path).is_some_and(|json| is_true_json(&json)),
        }
    }

    pub(crate) fn is_missing(&self, envelope: &impl Envelope) -> bool {
        match self.kind {
            Kind::Missing => true,
            Kind::Here(_) | Kind::Fence(_) => false,
            Kind::Remote => envelope.get(&self.path).is_none(),
        }
    }

    /// What a section makes of it.
    pub(crate) fn shape(&self, envelope: &impl Envelope) -> Shape {
        match &self.kind {
            Kind::Missing => Shape::Nothing,
            Kind::Here(value) => match value.as_ref() {
                Value::Null | Value::Bool(false) => Shape::Nothing,
                Value::Bool(true) => Shape::True,
                Value::Array(_) => Shape::Array,
                _ => Shape::Other,
            },
            Kind::Fence(_) => Shape::Other,
            Kind::Remote => match envelope.get(&self.path).as_deref() {
                None | Some("null" | "false") => Shape::Nothing,
                Some("true") => Shape::True,
                Some(json) if json.starts_with('[') => Shape::Array,
                Some(_) => Shape::Other,
            },
        }
    }

    /// Whether there is nothing to show: missing, null or empty text.
    pub(crate) fn is_blank(&self, envelope: &impl Envelope) -> bool {
        match &self.kind {
            Kind::Missing => true,
            Kind::Here(value) => value.is_null() || value.as_str() == Some(""),
            Kind::Fence(_) => false,
            Kind::Remote => match envelope.get(&self.path).as_deref() {
                None | Some("null" | "\"\"") => true,
                Some(_) => false,
            },
        }
    }

    /// That it is not there, by its full path.
    pub(crate) fn missing(&self) -> Failure {
        match self.path.as_str() {
            "" => Failure::Failed(WHOLE.to_owned()),
            path => Failure::Missing(path.to_owned()),
        }
    }

    /// What it is called in a message.
    pub(crate) fn name(&self) -> &str {
        if self.path.is_empty() { "a value" } else { &self.path }
    }

    fn no_scalar(&self) -> Failure {
        let name = self.name();
        Failure::Failed(format!("`{name}` is an object or an array and no text; use `json`"))
    }
}

const WHOLE: &str = "this is the whole event and no text; name one of its fields";

/// What tells apart what a section does.
pub(crate) enum Shape {
    /// Missing, null or false.
    Nothing,
    True,
    Array,
    Other,
}

/// What is left of this outside of any fence.
fn unfenced(content: Content) -> Content {
    match content {
        Content::Trusted => Content::Trusted,
        Content::Fenced | Content::Unfenced => Content::Unfenced,
    }
}

fn fetch(path: &str, envelope: &impl Envelope) -> Result<Option<Value>, Failure> {
    let Some(json) = envelope.get(path) else { return Ok(None) };
    serde_json::from_str(&json)
        .map(Some)
        .map_err(|error| Failure::Failed(format!("`{path}` cannot be read: {error}")))
}

fn child_of<'a>(value: Cow<'a, Value>, segment: &str) -> Kind<'a> {
    let child = match value {
        Cow::Borrowed(value) => step(value, segment).map(Cow::Borrowed),
        Cow::Owned(value) => step(&value, segment).cloned().map(Cow::Owned),
    };
    child.map_or(Kind::Missing, Kind::Here)
}

fn step<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => object.get(segment),
        Value::Array(array) if segment.bytes().all(|byte| byte.is_ascii_digit()) => {
            array.get(segment.parse::<usize>().ok()?)
        }
        _ => None,
    }
}

/// A scalar as the host writes it: numbers in their shortest form without exponent.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => Some(number_text(number)),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn number_text(number: &Number) -> String {
    let written = number.as_str();
    if !written.contains(['.', 'e', 'E']) {
        return written.to_owned();
    }
    match number.as_f64() {
        Some(float) => float.to_string(),
        None => written.replace('+', ""),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(array) => !array.is_empty(),
        Value::Object(_) => true,
    }
}

/// The same of JSON text, without parsing what may be long.
fn is_true_json(json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'{') => true,
        Some(b'[') => !json[1..].trim_start().starts_with(']'),
        Some(b'"') => json != "\"\"",
        _ => serde_json::from_str(json).is_ok_and(|value| is_true(&value)),
    }
}

//! What the helpers do.

use std::borrow::Cow;

use hillock_plugin_sdk::template::{Content, fence};
use serde_json::Value;

use crate::failure::Failure;
use crate::profile::Helper;
use crate::value::{Envelope, Found, scalar};

/// Calls a helper with as many arguments as it takes. What is made of a sender's word is one, too.
pub(crate) fn call<'a>(
    helper: Helper,
    arguments: Vec<Found<'a>>,
    envelope: &impl Envelope,
) -> Result<Found<'a>, Failure> {
    let arguments: Vec<Found<'a>> = arguments.into_iter().map(Found::into_argument).collect();
    let content = arguments.iter().map(|found| found.content).max().unwrap_or(Content::Trusted);
    let computed = |text: String| Found::computed(text, content);
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().unwrap_or_else(|| Found::literal(&Value::Null));
    match helper {
        Helper::Json => json(next(), envelope).map(computed),
        Helper::Default => Ok(default(next(), next(), envelope)),
        Helper::Truncate => truncate(&next(), next(), envelope).map(computed),
        Helper::Join => join(next(), &next(), envelope).map(computed),
        Helper::Lookup => lookup(next(), &next(), envelope),
        Helper::Fence => Ok(Found::fence(fence(&next().text(envelope)?), content)),
    }
}

fn json(field: Found<'_>, envelope: &impl Envelope) -> Result<String, Failure> {
    required(field, envelope).map(|value| value.to_string())
}

fn default<'a>(field: Found<'a>, other: Found<'a>, envelope: &impl Envelope) -> Found<'a> {
    if field.is_blank(envelope) { other } else { field }
}

fn truncate(
    field: &Found<'_>,
    length: Found<'_>,
    envelope: &impl Envelope,
) -> Result<String, Failure> {
    let length = required(length, envelope)?.as_u64();
    let chars_max = length
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| Failure::Failed("the length of `truncate` is a whole number".to_owned()))?;
    let mut text = field.text(envelope)?;
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
    Ok(text)
}

fn join(
    field: Found<'_>,
    separator: &Found<'_>,
    envelope: &impl Envelope,
) -> Result<String, Failure> {
    let separator = separator.text(envelope)?;
    let name = field.name().to_owned();
    let value = required(field, envelope)?;
    let items = value.as_array().map(|items| items.iter().map(scalar).collect());
    match items {
        Some(Some(texts)) => {
            let texts: Vec<String> = texts;
            Ok(texts.join(&separator))
        }
        _ => Err(Failure::Failed(format!("`{name}` is not an array of scalars; `join` takes one"))),
    }
}

fn lookup<'a>(
    field: Found<'a>,
    key: &Found<'_>,
    envelope: &impl Envelope,
) -> Result<Found<'a>, Failure> {
    Ok(field.child(&key.text(envelope)?))
}

fn required<'a>(field: Found<'a>, envelope: &impl Envelope) -> Result<Cow<'a, Value>, Failure> {
    let missing = field.missing();
    field.value(envelope)?.ok_or(missing)
}

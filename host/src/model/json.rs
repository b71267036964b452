//! JSON as it comes from senders: checked without building it, and read by dotted path.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The bytes are not JSON that the host can read.
#[derive(Debug, thiserror::Error)]
#[error("not well-formed JSON: {0}")]
pub struct NotJson(#[from] serde_json::Error);

/// Whether [`parse`] would succeed, at a fraction of its cost: nothing is allocated.
///
/// # Errors
/// The same as [`parse`].
pub fn check(bytes: &[u8]) -> Result<(), NotJson> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Readable.deserialize(&mut json)?;
    Ok(json.end()?)
}

/// The JSON value that `bytes` hold.
///
/// # Errors
/// When they are not JSON in UTF-8, nest deeper than 127 levels or hold a number beyond an IEEE
/// double.
pub fn parse(bytes: &[u8]) -> Result<Value, NotJson> {
    Ok(serde_json::from_slice(bytes)?)
}

/// The value at a dotted path of object keys and array indexes.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |here, segment| match here {
        Value::Object(map) => map.get(segment),
        Value::Array(items) => items.get(index(segment)?),
        _ => None,
    })
}

/// An array index in its one decimal form: `0`, `12`, never `01` or `+1`.
fn index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with(['0', '+']);
    segment.parse().ok().filter(|_| canonical)
}

/// A scalar as text: strings as they are, booleans and numbers in their shortest form without
/// exponent. Null, objects and arrays have none.
pub fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number_text(number))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        // `Display` of f64 is the shortest text that reads back as the same value, never with an
        // exponent; 1.0 reads `1`, as the integer does.
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

/// Reads any value as `serde_json::Value` would, and keeps nothing. `IgnoredAny` is not enough: it
/// accepts invalid UTF-8, lone surrogates, numbers out of range and any depth.
struct Readable;

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Readable)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Readable)?.is_some() {
            entries.next_value_seed(Readable)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn check_and_parse_agree_on_the_edges() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n)).into_bytes();
        for (bytes, good) in [
            (b"{\"a\":[1,2.5,null,true,\"x\"]}".to_vec(), true),
            (b"".to_vec(), false),
            (b"{} {}".to_vec(), false),
            (b"{\"a\":1,}".to_vec(), false),
            (b"{1:2}".to_vec(), false),
            (b"\"\xff\"".to_vec(), false),
            (b"{\"\xff\":1}".to_vec(), false),
            (b"\"\\ud800\"".to_vec(), false),
            (b"1e999".to_vec(), false),
            (b"18446744073709551616".to_vec(), true),
            (deep(127), true),
            (deep(129), false),
            (deep(100_000), false),
        ] {
            assert_eq!(parse(&bytes).is_ok(), good, "parse {bytes:.40?}");
            assert_eq!(check(&bytes).is_ok(), good, "check {bytes:.40?}");
        }
    }

    #[test]
    fn scalars_have_one_text() {
        for (value, text) in [
            (json!("x"), Some("x")),
            (json!(""), Some("")),
            (json!(true), Some("true")),
            (json!(-7), Some("-7")),
            (json!(18446744073709551615u64), Some("18446744073709551615")),
            (json!(1.0), Some("1")),
            (json!(0.1), Some("0.1")),
            (json!(1e21), Some("1000000000000000000000")),
            (json!(null), None),
            (json!([1]), None),
            (json!({}), None),
        ] {
            assert_eq!(scalar_text(&value).as_deref(), text, "{value}");
        }
    }

    #[test]
    fn paths_lead_through_keys_and_indexes() {
        let value = json!({"a": [{"b": 1}, 2], "0": "key"});
        for (path, found) in [
            ("a.0.b", Some(json!(1))),
            ("a.1", Some(json!(2))),
            ("0", Some(json!("key"))),
            ("a.01", None),
            ("a.+1", None),
            ("a.2", None),
            ("a.0.b.c", None),
            ("", None),
        ] {
            assert_eq!(at(&value, path), found.as_ref(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn check_and_parse_agree_on_any_bytes(
            text in r#"[\[\]{},:"0-9eE.+\\ualse tr-]{0,24}"#,
            noise in any::<Vec<u8>>(),
        ) {
            prop_assert_eq!(check(text.as_bytes()).is_ok(), parse(text.as_bytes()).is_ok());
            prop_assert_eq!(check(&noise).is_ok(), parse(&noise).is_ok());
        }
    }
}

//! JSON as it comes from senders: checked without building it, and read by path.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// The bytes are not JSON that the host can read.
#[derive(Debug, thiserror::Error)]
#[error("not well-formed JSON: {0}")]
pub struct NotJson(#[from] serde_json::Error);

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// JSON without the byte order mark that some senders put before it (RFC 8259, section 8.1).
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// What JavaScript writes of half a character, `\ud83d` without its other half, as U+FFFD: no text
/// can hold such a half. All else stays as it is, and so does the number of bytes.
fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(bytes);
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|&byte| byte == b'\\') {
        at += next;
        at += match (surrogate(bytes, at), surrogate(bytes, at + 6)) {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => {
                mended.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            (None, _) => 2,
        };
        at = at.min(bytes.len());
    }
    mended
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    High,
    Low,
}

/// Which half of a character is written at a place as `\uXXXX`, if one is.
fn surrogate(bytes: &[u8], at: usize) -> Option<Half> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let [b'd' | b'D', second, third, fourth] = digits else { return None };
    let half = match second {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Half::High,
        b'c'..=b'f' | b'C'..=b'F' => Half::Low,
        _ => return None,
    };
    (third.is_ascii_hexdigit() && fourth.is_ascii_hexdigit()).then_some(half)
}

/// JSON as everybody can read it: the same as it came, but for a byte order mark and half
/// characters.
pub fn readable(bytes: &[u8]) -> Cow<'_, [u8]> {
    mended(unmarked(bytes))
}

/// Whether [`parse`] would succeed, at a fraction of its cost: nothing is allocated.
///
/// # Errors
/// The same as [`parse`].
pub fn check(bytes: &[u8]) -> Result<(), NotJson> {
    let strictly = |bytes: &[u8]| {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        Readable.deserialize(&mut json)?;
        json.end()
    };
    Ok(tolerantly(bytes, strictly)?)
}

/// The JSON value that `bytes` hold.
///
/// # Errors
/// When they are not JSON in UTF-8, or nest deeper than 127 levels.
pub fn parse(bytes: &[u8]) -> Result<Value, NotJson> {
    Ok(read(bytes)?)
}

/// What JSON from outside holds.
///
/// # Errors
/// When it is not JSON, or not a `T`.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    tolerantly(bytes, |bytes| serde_json::from_slice(bytes))
}

/// What nearly everybody sends costs no look for half characters.
fn tolerantly<T>(
    bytes: &[u8],
    strictly: impl Fn(&[u8]) -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    let bytes = unmarked(bytes);
    strictly(bytes).or_else(|error| match mended(bytes) {
        Cow::Owned(mended) => strictly(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// A value with the keys of all its objects in the order of the alphabet: equal values make equal
/// text.
pub fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

/// The value at a path; [`hillock_path`] says how one is written. A path with brackets that leads
/// nowhere is tried as the keys between its dots, which it once was.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if !path.contains('[') {
        return along(value, path.split('.'));
    }
    let segments = hillock_path::segments(path).unwrap_or_default();
    let found = match segments.is_empty() {
        true => None,
        false => along(value, segments.iter().map(|segment| segment.as_ref())),
    };
    found.or_else(|| along(value, path.split('.')))
}

fn along<'v, 's>(value: &'v Value, path: impl IntoIterator<Item = &'s str>) -> Option<&'v Value> {
    path.into_iter().try_fold(value, |here, segment| match here {
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

/// Integers as they are written, whatever their length; others as the double that they mean, but
/// for those beyond all doubles, which stay as they are written.
fn number_text(number: &Number) -> String {
    let written = number.as_str();
    if !written.contains(['.', 'e', 'E']) {
        return written.to_owned();
    }
    match number.as_f64() {
        // `Display` of f64 is the shortest text that reads back as the same value, never with an
        // exponent; 1.0 reads `1`, as the integer does.
        Some(float) => float.to_string(),
        None => written.replace('+', ""),
    }
}

/// Reads any value as `serde_json::Value` would, and keeps nothing. `IgnoredAny` is not enough: it
/// accepts invalid UTF-8, lone surrogates and any depth.
struct Readable;

/// The keys that `serde_json` has for what it cannot say otherwise. An object of a sender's that
/// begins with one is taken for that by the parser, and so it must be here.
const NUMBER_KEY: &str = "$serde_json::private::Number";
const RAW_KEY: &str = "$serde_json::private::RawValue";

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
        match entries.next_key_seed(FirstKey)? {
            None => return Ok(()),
            Some(Meaning::Key) => entries.next_value_seed(Readable)?,
            Some(Meaning::Number) => return entries.next_value_seed(NumberText),
            Some(Meaning::Raw) => return entries.next_value_seed(RawText),
        }
        while entries.next_key_seed(Readable)?.is_some() {
            entries.next_value_seed(Readable)?;
        }
        Ok(())
    }
}

enum Meaning {
    Key,
    Number,
    Raw,
}

/// Text that is looked at and not kept.
macro_rules! text_seed {
    ($name:ident -> $value:ty, |$text:ident| $read:expr) => {
        struct $name;

        impl<'de> DeserializeSeed<'de> for $name {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.deserialize_str(self)
            }
        }

        impl Visitor<'_> for $name {
            type Value = $value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: serde::de::Error>(self, $text: &str) -> Result<$value, E> {
                $read
            }
        }
    };
}

text_seed!(FirstKey -> Meaning, |text| Ok(match text {
    NUMBER_KEY => Meaning::Number,
    RAW_KEY => Meaning::Raw,
    _ => Meaning::Key,
}));
text_seed!(NumberText -> (), |text| text.parse::<Number>().map(drop).map_err(E::custom));
text_seed!(RawText -> (), |text| serde_json::from_str::<Value>(text).map(drop).map_err(E::custom));

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
            (b"\"\\ud800\"".to_vec(), true),
            (b"\"\\ud83d\\u\"".to_vec(), false),
            (b"\xef\xbb\xbf{}".to_vec(), true),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec(), false),
            (b"1e999".to_vec(), true),
            (b"-0".to_vec(), true),
            (b"01".to_vec(), false),
            (b"{\"$serde_json::private::Number\":\"1\"}".to_vec(), true),
            (b"{\"$serde_json::private::Number\":\"x\"}".to_vec(), false),
            (b"{\"$serde_json::private::Number\":1}".to_vec(), false),
            (b"{\"$serde_json::private::Number\":\"1\",\"a\":1}".to_vec(), false),
            (b"{\"a\":1,\"$serde_json::private::Number\":1}".to_vec(), true),
            (b"{\"$serde_json::private::RawValue\":\"[1]\"}".to_vec(), true),
            (b"{\"$serde_json::private::RawValue\":\"[1\"}".to_vec(), false),
            (b"18446744073709551616".to_vec(), true),
            (deep(127), true),
            (deep(129), false),
            (deep(100_000), false),
        ] {
            assert_eq!(parse(&bytes).is_ok(), good, "parse {bytes:.40?}");
            assert_eq!(check(&bytes).is_ok(), good, "check {bytes:.40?}");
        }
    }

    fn written(json: &str) -> Value {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn half_characters_are_replaced_and_whole_ones_are_not() {
        for (json, text) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""a\uD83Db""#, "a\u{fffd}b"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\\ud83d\ude00""#, "\\ud83d\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(written(json), json!(text), "{json}");
            assert!(serde_json::from_slice::<Value>(&readable(json.as_bytes())).is_ok(), "{json}");
        }
        let whole: &[u8] = br#"{"a":"\ud83d\ude00\\"}"#;
        assert!(matches!(readable(whole), Cow::Borrowed(same) if same == whole));
    }

    #[test]
    fn what_is_written_stays_but_for_what_it_means() {
        for json in [r#"{"b":1,"a":{"d":1.50,"c":-0}}"#, "[1e+400,123456789012345678901]"] {
            assert_eq!(written(json).to_string(), json);
        }
        assert_eq!(written(r#"{"a":1,"b":2,"a":3}"#).to_string(), r#"{"a":3,"b":2}"#);
        assert_eq!(
            sorted(written(r#"{"b":[{"d":1,"c":2}],"a":1}"#)).to_string(),
            r#"{"a":1,"b":[{"c":2,"d":1}]}"#
        );
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
            (written("18446744073709551616"), Some("18446744073709551616")),
            (written("-9223372036854775809"), Some("-9223372036854775809")),
            (written("123456789012345678901234567890"), Some("123456789012345678901234567890")),
            (written("1.50"), Some("1.5")),
            (written("1E2"), Some("100")),
            (written("-0"), Some("-0")),
            (written("-0.0"), Some("-0")),
            (written("1e400"), Some("1e400")),
            (written("-1.5E-400"), Some("-0")),
            (json!(null), None),
            (json!([1]), None),
            (json!({}), None),
        ] {
            assert_eq!(scalar_text(&value).as_deref(), text, "{value}");
        }
    }

    #[test]
    fn paths_lead_through_keys_and_indexes() {
        let value = json!({
            "a": [{"b": 1}, 2], "0": "key", "x.y": {"z": 3}, "u[0]": 4, "u": {"1": 5}, "v[]": 6,
        });
        for (path, found) in [
            ("a.0.b", Some(json!(1))),
            ("a.1", Some(json!(2))),
            ("0", Some(json!("key"))),
            ("a.01", None),
            ("a.+1", None),
            ("a.2", None),
            ("a.0.b.c", None),
            ("a[0].b", Some(json!(1))),
            ("[x.y].z", Some(json!(3))),
            ("[\"x.y\"]['z']", Some(json!(3))),
            ("x.y.z", None),
            ("u[0]", Some(json!(4))),
            ("u[1]", Some(json!(5))),
            ("v[]", Some(json!(6))),
            ("a[0", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(at(&value, path), found.as_ref(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn check_and_parse_agree_on_any_bytes(
            text in r#"([\[\]{},:"0-9eE.+\\ualse tr-]|\\u[dD][89c][0-9]{2}|\x{feff}){0,24}"#,
            noise in any::<Vec<u8>>(),
        ) {
            prop_assert_eq!(check(text.as_bytes()).is_ok(), parse(text.as_bytes()).is_ok());
            prop_assert_eq!(check(&noise).is_ok(), parse(&noise).is_ok());
        }
    }
}

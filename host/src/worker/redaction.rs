//! Keeps what a program was given in confidence out of what leaves the worker: the values of the
//! environment variables that its configuration passes on by name.
//!
//! It works on the bytes as they come, before they are cut into lines, so that a value is found
//! wherever a read or a line ends; and again on the texts of an event, where JSON may have spelled
//! a value in another way. A value of several lines is found line by line. What is shorter than
//! [`LENGTH_MIN`] is no secret: it would black out innocent words.

use std::os::unix::ffi::OsStrExt as _;

use serde_json::Value;

use crate::environment;
use crate::model::text::storable;

/// The shortest value that is kept out, in bytes.
const LENGTH_MIN: usize = 8;

/// What is kept out, and what stands in its place; the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Redaction(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    value: Vec<u8>,
    mark: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.mark)
    }
}

impl Redaction {
    /// The values of these variables of the worker's own environment.
    pub(super) fn of(names: &[String]) -> Self {
        let value =
            |name: &String| Some((name.clone(), environment::var_os(name)?.as_bytes().to_vec()));
        Self::new(names.iter().filter_map(value))
    }

    fn new(variables: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in variables {
            let mark = format!("[redacted:{name}]");
            let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
            let long = lines.filter(|line| line.len() >= LENGTH_MIN);
            secrets.extend(long.map(|line| Secret { value: line.to_vec(), mark: mark.clone() }));
        }
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
        Self(secrets)
    }

    /// The value without any secret in its texts and keys, and without characters that cannot be
    /// stored.
    pub(super) fn clean(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.clean(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (self.text(key), self.clean(value))).collect()
            }
            other => other,
        }
    }

    fn text(&self, text: String) -> String {
        let mut strand = Strand::new(self);
        let mut bytes = strand.push(text.as_bytes());
        bytes.extend(strand.finish());
        // A part of a character may have been a secret.
        storable(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// One stream, redacted as it comes.
#[derive(Debug)]
pub(super) struct Strand<'r> {
    redaction: &'r Redaction,
    /// What may be the beginning of a secret.
    kept: Vec<u8>,
}

impl<'r> Strand<'r> {
    /// The beginning of a stream.
    pub(super) fn new(redaction: &'r Redaction) -> Self {
        Self { redaction, kept: Vec::new() }
    }

    /// What may leave, now that `bytes` have come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.redaction.0.is_empty() {
            return bytes.to_vec();
        }
        self.kept.extend_from_slice(bytes);
        self.release(false)
    }

    /// What was kept when the stream ended.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.release(true)
    }

    fn release(&mut self, at_end: bool) -> Vec<u8> {
        let secrets = &self.redaction.0;
        let (mut free, mut at) = (Vec::with_capacity(self.kept.len()), 0);
        while let Some(rest) = self.kept.get(at..).filter(|rest| !rest.is_empty()) {
            let begun =
                |secret: &Secret| secret.value.len() > rest.len() && secret.value.starts_with(rest);
            if !at_end && secrets.iter().any(begun) {
                break;
            }
            match secrets.iter().find(|secret| rest.starts_with(&secret.value)) {
                Some(secret) => {
                    free.extend_from_slice(secret.mark.as_bytes());
                    at += secret.value.len();
                }
                None => {
                    free.push(rest[0]);
                    at += 1;
                }
            }
        }
        self.kept.drain(..at);
        free
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redaction() -> Redaction {
        let variables = [
            ("TOKEN", "hunter2-hunter2"),
            ("LONGER", "hunter2-hunter2-and-more"),
            ("PEM", "-----BEGIN-----\r\nsecretline\nshort\n"),
            ("SHORT", "1234567"),
        ];
        Redaction::new(variables.map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec())).into_iter())
    }

    fn redacted(chunks: &[&str]) -> String {
        let redaction = redaction();
        let mut strand = Strand::new(&redaction);
        let mut free: Vec<u8> = chunks.iter().flat_map(|c| strand.push(c.as_bytes())).collect();
        free.extend(strand.finish());
        String::from_utf8(free).unwrap()
    }

    #[test]
    fn values_are_replaced_by_their_names() {
        for (text, wanted) in [
            ("the token is hunter2-hunter2.", "the token is [redacted:TOKEN]."),
            ("hunter2-hunter2-and-more", "[redacted:LONGER]"),
            ("hunter2-hunter2-and-mor", "[redacted:TOKEN]-and-mor"),
            ("hunter2-hunter2hunter2-hunter2", "[redacted:TOKEN][redacted:TOKEN]"),
            ("hunter2-hunter", "hunter2-hunter"),
            ("a\nsecretline\nshort", "a\n[redacted:PEM]\nshort"),
            ("1234567", "1234567"),
        ] {
            assert_eq!(redacted(&[text]), wanted);
        }
    }

    #[test]
    fn the_texts_of_an_event_are_cleaned_in_every_depth() {
        let told = json!({"type": "a", "hunter2-hunter2": [{"x": "my secretline\0"}], "n": 1});
        let wanted =
            json!({"type": "a", "[redacted:TOKEN]": [{"x": "my [redacted:PEM]\u{fffd}"}], "n": 1});
        assert_eq!(redaction().clean(told), wanted);
    }

    #[test]
    fn it_does_not_show_what_it_keeps() {
        assert!(!format!("{:?}", redaction()).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn reads_may_end_anywhere(parts in prop::collection::vec(
            prop_oneof!["[hu]{0,3}", Just("hunter2-hunter2".to_owned()),
                        Just("hunter2-hunter2-and".to_owned()), Just("secretline".to_owned())],
            0..8), cut in 1..9_usize) {
            let text = parts.concat();
            let chunks: Vec<String> =
                text.as_bytes().chunks(cut).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
            let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
            let whole = redacted(&[&text]);
            prop_assert_eq!(redacted(&chunks), whole.clone());
            prop_assert!(!whole.contains("hunter2-hunter2") && !whole.contains("secretline"));
        }
    }
}

//! Secrets taken out of text before it is kept.
//!
//! A known secret is found as it stands, in hexadecimal, in Base64 at whatever offset it was
//! encoded, and with what JSON escapes in it; and whatever looks like one of the host's own keys and
//! tokens is found though nobody knows it. What is not found: a secret shorter than
//! [`SECRET_BYTES_MIN`], one that was spelt in any other way (reversed, compressed, encrypted), and
//! one that is split over two lines or two events, for each is looked at alone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::secret::Secret;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// The shortest secret that is looked for, in bytes: anything shorter stands in ordinary words.
pub const SECRET_BYTES_MIN: usize = 8;

/// How the host's own keys and tokens begin.
const KEY_PREFIXES: [&str; 2] = ["hlk_", "hlk-"];
/// How many characters of a key follow at least. What is shown of a token is shorter.
const KEY_CHARACTERS_MIN: usize = 16;
/// How a secret of Standard Webhooks begins; what follows is the secret, too.
const STANDARD_WEBHOOKS: &[u8] = b"whsec_";

/// Knows the secrets; by default, nothing.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// The prefixes of keys, then every form of every secret.
    wanted: Option<AhoCorasick>,
}

/// There is more to look for than can be.
#[derive(Debug, thiserror::Error)]
#[error("the secrets are too many to look for: {0}")]
pub struct TooMany(#[from] aho_corasick::BuildError);

impl Redaction {
    /// One that knows these secrets, and how keys look.
    ///
    /// # Errors
    /// When they are too many.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Result<Self, TooMany> {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            let secret = secret.expose();
            add_forms(secret, &mut forms);
            if let Some(key) = secret.strip_prefix(STANDARD_WEBHOOKS) {
                add_forms(key, &mut forms);
            }
        }
        let prefixes = KEY_PREFIXES.map(str::to_owned).into_iter();
        Ok(Self { wanted: Some(AhoCorasick::new(prefixes.chain(forms))?) })
    }

    /// The text with [`REDACTED`] in place of every secret.
    pub fn text<'t>(&self, text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
        let text = text.into();
        let found = self.found(&text);
        if found.is_empty() {
            return text;
        }
        let (mut clean, mut at) = (String::with_capacity(text.len()), 0);
        for range in found {
            clean.push_str(&text[at..range.start]);
            clean.push_str(REDACTED);
            at = range.end;
        }
        clean.push_str(&text[at..]);
        Cow::Owned(clean)
    }

    /// The same for all text in a JSON value: strings, names, and numbers, which become text.
    pub fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.owned(text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, of)| (self.owned(name), self.json(of))).collect()
            }
            Value::Number(number) => match self.text(number.to_string()) {
                clean if clean == number.to_string() => Value::Number(number),
                clean => Value::String(clean.into_owned()),
            },
            Value::Bool(_) | Value::Null => value,
        }
    }

    fn owned(&self, text: String) -> String {
        self.text(text).into_owned()
    }

    /// Where secrets stand, in order; those that overlap or touch are one.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let Some(wanted) = &self.wanted else { return Vec::new() };
        let mut found: Vec<Range<usize>> = wanted
            .find_overlapping_iter(text)
            .filter_map(|found| match found.pattern().as_usize() < KEY_PREFIXES.len() {
                true => key(text, found.range()),
                false => Some(found.range()),
            })
            .collect();
        found.sort_by_key(|range| range.start);
        found.dedup_by(|next, kept| {
            let together = next.start <= kept.end;
            if together {
                kept.end = kept.end.max(next.end);
            }
            together
        });
        found
    }
}

/// The whole of a key that begins like this, if it is one.
fn key(text: &str, prefix: Range<usize>) -> Option<Range<usize>> {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = text.as_bytes()[prefix.end..].iter().take_while(|byte| is_of_key(byte)).count();
    (length >= KEY_CHARACTERS_MIN).then(|| prefix.start..prefix.end + length)
}

/// Every way in which a secret is looked for.
fn add_forms(secret: &[u8], forms: &mut BTreeSet<String>) {
    if secret.len() < SECRET_BYTES_MIN {
        return;
    }
    if let Ok(plain) = std::str::from_utf8(secret) {
        let quoted = Value::from(plain).to_string();
        forms.insert(quoted[1..quoted.len() - 1].to_owned());
        forms.insert(plain.to_owned());
    }
    forms.insert(hex::encode(secret));
    forms.insert(hex::encode_upper(secret));
    forms.extend(
        [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].map(|e| e.encode(secret)),
    );
    for before in 0..3 {
        forms.insert(within_base64(&STANDARD_NO_PAD, secret, before));
        forms.insert(within_base64(&URL_SAFE_NO_PAD, secret, before));
    }
}

/// The characters that a secret alone decides where so many bytes stand before it.
fn within_base64(engine: &impl base64::Engine, secret: &[u8], before: usize) -> String {
    let encoded = engine.encode([&[0; 2][..before], secret].concat());
    let first = (before * 8).div_ceil(6);
    let end = (before + secret.len()) * 8 / 6;
    encoded[first..end].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "It's a \"Secret\" to Everybody";

    fn redaction() -> Redaction {
        let secrets = [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "short", "12345678"];
        let secrets = secrets.map(|text| Secret::new(text.into()).unwrap());
        let raw = Secret::new((200..232).collect()).unwrap();
        Redaction::of(secrets.iter().chain([&raw])).unwrap()
    }

    fn check(text: &str, wanted: &str) {
        assert_eq!(redaction().text(text), wanted, "{text}");
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        check("nothing", "nothing");
        check("a short one stays", "a short one stays");
        check(&format!("<{SECRET}{SECRET}>"), "<[redacted]>");
        check(&json!({ "s": SECRET }).to_string(), r#"{"s":"[redacted]"}"#);
        check(&format!("é{}é", hex::encode(SECRET)), "é[redacted]é");
        check(&hex::encode_upper((200..232).collect::<Vec<u8>>()), REDACTED);
        check(&format!("a={}.", STANDARD.encode(SECRET)), "a=[redacted].");
        check(&format!("a={}.", URL_SAFE_NO_PAD.encode(SECRET)), "a=[redacted].");
        check("the key MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw alone", "the key [redacted] alone");
    }

    /// As in the header of HTTP's basic authentication.
    #[test]
    fn a_secret_is_found_within_encoded_text() {
        for before in ["", "u", "us", "use", "user"] {
            for behind in ["", ":", "::"] {
                let text = STANDARD.encode(format!("{before}{SECRET}{behind}"));
                let clean = redaction().text(text.as_str()).into_owned();
                assert!(clean.contains(REDACTED), "{before}…{behind}: {clean}");
                // What is left of the secret are the bits that it shares with its neighbours.
                assert!(clean.len() <= REDACTED.len() + 12, "{before}…{behind}: {clean}");
            }
        }
    }

    #[test]
    fn keys_and_tokens_are_found_by_their_look() {
        let digits = "0123456789abcdef";
        for prefix in ["hlk_", "hlk-cmd-", "hlk_wrk_", "hlk_boot_"] {
            check(&format!("key={prefix}{digits}, yes"), "key=[redacted], yes");
        }
        for kept in ["hlk_", "hlk_…", "hlk-cmd-01234567", "hlk_test and a few more words"] {
            check(kept, kept);
        }
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let secrets = ["abcdefgh", "efghijkl"].map(|text| Secret::new(text.into()).unwrap());
        let redaction = Redaction::of(&secrets).unwrap();
        assert_eq!(redaction.text("-abcdefghijkl-"), "-[redacted]-");
    }

    #[test]
    fn json_keeps_its_shape() {
        let value = json!({ "a": [SECRET, 12345678, 1.5, null], SECRET: { "b": true } });
        let wanted = json!({ "a": [REDACTED, REDACTED, 1.5, null], REDACTED: { "b": true } });
        assert_eq!(redaction().json(value), wanted);
    }
}

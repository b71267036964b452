//! Secrets taken out of text before it is kept, cut or sent: by the host what it knows, by a worker
//! what it passes on to its programs.
//!
//! A known secret is found as it stands, in hexadecimal, in Base64 at whatever offset it was encoded,
//! and whatever the white space, JSON's escapes and URLs' percent signs in between (`forms`). So is
//! each of its lines. Text that comes in pieces is one text ([`Strand`], [`Trail`]): a secret that
//! begins in one piece and ends in another is found, and what may be the beginning of one is held
//! back, or taken out where nothing can wait. And whatever looks like one of the host's own keys
//! and tokens is found though nobody knows it.
//!
//! What is not found: a secret, or a line of one, shorter than [`SECRET_BYTES_MIN`], which would
//! black out innocent words; one that was spelt in any other way (reversed, compressed, encrypted);
//! and one of which the program wrote only a part.

mod fold;
mod forms;
mod set;
mod strand;
#[cfg(test)]
mod tests;
mod trail;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::secret::Secret;
use fold::fold;
use set::Set;
pub use strand::Strand;
pub use trail::Trail;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// The shortest secret that is looked for, and the shortest line of one, in bytes: anything shorter
/// stands in ordinary words.
pub const SECRET_BYTES_MIN: usize = 8;

/// How the host's own keys and tokens begin.
const KEY_PREFIXES: [&str; 2] = ["hlk_", "hlk-"];
/// In the place of a mark: what begins like a key.
const KEY: usize = usize::MAX;
/// How many characters of a key follow at least. What is shown of a token is shorter.
const KEY_CHARACTERS_MIN: usize = 16;
/// How much white space and how many escapes may stand within a secret, as a multiple of its length.
const SPREAD: usize = 4;
/// How much of a text is kept at least to know what goes on in it, in bytes.
const KEPT_MIN: usize = 1024;

/// Knows the secrets; by default, nothing.
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Wanted>>);

/// There is more to look for than can be.
#[derive(Debug, thiserror::Error)]
#[error("the secrets are too many to look for: {0}")]
pub struct TooMany(#[from] aho_corasick::BuildError);

/// What is looked for.
struct Wanted {
    /// The forms of every secret, and the beginnings of keys.
    plain: Set,
    /// The forms of every secret, folded.
    folded: Set,
    /// What stands in the place of secrets; the first, of a key.
    marks: Vec<String>,
}

/// Where a secret stands, and whose mark is to stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    range: Range<usize>,
    mark: usize,
    /// How long the longest is that was found here.
    longest: usize,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = self.0.as_ref().map(|wanted| &wanted.marks);
        f.debug_tuple("Redaction").field(&marks).finish()
    }
}

impl Redaction {
    /// One that knows these secrets, and how keys look.
    ///
    /// # Errors
    /// When they are too many.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Result<Self, TooMany> {
        let secrets = secrets.into_iter().map(|secret| (REDACTED.to_owned(), secret.expose()));
        Self::new(secrets)
    }

    /// The same of values that have names, which stand in their place.
    ///
    /// # Errors
    /// When they are too many.
    pub fn named<'s>(
        values: impl IntoIterator<Item = (&'s str, &'s [u8])>,
    ) -> Result<Self, TooMany> {
        let mark = |(name, value): (&str, &'s [u8])| (format!("[redacted:{name}]"), value);
        Self::new(values.into_iter().map(mark))
    }

    fn new<'s>(secrets: impl Iterator<Item = (String, &'s [u8])>) -> Result<Self, TooMany> {
        let mut marks = vec![REDACTED.to_owned()];
        let mut plain: Vec<_> =
            KEY_PREFIXES.iter().map(|key| (key.as_bytes().to_vec(), KEY)).collect();
        let mut folded = Vec::new();
        for (mark, secret) in secrets {
            let known = marks.iter().position(|known| *known == mark);
            let place = known.unwrap_or(marks.len());
            if known.is_none() {
                marks.push(mark);
            }
            for form in forms::of(secret) {
                let fold = fold::whole(&form);
                if fold.len() >= SECRET_BYTES_MIN {
                    folded.push((fold, place));
                }
                plain.push((form, place));
            }
        }
        let (plain, folded) = (Set::of(plain)?, Set::of(folded)?);
        Ok(Self(Some(Arc::new(Wanted { plain, folded, marks }))))
    }

    /// The text with a mark in place of every secret.
    pub fn text<'t>(&self, text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
        let text = text.into();
        let Some(wanted) = &self.0 else { return text };
        let found = wanted.found(text.as_bytes());
        if found.is_empty() {
            return text;
        }
        let mut clean = Vec::with_capacity(text.len());
        wanted.blot(text.as_bytes(), &found, 0..text.len(), &mut clean, None);
        Cow::Owned(lossy(clean))
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
}

/// The bytes as text. A part of a character may have been a secret.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl Wanted {
    /// How much of a text has to be kept to know a secret that goes on in it, in bytes.
    fn kept(&self) -> usize {
        (SPREAD * self.plain.longest.max(self.folded.longest)).max(KEPT_MIN)
    }

    /// Where secrets stand, in order; those that overlap are one, and so are equals that touch.
    fn found(&self, text: &[u8]) -> Vec<Found> {
        let mut found: Vec<Found> = self
            .plain
            .matches(text)
            .filter_map(|(range, mark)| match mark {
                KEY => Some((key(text, &range).filter(|key| key.whole)?.range, 0)),
                _ => Some((range, mark)),
            })
            .map(Found::of)
            .collect();
        let folded = fold(text);
        let unfolded = |(range, mark): (Range<usize>, usize)| (folded.source(&range), mark);
        found.extend(self.folded.matches(&folded.bytes).map(unfolded).map(Found::of));
        merged(found)
    }

    /// Writes a span of the text with marks in place of what was found; line ends stay. `marked`
    /// says with which mark what was written before ends, and the answer with which this does.
    fn blot(
        &self,
        text: &[u8],
        found: &[Found],
        span: Range<usize>,
        to: &mut Vec<u8>,
        mut marked: Option<usize>,
    ) -> Option<usize> {
        let mut at = span.start;
        let within = |found: &&Found| found.range.end > span.start && found.range.start < span.end;
        for Found { range, mark, .. } in found.iter().filter(within) {
            let (start, end) = (range.start.max(span.start), range.end.min(span.end));
            marked = marked.filter(|_| start == at);
            to.extend_from_slice(&text[at..start]);
            for line in text[start..end].split_inclusive(|byte| *byte == b'\n') {
                if marked != Some(*mark) && !line.trim_ascii().is_empty() {
                    to.extend_from_slice(self.marks[*mark].as_bytes());
                    marked = Some(*mark);
                }
                if let Some(line) = line.strip_suffix(b"\n") {
                    to.extend_from_slice(if line.ends_with(b"\r") { b"\r\n" } else { b"\n" });
                    marked = None;
                }
            }
            at = end;
        }
        to.extend_from_slice(&text[at..span.end]);
        marked.filter(|_| at == span.end)
    }
}

impl Found {
    fn of((range, mark): (Range<usize>, usize)) -> Self {
        let longest = range.len();
        Self { range, mark, longest }
    }
}

fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| found.range.start);
    found.dedup_by(|next, kept| {
        let apart = if next.mark == kept.mark { kept.range.end + 1 } else { kept.range.end };
        let together = next.range.start < apart;
        if together {
            kept.range.end = kept.range.end.max(next.range.end);
            if next.longest > kept.longest {
                (kept.mark, kept.longest) = (next.mark, next.longest);
            }
        }
        together
    });
    found
}

/// What begins like a key.
struct Key {
    range: Range<usize>,
    /// Whether it is as long as a key.
    whole: bool,
}

/// The whole of what begins like a key at this prefix.
fn key(text: &[u8], prefix: &Range<usize>) -> Option<Key> {
    let is_of_key = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = text.get(prefix.end..)?.iter().take_while(is_of_key).count();
    let range = prefix.start..prefix.end + length;
    Some(Key { range, whole: length >= KEY_CHARACTERS_MIN })
}

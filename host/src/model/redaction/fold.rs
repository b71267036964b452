//! Text without what makes no difference: white space, and how JSON and URLs escape a character.

use std::ops::Range;

/// The most backslashes that are taken for one escape. JSON within JSON doubles them.
const BACKSLASHES_MAX: usize = 64;

/// A folded text, and where each of its bytes comes from.
pub(super) struct Folded {
    pub(super) bytes: Vec<u8>,
    sources: Vec<Range<usize>>,
    /// Where an escape begins that has no end yet; else the text's end.
    pub(super) open_at: usize,
}

impl Folded {
    /// Where these folded bytes come from.
    pub(super) fn source(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.sources.get(range.start).map_or(0, |source| source.start);
        let last = range.end.checked_sub(1).and_then(|last| self.sources.get(last));
        first..last.map_or(first, |source| source.end)
    }
}

/// Folds a text.
pub(super) fn fold(text: &[u8]) -> Folded {
    let mut folded =
        Folded { bytes: Vec::with_capacity(text.len()), sources: Vec::new(), open_at: 0 };
    folded.sources.reserve(text.len());
    while let Some(rest) = text.get(folded.open_at..).filter(|rest| !rest.is_empty()) {
        let Some((bytes, length)) = step(rest) else { break };
        let source = folded.open_at..folded.open_at + length;
        for byte in bytes.as_slice() {
            folded.bytes.push(*byte);
            folded.sources.push(source.clone());
        }
        folded.open_at = source.end;
    }
    folded
}

/// The same of what goes no further.
pub(super) fn whole(text: &[u8]) -> Vec<u8> {
    let mut folded = fold(text);
    folded.bytes.extend_from_slice(&text[folded.open_at..]);
    folded.bytes
}

/// What a piece of the text means: a character of up to four bytes, or nothing.
struct Meaning([u8; 4], usize);

impl Meaning {
    const NOTHING: Self = Self([0; 4], 0);

    fn byte(byte: u8) -> Self {
        if byte.is_ascii_whitespace() || byte == b'\\' {
            Self::NOTHING
        } else {
            Self([byte, 0, 0, 0], 1)
        }
    }

    fn character(character: char) -> Self {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => Self::byte(byte),
            _ => {
                let mut bytes = [0; 4];
                let length = character.encode_utf8(&mut bytes).len();
                Self(bytes, length)
            }
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// What comes first means, and how long it is; none while that is open.
fn step(rest: &[u8]) -> Option<(Meaning, usize)> {
    match rest {
        [b'\\', ..] => escape(rest),
        [b'%', ..] => percent(rest),
        [byte, ..] => Some((Meaning::byte(*byte), 1)),
        [] => None,
    }
}

/// `\n`, `\u00e9`, and the same within JSON within JSON.
fn escape(rest: &[u8]) -> Option<(Meaning, usize)> {
    let slashes = rest.iter().take(BACKSLASHES_MAX).take_while(|byte| **byte == b'\\').count();
    let nothing = |length| Some((Meaning::NOTHING, length));
    match &rest[slashes..] {
        [] if slashes < BACKSLASHES_MAX => None,
        [b'n' | b'r' | b't', ..] => nothing(slashes + 1),
        [b'u', digits @ ..] => match digits.get(..4) {
            Some(four) => match code(four).and_then(char::from_u32) {
                Some(character) => Some((Meaning::character(character), slashes + 5)),
                None => nothing(slashes),
            },
            None if code(digits).is_some() || digits.is_empty() => None,
            None => nothing(slashes),
        },
        _ => nothing(slashes),
    }
}

/// `%2B`.
fn percent(rest: &[u8]) -> Option<(Meaning, usize)> {
    let digits = &rest[1..];
    match digits.get(..2) {
        Some(two) => match code(two).and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => Some((Meaning::byte(byte), 3)),
            None => Some((Meaning::byte(b'%'), 1)),
        },
        None if code(digits).is_some() || digits.is_empty() => None,
        None => Some((Meaning::byte(b'%'), 1)),
    }
}

fn code(digits: &[u8]) -> Option<u32> {
    let all = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_difference_is_left_out() {
        for (text, folded) in [
            ("a b\r\n\tc", "abc"),
            (r#"a\nb\\nc\"d\/e"#, r#"abc"d/e"#),
            (r"a\u002bb\\u00e9", "a+bé"),
            (r"a\ud83d\uxyz", "aud83duxyz"),
            ("a%2Bb%0d%0Ac%zz%5C", "a+bc%zz"),
            ("100%", "100%"),
            ("é", "é"),
        ] {
            assert_eq!(whole(text.as_bytes()), folded.as_bytes(), "{text}");
        }
    }

    #[test]
    fn an_escape_without_an_end_is_open() {
        for (text, open_at) in
            [("ab\\", 2), ("ab\\\\u00", 2), ("ab%", 2), ("ab%2", 2), ("ab\\n", 4), ("ab%zz", 5)]
        {
            assert_eq!(fold(text.as_bytes()).open_at, open_at, "{text}");
        }
    }

    #[test]
    fn what_is_folded_has_its_source() {
        let folded = fold(br"x\u002b y");
        assert_eq!(folded.bytes, b"x+y");
        assert_eq!(folded.source(&(1..2)), 1..7);
        assert_eq!(folded.source(&(1..3)), 1..9);
    }
}

//! How a place in JSON is written, the same wherever one is named: in `match`, in templates, as the
//! key of a debounce or a batch, and in what components ask the host for.
//!
//! ```text
//! data.issue.number        keys and indexes, with dots between them
//! data.[app.kubernetes.io/name]      a key with dots in it, as templates have it
//! data["app.kubernetes.io/name"]     the same, as CEL has it; 'single' will do, and \ escapes
//! data.items[0].id         an index in brackets
//! ```
//! A bracket holds one key whatever is in it. Right behind a name, `[]` is part of the name.

use std::borrow::Cow;
use std::fmt;

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which character it is about, from 1.
    pub character: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at character {}", self.reason, self.character)
    }
}

impl std::error::Error for Malformed {}

const EMPTY: &str = "a key is missing";
const UNCLOSED: &str = "the bracket is not closed";
const UNQUOTED: &str = "the quotation mark is not closed";
const BEHIND: &str = "behind a bracket stand a dot, another bracket or nothing";

/// The keys and indexes of a path, in order.
///
/// # Errors
/// Where and why it is none.
pub fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Malformed> {
    let mut reader = Reader { path, at: 0 };
    let mut segments = Vec::new();
    loop {
        segments.push(reader.segment()?);
        while reader.rest().starts_with('[') {
            segments.push(reader.bracket()?);
        }
        match reader.rest().chars().next() {
            None => return Ok(segments),
            Some('.') => reader.at += 1,
            Some(_) => return Err(reader.malformed(BEHIND)),
        }
    }
}

/// Adds a key to a path, written so that [`segments`] reads it back.
pub fn push(path: &mut String, key: &str) {
    if key.is_empty() || key.contains(['.', '[', ']', '"', '\'', '\\']) {
        if path.is_empty() || key.is_empty() || key.contains(['[', ']', '"', '\'']) {
            let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
            path.push_str(&format!("[\"{escaped}\"]"));
        } else {
            path.push_str(&format!(".[{key}]"));
        }
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

struct Reader<'p> {
    path: &'p str,
    at: usize,
}

impl<'p> Reader<'p> {
    fn rest(&self) -> &'p str {
        &self.path[self.at..]
    }

    fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed { character: self.path[..self.at].chars().count() + 1, reason }
    }

    fn segment(&mut self) -> Result<Cow<'p, str>, Malformed> {
        if self.rest().starts_with('[') {
            return self.bracket();
        }
        let rest = self.rest();
        let mut end = 0;
        // `[]` belongs to the name: `items[]` is what forms call a list.
        while let Some(next) = rest[end..].find(['.', '[']) {
            end += next;
            if !rest[end..].starts_with("[]") {
                break;
            }
            end += 2;
        }
        if !rest[end..].starts_with(['.', '[']) {
            end = rest.len();
        }
        if end == 0 {
            return Err(self.malformed(EMPTY));
        }
        self.at += end;
        Ok(Cow::Borrowed(&rest[..end]))
    }

    fn bracket(&mut self) -> Result<Cow<'p, str>, Malformed> {
        let inside = &self.rest()[1..];
        match inside.chars().next() {
            Some(mark @ ('"' | '\'')) => self.quoted(mark),
            Some(']') => Err(self.malformed(EMPTY)),
            _ => {
                let end = inside.find(']').ok_or_else(|| self.malformed(UNCLOSED))?;
                self.at += end + 2;
                Ok(Cow::Borrowed(&inside[..end]))
            }
        }
    }

    /// A key between `["` and `"]`, in which a backslash stands before itself and the mark.
    fn quoted(&mut self, mark: char) -> Result<Cow<'p, str>, Malformed> {
        let inside = &self.rest()[2..];
        let mut key = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => match chars.next() {
                    Some((_, escaped)) if escaped == mark || escaped == '\\' => key.push(escaped),
                    Some((_, other)) => key.extend(['\\', other]),
                    None => break,
                },
                _ if char == mark => {
                    let behind = &inside[at + 1..];
                    if !behind.starts_with(']') {
                        return Err(self.malformed(UNCLOSED));
                    }
                    self.at += 2 + at + 2;
                    return Ok(Cow::Owned(key));
                }
                _ => key.push(char),
            }
        }
        Err(self.malformed(UNQUOTED))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_place_has_several_spellings() {
        for (path, keys) in [
            ("kind", &["kind"][..]),
            ("data.a.b", &["data", "a", "b"]),
            ("data.items.0.id", &["data", "items", "0", "id"]),
            ("data.items[0].id", &["data", "items", "0", "id"]),
            ("data.[a.b]", &["data", "a.b"]),
            ("data[a.b].c", &["data", "a.b", "c"]),
            ("data[\"a.b\"]['c']", &["data", "a.b", "c"]),
            ("data.[\"a.b\"].c", &["data", "a.b", "c"]),
            (r#"data["say \"a\\b\" \n"]"#, &["data", r#"say "a\b" \n"#]),
            (r#"data['[x]']"#, &["data", "[x]"]),
            ("data[\"\"]", &["data", ""]),
            ("data.items[]", &["data", "items[]"]),
            ("data.items[].x[][0]", &["data", "items[]", "x[]", "0"]),
            ("data.ä b.c'd", &["data", "ä b", "c'd"]),
            ("[a.b]", &["a.b"]),
        ] {
            assert_eq!(segments(path).unwrap(), keys, "{path}");
        }
    }

    #[test]
    fn what_is_none_is_named_with_its_place() {
        for (path, character, reason) in [
            ("", 1, EMPTY),
            ("a.", 3, EMPTY),
            (".a", 1, EMPTY),
            ("ä..b", 3, EMPTY),
            ("data.[]", 6, EMPTY),
            ("data.[a.b", 6, UNCLOSED),
            ("data[", 5, UNCLOSED),
            ("data[\"a.b", 5, UNQUOTED),
            ("data[\"a.b\\", 5, UNQUOTED),
            ("data[\"a.b\".c", 5, UNCLOSED),
            ("data[a]b", 8, BEHIND),
        ] {
            let malformed = segments(path).unwrap_err();
            assert_eq!((malformed.character, malformed.reason), (character, reason), "{path}");
        }
        let told = segments("data.[a.b").unwrap_err().to_string();
        assert_eq!(told, "the bracket is not closed, at character 6");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            keys in prop::collection::vec(r#"([a-c.\[\]"'\\ ä0]|\PC){0,5}"#, 1..5),
        ) {
            let mut path = String::new();
            keys.iter().for_each(|key| push(&mut path, key));
            prop_assert_eq!(segments(&path).unwrap(), keys, "{}", path);
        }

        #[test]
        fn nothing_makes_it_panic(path in r#"([a-c.\[\]"'\\ ä]|\PC){0,12}"#) {
            let _ = segments(&path);
        }
    }
}

//! What nobody sees, made visible.
//!
//! A terminal obeys more than escape sequences: a character that turns the writing direction shows a
//! command as another one, and a tag or a zero-width character hides what is pasted. So everything
//! without a picture of its own stands as an escape: controls, the format characters of Unicode
//! (category Cf), its separators of lines and paragraphs, and all that a display may leave out
//! (Default_Ignorable_Code_Point). Line ends and tabs stay, and so do the joiners and selectors
//! within an emoji. A joiner within a word of another script is an escape, too.

use std::borrow::Cow;

use icu_properties::props::{
    BinaryProperty, DefaultIgnorableCodePoint, Emoji, ExtendedPictographic, GeneralCategory,
};
use icu_properties::props::{EmojiModifier, EnumeratedProperty};

const ESCAPE: char = '\u{1b}';
const JOINER: char = '\u{200d}';
/// Whether an emoji is a picture or a letter.
const SELECTORS: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];
/// The longest sequence that is taken for one, in bytes.
const SEQUENCE_BYTES_MAX: usize = 64;

/// The text with everything unseen as an escape such as `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |_| None, |c, to| to.extend(c.escape_default()))
}

/// The same, but colours (SGR) stay: the program's own are in the text already.
pub fn shown_with_colours(text: &str) -> Cow<'_, str> {
    let colour = |rest: &str| sequence(rest).filter(|length| rest[..*length].ends_with('m'));
    escaped(text, colour, |c, to| to.extend(c.escape_default()))
}

/// JSON that means the same, with everything unseen as JSON writes it: `\u202e`. What has to be
/// escaped stands within strings only.
pub fn shown_json(json: &str) -> Cow<'_, str> {
    escaped(
        json,
        |_| None,
        |c, to| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                to.push_str(&format!("\\u{unit:04x}"));
            }
        },
    )
}

/// The text without sequences that move the cursor or colour what follows.
pub fn without_sequences(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(ESCAPE) {
        kept.push_str(&rest[..at]);
        let length = sequence(&rest[at..]);
        if length.is_none() {
            kept.push(ESCAPE);
        }
        rest = &rest[at + length.unwrap_or(1)..];
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// The length of the control sequence (ECMA-48, 5.4) that the text begins with.
fn sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..SEQUENCE_BYTES_MAX).unwrap_or(text.as_bytes());
    let body = bytes.strip_prefix(b"\x1b[")?;
    let length = body.iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
    (0x40..=0x7e).contains(&body[length]).then_some(length + 3)
}

fn escaped(
    text: &str,
    kept: impl Fn(&str) -> Option<usize>,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (before, after) = (&text[..text.len() - rest.len()], &rest[c.len_utf8()..]);
        let mut length = c.len_utf8();
        if !is_unseen(c) || is_of_emoji(before, c, after) {
            shown.push(c);
        } else if let Some(sequence) = kept(rest) {
            length = sequence;
            shown.push_str(&rest[..length]);
        } else if !(c == '\r' && (after.is_empty() || after.starts_with('\n'))) {
            escape(c, &mut shown);
        }
        rest = &rest[length..];
    }
    Cow::Owned(shown)
}

/// Whether a character has no picture of its own.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && !matches!(c, '\n' | '\t');
    }
    let category = GeneralCategory::for_char(c);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || DefaultIgnorableCodePoint::for_char(c)
}

/// Whether a joiner or a selector belongs to an emoji, which is a picture with it.
fn is_of_emoji(before: &str, c: char, after: &str) -> bool {
    let modifies = |c: char| SELECTORS.contains(&c) || EmojiModifier::for_char(c);
    match c {
        c if SELECTORS.contains(&c) => before.chars().next_back().is_some_and(Emoji::for_char),
        JOINER => {
            let first = before.trim_end_matches(modifies).chars().next_back();
            [first, after.chars().next()]
                .iter()
                .all(|c| c.is_some_and(ExtendedPictographic::for_char))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_unseen_is_shown() {
        for (text, wanted) in [
            ("plain — tëxt\n\tindented 日本 ", "plain — tëxt\n\tindented 日本 "),
            ("rm \u{202e}php.gnp \u{2066}x\u{2069}", "rm \\u{202e}php.gnp \\u{2066}x\\u{2069}"),
            ("a\u{200b}b\u{200e}c\u{feff}d\u{ad}e", "a\\u{200b}b\\u{200e}c\\u{feff}d\\u{ad}e"),
            ("tag\u{e0041}\u{e007f}", "tag\\u{e0041}\\u{e007f}"),
            ("c1 \u{9b}2J \u{85}", "c1 \\u{9b}2J \\u{85}"),
            ("lines\u{2028}and\u{2029}", "lines\\u{2028}and\\u{2029}"),
            ("fill\u{3164}\u{115f}\u{34f}\u{e0100}", "fill\\u{3164}\\u{115f}\\u{34f}\\u{e0100}"),
            ("\u{1b}[31mred\u{7}\0", "\\u{1b}[31mred\\u{7}\\u{0}"),
            ("over\rwritten\r\nand ended\r", "over\\rwritten\nand ended"),
            (
                "❤\u{fe0f} 👩🏽\u{200d}💻 1\u{fe0f}\u{20e3}",
                "❤\u{fe0f} 👩🏽\u{200d}💻 1\u{fe0f}\u{20e3}",
            ),
            ("a\u{200d}b x\u{fe0f} 👩\u{200d}x", "a\\u{200d}b x\\u{fe0f} 👩\\u{200d}x"),
            ("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}\\u{fe0f}"),
        ] {
            assert_eq!(shown(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn colours_stay_where_they_may() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;t\u{7}\u{202e}";
        let wanted = "\u{1b}[1;31mred\u{1b}[0m \\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{202e}";
        assert_eq!(shown_with_colours(text), wanted);
    }

    #[test]
    fn sequences_go_and_what_only_begins_like_one_stays() {
        for (text, wanted) in [
            ("\u{1b}[1;31mred\u{1b}[0m\u{1b}[?25l.", "red."),
            ("a\u{1b}]52;c;aGk=\u{7}b", "a\u{1b}]52;c;aGk=\u{7}b"),
            ("\u{1b}[3é \u{1b}", "\u{1b}[3é \u{1b}"),
        ] {
            assert_eq!(without_sequences(text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left(text in any::<String>()) {
            let left = |text: &str| {
                text.chars().any(|c| is_unseen(c) && c != JOINER && !SELECTORS.contains(&c))
            };
            prop_assert!(!left(&shown(&text)));
        }

        #[test]
        fn json_means_the_same(text in any::<String>()) {
            let json = serde_json::Value::from(format!("{text}\u{202e}\u{e0041}")).to_string();
            let shown = shown_json(&json);
            let hidden = shown.contains(['\u{202e}', '\u{e0041}']);
            prop_assert!(!hidden);
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(read(&shown), read(&json));
        }
    }
}

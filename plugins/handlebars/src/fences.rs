//! Which of the fences that `{{fence}}` wrote are fences, as CommonMark reads the whole prompt.
//!
//! A fence is none within another, nor within a block of HTML. Beyond CommonMark, it is taken for
//! none within a comment or a `<pre>` that began anywhere before it: who reads HTML in the prompt
//! reads it so.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

/// Where HTML begins that holds whatever comes until it ends. Names end where a tag's name does.
const HTML: [(&str, &str); 5] = [
    ("<!--", "-->"),
    ("<pre", "</pre"),
    ("<script", "</script"),
    ("<style", "</style"),
    ("<textarea", "</textarea"),
];

/// For each of these places in a prompt, in order, whether what stands there is a fence.
pub(crate) fn standing(prompt: &str, written: &[Range<usize>]) -> Vec<bool> {
    let mut code = Vec::new();
    let mut fenced = Vec::new();
    for (event, range) in Parser::new(prompt).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                if matches!(kind, CodeBlockKind::Fenced(_)) {
                    fenced.push(range.clone());
                }
                code.push(range);
            }
            Event::Code(_) => code.push(range),
            _ => {}
        }
    }
    let plain = without(prompt, &code).to_ascii_lowercase();
    written
        .iter()
        .map(|place| {
            let is_block =
                |block: &Range<usize>| block.start == place.start && block.end + 2 >= place.end;
            fenced.iter().any(is_block) && !is_html_open(&plain[..place.start])
        })
        .collect()
}

/// The text with blanks in these places.
fn without(text: &str, places: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    places.iter().for_each(|place| bytes[place.clone()].fill(b' '));
    // Parsers give places between characters; if not, there is more in it that is no tag.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_html_open(before: &str) -> bool {
    HTML.iter().any(|(begin, end)| match last_of(before, begin) {
        Some(at) => !before[at + begin.len()..].contains(end),
        None => false,
    })
}

fn last_of(text: &str, begin: &str) -> Option<usize> {
    let is_comment = begin == "<!--";
    let mut places = text.rmatch_indices(begin).map(|(at, _)| at);
    places.find(|at| {
        let behind = &text[at + begin.len()..];
        is_comment
            || behind.is_empty()
            || behind.starts_with(|char: char| char.is_whitespace() || char == '>' || char == '/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCE: &str = "```\nx\n```";

    #[test]
    fn a_fence_stands_where_nothing_else_is_open() {
        for (before, stands) in [
            ("", true),
            ("text\n", true),
            ("text\n\n- a\n", true),
            ("```\ncode\n```\n", true),
            ("```\n", false),
            ("```rust\ncode\n", false),
            ("~~~\n", false),
            ("~~~\n```\n~~~\n", true),
            ("````\n```\n", false),
            ("    ```\n", true),
            ("a ```\n", true),
            ("- a\n  ```\n```\n", false),
            ("<!--\n", false),
            ("<!-- a\n\nb\n", false),
            ("<!-- a -->\n", true),
            ("<!-- a --> <!--\n", false),
            ("text <!-- a\n", false),
            ("text <!-- a --> b\n", true),
            ("`<!--` is a comment\n", true),
            ("```\n<!--\n```\n", true),
            ("<pre>\n", false),
            ("<PRE class=\"x\">\n\n", false),
            ("text <pre>\n", false),
            ("<pre>\n</pre>\n", true),
            ("<pre>a</pre><pre>\n", false),
            ("<prefix>\n\n", true),
            ("<script>\n", false),
            ("<style>\n\na\n", false),
            ("<textarea>\n", false),
            ("<?php\n", false),
            ("<![CDATA[\n", false),
            ("<!DOCTYPE html\n", false),
            ("<div>\n", false),
            ("<div>\n\n", true),
            ("<issue>\n", false),
            ("<issue>\n\n", true),
            ("> quoted\n", true),
            ("> ```\n", true),
        ] {
            let prompt = format!("{before}{FENCE}\nend");
            let place = before.len()..before.len() + FENCE.len();
            assert_eq!(standing(&prompt, &[place]), [stands], "{before:?}");
        }
    }
}

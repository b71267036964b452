//! What stands in a fence, and that nothing gets out of it.

use hillock_plugin_sdk::template::Content;
use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event as Markdown, Parser, Tag, TagEnd};
use serde_json::json;

use super::{Event, check, prompt};

#[test]
fn fences_stand_on_lines_of_their_own() {
    check(&[
        ("Body: {{fence data.action}} end", "Body: \n```\nopened\n```\n end"),
        ("Body:\n{{fence data.action}}\nend", "Body:\n```\nopened\n```\nend"),
        ("Body:\n\n{{fence data.action}}\n\nend", "Body:\n\n```\nopened\n```\n\nend"),
        ("{{fence data.action}}{{fence kind}}", "```\nopened\n```\n```\ngithub.issues\n```"),
        ("{{fence data.action}}{{data.text}}\nend", "```\nopened\n```\nend"),
        ("{{fence data.action}}{{kind}}", "```\nopened\n```\ngithub.issues"),
        ("{{fence data.action}}\r\nend", "```\nopened\n```\r\nend"),
        ("  {{fence data.action}}  ", "```\nopened\n```"),
        ("- a\n  {{fence data.action}}\n- b", "- a\n  \n```\nopened\n```\n- b"),
        ("Body: {{~fence data.action~}} end", "Body:\n```\nopened\n```\nend"),
        ("{{#each data.labels}}{{fence name}}{{/each}}", "```\nbug\n```\n```\nurgent\n```"),
        ("{{fence data.null}}", "```\n```"),
        ("<issue>\n{{fence data.action}}\n</issue>", "<issue>\n\n```\nopened\n```\n</issue>"),
        ("a < b\n{{fence data.action}}", "a < b\n```\nopened\n```"),
        ("{{truncate (fence data.action) 5}} end", "```\no… end"),
    ]);
}

/// The texts of a prompt's fenced code blocks, and all other text, as CommonMark reads it.
fn read(prompt: &str) -> (Vec<String>, String) {
    let (mut blocks, mut rest) = (Vec::new(), String::new());
    let mut in_fence = false;
    for markdown in Parser::new(prompt) {
        match markdown {
            Markdown::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                in_fence = true;
                blocks.push(String::new());
            }
            Markdown::End(TagEnd::CodeBlock) => in_fence = false,
            Markdown::Text(text) if in_fence => {
                blocks.last_mut().expect("a block has begun").push_str(&text);
            }
            Markdown::Text(text) | Markdown::Code(text) | Markdown::Html(text) => {
                rest.push_str(&text);
            }
            _ => {}
        }
    }
    (blocks.iter().map(|block| unbroken(block)).collect(), rest)
}

/// A text without its line ends, of which the parser keeps not all.
fn unbroken(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

/// Text that tries to look like the end of a fence, and text that does not.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "`{1,12}",
        "~{1,5}",
        "[ \t]{1,5}",
        "(\r\n|\n|\r)",
        "[a-z<>&*#\\[\\]()_=:|-]{1,6}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_gets_out_of_its_fence(text in hostile(), other in hostile(), form in 0_usize..6) {
        let template = [
            "A: {{fence data.a}} and {{fence data.b}} end",
            "A:\n{{fence data.a}}{{fence data.b}}\n\nend",
            "- A: {{fence data.a}}\n- B:\n  {{fence data.b}}\nend",
            "> A: {{fence data.a}}\n> {{fence data.b}}\n\nend",
            "{{#with data}}    {{fence a}}\t{{fence b}}{{/with}} end",
            "```\nown\n```\n{{fence data.a}}\n\n{{fence data.b}} end",
        ][form];
        let event = Event(json!({"kind": "k", "data": {"a": text, "b": other}}));
        let prompt = prompt(template, &event).unwrap();
        prop_assert_eq!(prompt.content, Content::Fenced);
        let (mut blocks, rest) = read(&prompt.text);
        if form == 5 {
            prop_assert_eq!(blocks.remove(0), "own");
        }
        prop_assert_eq!(blocks, [unbroken(&text), unbroken(&other)], "{}", prompt.text);
        let own: String = rest.split_whitespace().collect();
        prop_assert_eq!(own, ["A:andend", "A:end", "A:B:end", "A:end", "end", "end"][form]);
    }

    /// Whatever a template leaves open before a fence, `Fenced` is said only of what is.
    #[test]
    fn what_is_said_to_be_fenced_is(
        before in "([`~]{2,5}| {0,5}|[a-z>]{1,3}|\n|- |1\\. |<!--|-->|</?(pre|div|x|script)>|<|<\\?){0,12}",
        text in hostile(),
    ) {
        let template = format!("{before}{{{{fence data.a}}}}\nend");
        let event = Event(json!({"kind": "k", "data": {"a": text}}));
        let prompt = prompt(&template, &event).unwrap();
        if prompt.content == Content::Fenced {
            let (blocks, _) = read(&prompt.text);
            prop_assert!(blocks.contains(&unbroken(&text)), "{}", prompt.text);
        }
    }
}

//! Templates in, prompts out, on an event that lives here instead of in a host.

mod content;
mod fences;
mod handlebars_js;

use serde_json::{Value, json};

use super::{Prompt, render};
use crate::compile::compile;
use crate::failure::Failure;
use crate::output::BYTES_MAX;
use crate::value::{Envelope, scalar};

struct Event(Value);

impl Event {
    fn at(&self, path: &str) -> Option<&Value> {
        let segments = hillock_plugin_sdk::path::segments(path).ok()?;
        segments.iter().map(|segment| segment.as_ref()).try_fold(&self.0, |value, segment| {
            match value {
                Value::Object(object) => object.get(segment),
                Value::Array(array) => array.get(segment.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }
}

impl Envelope for Event {
    fn get(&self, path: &str) -> Option<String> {
        self.at(path).map(Value::to_string)
    }

    fn text(&self, path: &str) -> Option<String> {
        self.at(path).filter(|value| !value.is_null()).and_then(scalar)
    }
}

/// The event that these tests are about.
fn event() -> Event {
    Event(json!({
        "kind": "github.issues",
        "depth": 0,
        "data": {
            "action": "opened",
            "issue": {"title": "<Leak> & \"loss\"", "number": 7, "body": "äöü", "ratio": 2.0},
            "labels": [{"name": "bug"}, {"name": "urgent"}],
            "tags": ["a", 1, 2.5, true, null],
            "names": {"y": "Why", "x": "Ex", "dotted.key": "dots"},
            "key": "y",
            "zero": 0, "no": false, "yes": true, "null": null, "text": "",
            "none": [], "void": {}, "matrix": [[1, 2], [3]],
            "fenced": "a ``` b",
        },
    }))
}

fn prompt(template: &str, event: &Event) -> Result<Prompt, Failure> {
    let program = compile(template).unwrap_or_else(|error| panic!("{template}: {error:?}"));
    render(&program, event)
}

fn rendered(template: &str) -> Result<String, Failure> {
    prompt(template, &event()).map(|prompt| prompt.text)
}

fn check(cases: &[(&str, &str)]) {
    for (template, prompt) in cases {
        assert_eq!(rendered(template).as_deref(), Ok(*prompt), "{template}");
    }
}

fn check_missing(cases: &[(&str, &str)]) {
    for (template, path) in cases {
        assert_eq!(rendered(template), Err(Failure::Missing((*path).to_owned())), "{template}");
    }
}

fn check_failed(templates: &[&str]) {
    for template in templates {
        assert!(matches!(rendered(template), Err(Failure::Failed(_))), "{template}");
    }
}

#[test]
fn fields() {
    check(&[
        ("  no tags }} \n", "no tags }}"),
        ("{{kind}} #{{data.issue.number}}", "github.issues #7"),
        ("{{data.issue.title}}{{{data.issue.title}}}", "<Leak> & \"loss\"<Leak> & \"loss\""),
        ("{{data.labels.0.name}} {{data.labels.[1].name}}", "bug urgent"),
        ("[{{data.null}}{{data.text}}] {{data.issue.ratio}} {{data.zero}}", "[] 2 0"),
        ("{{data.names.[dotted.key]}}", "dots"),
        ("\\{{kind}}{{! no }}{{!-- {{no}} --}} {{~ kind ~}} !", "{{kind}}github.issues!"),
    ]);
    check_missing(&[
        ("{{data.nothing}}", "data.nothing"),
        ("{{data.action.nothing}}", "data.action.nothing"),
        ("{{data.labels.2.name}}", "data.labels.2.name"),
        ("{{data.names.[no.key]}}", "data.names.[no.key]"),
        ("{{data.[no.such].key}}", "data.[no.such].key"),
        ("{{workspace_id}}", "workspace_id"),
    ]);
    check_failed(&["{{data}}", "{{data.labels}}"]);
}

#[test]
fn conditions() {
    check(&[
        ("{{#if data.yes}}a{{else}}b{{/if}}{{#unless data.yes}}c{{/unless}}", "a"),
        ("{{#if data.pull.x}}{{data.pull.x}}{{else}}issue{{/if}}", "issue"),
        ("{{#if data.no}}a{{else if data.zero}}b{{else if data.action}}c{{else}}d{{/if}}", "c"),
        ("{{#if data.no}}a{{else if data.zero}}b{{else}}d{{/if}}", "d"),
        ("{{#if data.void}}{}{{/if}}{{#if data.none}}[]{{/if}}{{#if data.null}}null{{/if}}", "{}"),
        ("{{#if data.text}}a{{/if}}{{#unless data.nothing}}b{{/unless}}", "b"),
    ]);
    check_missing(&[
        ("{{#if data.pull}}x{{/if}}{{data.pull}}", "data.pull"),
        ("{{#if data.yes}}{{data.pull.x}}{{/if}}", "data.pull.x"),
    ]);
}

#[test]
fn loops() {
    check(&[
        (
            "{{#each data.labels}}{{@index}}{{name}}{{#unless @last}}, {{/unless}}{{/each}}",
            "0bug, 1urgent",
        ),
        ("{{#each data.tags}}{{this}};{{/each}}", "a;1;2.5;true;;"),
        (
            "{{#each data.names}}{{@key}}={{this}}@{{@index}} {{/each}}",
            "y=Why@0 x=Ex@1 dotted.key=dots@2",
        ),
        (
            "{{#each data.labels}}{{@key}}{{#if @first}}!{{/if}}{{../kind}}{{@root.depth}}{{/each}}",
            "0!github.issues01github.issues0",
        ),
        (
            "{{#each data.matrix}}{{#each this}}{{@../index}}{{@index}}:{{this}} {{/each}}{{/each}}",
            "00:1 01:2 10:3",
        ),
        (
            "{{#each data.none}}x{{else}}none{{/each}}{{#each data.nothing}}x{{else}}, absent{{/each}}",
            "none, absent",
        ),
        ("[{{#each data.none}}x{{/each}}{{#each data.null}}x{{/each}}]", "[]"),
        ("{{#each data.labels}}\n- {{name}}\n{{/each}}\n", "- bug\n- urgent"),
        ("{{#each data.matrix}}{{this.0}}{{/each}}", "13"),
    ]);
    check_missing(&[
        ("{{#each data.nothing}}x{{/each}}", "data.nothing"),
        ("{{#each data.labels}}{{colour.x}}{{/each}}", "data.labels.0.colour.x"),
        ("{{#each data.labels}}{{../data.nothing}}{{/each}}", "data.nothing"),
    ]);
    check_failed(&["{{#each data.action}}{{/each}}", "{{#each data.labels}}{{this}}{{/each}}"]);
}

#[test]
fn scopes() {
    check(&[
        (
            "{{#with data.issue}}{{title}} {{this.number}} {{../kind}}{{/with}}",
            "<Leak> & \"loss\" 7 github.issues",
        ),
        ("{{#with data.nothing}}x{{else}}absent {{kind}}{{/with}}", "absent github.issues"),
        (
            "{{#each data.labels}}{{#with ../data.issue}}{{@index}}{{number}}{{../name}}{{/with}}{{/each}}",
            "07bug17urgent",
        ),
        ("[{{#with data.null}}x{{/with}}]", "[]"),
        ("{{#with data}}{{#each labels}}{{../action}} {{/each}}{{/with}}", "opened opened"),
    ]);
    check_missing(&[
        ("{{#with data.nothing}}x{{/with}}", "data.nothing"),
        ("{{#with data.issue}}{{nothing}}{{/with}}", "data.issue.nothing"),
    ]);
}

#[test]
fn helpers() {
    check(&[
        ("{{json data.labels}}", r#"[{"name":"bug"},{"name":"urgent"}]"#),
        ("{{json data.null}} {{json data.action}}", r#"null "opened""#),
        (
            "{{default data.nothing \"a\"}}{{default data.null 'b'}}{{default data.text 5}}{{default data.zero 1}}",
            "ab50",
        ),
        ("{{default data.nothing (default data.text data.action)}}", "opened"),
        (
            "{{truncate data.issue.body 2}} {{truncate data.issue.body 3}} {{truncate data.issue.number 0}}",
            "äö… äöü …",
        ),
        ("{{truncate (json data.labels) 5}}", "[{\"na…"),
        ("{{join data.tags \", \"}}|{{join data.none \", \"}}", "a, 1, 2.5, true, |"),
        (
            "{{lookup data.names data.key}} {{lookup data.names \"dotted.key\"}} {{lookup data.tags 1}}",
            "Why dots 1",
        ),
        ("{{#each data.tags}}{{lookup ../data.tags @index}}{{/each}}", "a12.5true"),
        ("{{#if (lookup data.names \"z\")}}z{{else}}-{{/if}}", "-"),
        ("{{#each (lookup data.matrix 0)}}{{this}}{{/each}}", "12"),
        ("{{fence data.action}}\n{{fence data.fenced}}", "```\nopened\n```\n````\na ``` b\n````"),
    ]);
    check_missing(&[
        ("{{json data.nothing}}", "data.nothing"),
        ("{{truncate data.nothing 5}}", "data.nothing"),
        ("{{join data.nothing \",\"}}", "data.nothing"),
        ("{{default data.nothing data.nothing.either}}", "data.nothing.either"),
        ("{{lookup data.names \"z\"}}", "data.names.z"),
    ]);
    check_failed(&[
        "{{join data.labels \",\"}}",
        "{{join data.action \",\"}}",
        "{{truncate data.labels 5}}",
        "{{truncate data.action data.key}}",
    ]);
}

#[test]
fn what_handlebars_js_makes_of_them() {
    let event = Event(handlebars_js::event());
    let inline = |(name, text): &(&str, &str)| {
        format!("{{{{#*inline \"{name}\"}}}}\n{text}{{{{/inline}}}}\n")
    };
    let partials: String = handlebars_js::PARTIALS.iter().map(inline).collect();
    let mut different = Vec::new();
    for (template, expected) in handlebars_js::RENDERED {
        let program = compile(&format!("{template}\n{partials}"));
        let found = program
            .map_err(|error| format!("{error:?}"))
            .and_then(|program| render(&program, &event).map_err(|error| format!("{error:?}")));
        let found = found.map(|prompt| prompt.text);
        if found.as_deref() != Ok(*expected) {
            different.push(format!("{template:?}\n  theirs {expected:?}\n  ours   {found:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn sections_are_for_what_is_there() {
    check(&[
        (
            "{{#data.nothing.x}}a{{else}}b{{/data.nothing.x}}{{^data.nothing}}c{{/data.nothing}}",
            "bc",
        ),
        ("{{#data.null}}a{{else}}b{{/data.null}}", "b"),
        ("{{#data.yes}}{{../kind}}{{/data.yes}}", "github.issues"),
        ("{{#data.labels}}{{name}}@{{@../index}}{{/data.labels}}", "bug@urgent@"),
    ]);
    check_missing(&[
        ("{{#data.issue}}{{nothing}}{{/data.issue}}", "data.issue.nothing"),
        ("{{#data.labels}}{{nothing}}{{/data.labels}}", "data.labels.0.nothing"),
        ("{{#data.yes}}{{nothing}}{{/data.yes}}", "nothing"),
        ("{{> a data.nothing}}{{#*inline \"a\"}}{{x}}{{/inline}}", "data.nothing.x"),
    ]);
    check_failed(&["{{#data.yes}}{{this}}{{/data.yes}}", "{{#data.issue}}{{.}}{{/data.issue}}"]);
}

#[test]
fn numbers_are_what_the_sender_wrote() {
    let whole = r#"{"kind":"x","data":{"n":123456789012345678901,"m":-18446744073709551617,
        "z":0,"list":[18446744073709551616,1.50],"inf":1e400,"f":1.0}}"#;
    let event = Event(serde_json::from_str(whole).unwrap());
    for (template, expected) in [
        (
            "{{data.n}} {{data.m}} {{data.inf}} {{data.f}}",
            "123456789012345678901 -18446744073709551617 1e400 1",
        ),
        ("{{json data.list}}", "[18446744073709551616,1.50]"),
        ("{{join data.list ' '}}", "18446744073709551616 1.5"),
        ("{{#each data.list}}{{this}};{{/each}}", "18446744073709551616;1.5;"),
        ("{{#if data.n}}a{{/if}}{{#if data.inf}}b{{/if}}{{#if data.z}}c{{/if}}", "ab"),
    ] {
        assert_eq!(prompt(template, &event).unwrap().text, expected, "{template}");
    }
}

#[test]
fn prompts_are_bounded() {
    assert!(rendered(&"x".repeat(BYTES_MAX)).is_ok());
    check_failed(&[&"x".repeat(BYTES_MAX + 1)]);
}

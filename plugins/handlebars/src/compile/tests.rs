//! What passes, and what is said of all else.

use super::*;

fn problems(source: &str) -> Vec<String> {
    let diagnostics = compile(source).err().unwrap_or_default();
    diagnostics.into_iter().map(|d| format!("{} {}", d.path, d.message)).collect()
}

#[test]
fn the_profile_passes() {
    for source in [
        "no tags at all }}",
        "{{data.issue.title}} {{{data.labels.0.name}}} {{&kind}} {{data.[odd key]}} {{\"kind\"}}",
        "{{#if data.x}}a{{else if data.y}}b{{else}}c{{/if}}{{#unless data.x}}d{{/unless}}",
        "{{#each data.x}}{{@index}}{{@key}}{{#if @first}}{{this.a}}{{a}}{{../id}}{{/if}}{{/each}}",
        "{{#each data.x}}{{#each this}}{{@../index}}{{@root.kind}}{{../../kind}}{{/each}}{{/each}}",
        "{{#with data.x}}{{json this}}{{else}}{{default data.y 5}}{{/with}}",
        "{{~#if data.x~}} {{! c }} {{!-- {{c}} --}} {{~! d ~}} {{~/if~}} \\{{x}}",
        "{{truncate (default data.x \"n\") 20}}{{join data.l ', '}}{{lookup data.m data.k}}",
        "{{fence data.x}}{{#if (lookup data.m \"k\")}}{{/if}}",
        "{{#each data.x}}{{.}}{{this}}{{./a}}{{#data}}{{/data}}{{^b}}{{/b}}{{/each}}",
        "{{#data.x}}{{a}}{{../kind}}{{@index}}{{else}}{{kind}}{{/data.x}}{{^data.y}}{{^}}{{/data.y}}",
        "{{^if data.x}}{{/if}}{{#if data.x}}{{^}}{{/if}}{{#if data.x}}{{else data.y}}{{/if}}",
        "{{> a}}{{#*inline \"a\"}}{{kind}}{{> b data.x}}{{/inline}}{{#*inline 'b'}}{{x}}{{/inline}}",
        "{{json data \n}}{{ json\tdata }}{{json data.[a].b/c}}",
    ] {
        assert_eq!(problems(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn everything_else_is_refused() {
    for source in [
        "{{> part}}",
        "{{> (lookup data.x \"y\")}}",
        "{{#> part}}{{/part}}",
        "{{* deco}}",
        "{{#*other \"a\"}}{{/other}}",
        "{{#*inline a}}{{/inline}}",
        "{{#*inline \"a\"}}{{else}}{{/inline}}",
        "{{#*inline \"a\"}}{{/inline}}{{#*inline \"a\"}}{{/inline}}",
        "{{#if data.x}}{{#*inline \"a\"}}{{/inline}}{{/if}}",
        "{{#*inline \"a\"}}{{upper data.x}}{{/inline}}",
        "{{> a data.x data.y}}{{#*inline \"a\"}}{{/inline}}",
        "{{> a}}{{#*inline \"a\"}}{{issue}}{{/inline}}",
        "{{> a}}{{#*inline \"a\"}}{{> a}}{{/inline}}",
        "{{{{raw}}}}x{{{{/raw}}}}",
        "{{#each data.x as |y|}}{{/each}}",
        "{{#data.x y}}{{/data.x}}",
        "{{#json data.x}}{{/json}}",
        "{{#if data.x includeZero=true}}{{/if}}",
        "{{#if}}{{/if}}",
        "{{#if data.x data.y}}{{/if}}",
        "{{upper data.x}}",
        "{{len data.x}}",
        "{{json}}",
        "{{json data.x data.y}}",
        "{{if data.x}}",
        "{{truncate data.x \"5\"}}",
        "{{truncate data.x -1}}",
        "{{json [1]}}",
        "{{json (data.x)}}",
        "{{(json data.x)}}",
        "{{.}}",
        "{{^x}}",
        "{{this}}",
        "{{@root}}",
        "{{\"issue\"}}",
        "{{issue.title}}",
        "{{#issue}}{{/issue}}",
        "{{kind.x}}",
        "{{../kind}}",
        "{{#each data.x}}{{../../kind}}{{/each}}",
        "{{#each data.x}}{{../issue}}{{/each}}",
        "{{@index}}",
        "{{#with data.x}}{{@index}}{{/with}}",
        "{{#each data.x}}{{@../index}}{{/each}}",
        "{{#each data.x}}{{@index.y}}{{@depth}}{{/each}}",
        "{{#each data.x}}{{json}}{{/each}}",
        "{{data.this.x}}",
        "{{data.[]}}",
        "{{data.}}",
        "{{data..x}}",
        "{{}}",
        "{{data.x}",
        "{{{data.x}}",
        "{{#if data.x}}",
        "{{data.x",
        "{{data.[x}}",
        "{{json \"x}}",
        "{{! never closed",
        "{{#if data.x}}{{/unless}}",
        "{{/if}}",
        "{{else}}",
        "{{#if data.x}}{{else}}{{else}}{{/if}}",
        "{{#if data.x}}{{else}}{{else if data.y}}{{/if}}",
        "{{data.x ! }}",
    ] {
        assert!(!problems(source).is_empty(), "{source}");
    }
}

#[test]
fn all_problems_are_reported_where_they_stand() {
    assert_eq!(
        problems("{{issue}}\n{{#if data.x}}\n  {{upper data.x}}\n{{/if}} {{> part}}"),
        [
            "1:1 `issue` is not a field of an event; those are id, kind, scope, workspace_id, \
             source, occurred_at, received_at, depth and data",
            "3:3 `upper` is not a helper; there are json, default, truncate, join, lookup and \
             fence",
            "4:9 there is no partial `part`",
        ]
    );
    for (source, problem) in [
        ("ä\n {{#if data.x}}", "2:2 `if` is not closed"),
        ("{{#if data.x}}\n{{/unless}}", "2:1 `if` is closed by `unless`"),
        ("{{data.x", "1:1 the tag is not closed"),
        ("{{data.x % }}", "1:10 `%` was not expected"),
        (
            "{{> a}}\n{{#*inline \"a\"}}\n{{> b}}\n{{/inline}}\n{{#*inline \"b\"}}{{> a}}{{/inline}}",
            "5:17 partials call each other in a circle: `a`, `b`, `a`",
        ),
        (
            "{{> a}}{{> a}}\n{{#*inline \"a\"}}\n{{issue}}\n{{/inline}}",
            "3:1 `issue` is not a field of an event; those are id, kind, scope, workspace_id, \
             source, occurred_at, received_at, depth and data",
        ),
    ] {
        assert_eq!(problems(source), [problem], "{source}");
    }
}

#[test]
fn nesting_and_growth_are_bounded() {
    let nested =
        |times: usize| format!("{}{}", "{{#if data.x}}".repeat(times), "{{/if}}".repeat(times));
    assert!(problems(&nested(32)).is_empty());
    assert_eq!(problems(&nested(33)), ["1:449 blocks are nested deeper than 32"]);
    assert_eq!(problems(&"{{#if data.x}}".repeat(100_000)).len(), 1);
    assert_eq!(problems(&format!("{{{{json {}", "(json ".repeat(100_000))).len(), 1);
    let chain = "{{else if data.x}}".repeat(40);
    assert_eq!(problems(&format!("{{{{#if data.x}}}}{chain}{{{{/if}}}}")).len(), 1);

    // Each calls the next ten times.
    let mut bomb = "{{> p0}}".to_owned();
    for n in 0..8 {
        let calls = format!("{{{{> p{}}}}}", n + 1).repeat(10);
        bomb += &format!("{{{{#*inline \"p{n}\"}}}}{calls}{{{{/inline}}}}");
    }
    bomb += "{{#*inline \"p8\"}}x{{/inline}}";
    let told = problems(&bomb);
    assert!(!told.is_empty() && told.len() < 20, "{told:?}");
}

//! Whose words prompts hold.

use hillock_plugin_sdk::template::Content::{self, Fenced, Trusted, Unfenced};

use super::{event, prompt};

fn check(content: Content, templates: &[&str]) {
    for template in templates {
        let prompt = prompt(template, &event()).unwrap_or_else(|why| panic!("{template}: {why:?}"));
        assert_eq!(prompt.content, content, "{template}: {}", prompt.text);
    }
}

#[test]
fn the_hosts_words_are_trusted() {
    check(
        Trusted,
        &[
            "no tags",
            "{{kind}} {{depth}} {{json kind}} {{truncate kind 3}}",
            "{{fence kind}}",
            "{{default workspace_id \"none\"}} {{default data.nothing \"none\"}}",
            "{{default data.null 'a'}}{{default data.text 'b'}}",
            "{{#with data.issue}}{{../kind}} {{@root.depth}}{{/with}}",
            "{{#each data.labels}}{{@index}}{{@key}}{{@first}}{{@last}}{{../kind}}{{/each}}",
            "{{#each data.names}}{{@index}}{{@last}}{{/each}}",
            "{{! {{data.action}} }}\\{{data.action}}",
        ],
    );
}

#[test]
fn conditions_say_nothing_of_the_senders() {
    check(
        Trusted,
        &[
            "{{#if data.yes}}yes{{else}}no{{/if}}",
            "{{#unless data.issue.title}}none{{/unless}}",
            "{{#if (lookup data.names data.key)}}known{{/if}}",
            "{{#if (truncate data.action 1)}}some{{/if}}",
            "{{#if (fence data.action)}}some{{/if}}",
            "{{#each data.labels}}.{{/each}}",
            "{{#with data.issue}}an issue{{/with}}",
            "{{#if data.no}}{{data.action}}{{/if}}",
            "{{#data.yes}}yes{{/data.yes}}{{^data.no}}no{{/data.no}}",
            "{{#data.labels}}{{@index}}{{/data.labels}}",
            "{{#data.yes}}{{kind}}{{/data.yes}}",
            "{{> a x=kind}}{{#*inline 'a'}}{{x}}{{/inline}}",
            "{{#each data.none}}{{this}}{{else}}none{{/each}}",
        ],
    );
}

#[test]
fn the_senders_words_are_unfenced_as_they_are() {
    check(
        Unfenced,
        &[
            "{{data.action}}",
            "{{{data.action}}}",
            "{{data.issue.number}}",
            "{{data.zero}}",
            "{{data.no}}",
            "{{data.null}}{{data.text}}",
            "{{data.names.[dotted.key]}}",
            "{{data.labels.0.name}}",
            "{{json data}}",
            "{{json data.void}}",
            "{{default data.action 'x'}}",
            "{{default data.nothing data.action}}",
            "{{default workspace_id data.action}}",
            "{{truncate data.action 2}}",
            "{{truncate data.action 0}}",
            "{{truncate kind data.issue.number}}",
            "{{join data.tags ', '}}",
            "{{join data.none ', '}}",
            "{{lookup data.names data.key}}",
            "{{lookup data.names 'x'}}",
            "{{lookup data.tags 1}}",
            "{{lookup (lookup data.matrix 0) 1}}",
            "{{#with data.issue}}{{title}}{{/with}}",
            "{{#with data.issue}}{{this.number}}{{/with}}",
            "{{#with data}}{{action}}{{/with}}",
            "{{#with data.issue}}{{#each ../data.tags}}{{@root.data.action}}{{/each}}{{/with}}",
            "{{#with (json data.issue)}}{{this}}{{/with}}",
            "{{#each data.tags}}{{this}}{{/each}}",
            "{{#each data.labels}}{{name}}{{/each}}",
            "{{#each data.labels}}{{../data.action}}{{/each}}",
            "{{#each data.labels}}{{json this}}{{/each}}",
            "{{#each data.matrix}}{{#each this}}{{this}}{{/each}}{{/each}}",
            "{{#each data.tags}}{{lookup ../data.tags @index}}{{/each}}",
            "{{#each (default data.nothing data.tags)}}{{this}}{{/each}}",
            "{{#each data.names}}{{@key}}{{/each}}",
            "{{#each data.names}}{{#with ../data.issue}}{{@key}}{{/with}}{{/each}}",
            "{{#each data.names}}{{#each ../data.tags}}{{@../key}}{{/each}}{{/each}}",
            "{{#each data.names}}{{truncate @key 1}}{{/each}}",
            "{{#data.labels}}{{name}}{{/data.labels}}",
            "{{#data.tags}}{{.}}{{/data.tags}}",
            "{{#data.issue}}{{title}}{{/data.issue}}",
            "{{#data.yes}}{{data.action}}{{/data.yes}}",
            "{{> a}}{{#*inline 'a'}}{{data.action}}{{/inline}}",
            "{{> a data.issue}}{{#*inline 'a'}}{{title}}{{/inline}}",
            "{{> a x=data.action}}{{#*inline 'a'}}{{x}}{{/inline}}",
        ],
    );
}

#[test]
fn fences_hold_them() {
    check(
        Fenced,
        &[
            "{{fence data.action}}",
            "{{fence data.issue.number}}",
            "{{fence data.null}}",
            "Title: {{fence data.issue.title}} of {{kind}}",
            "{{fence (truncate data.issue.body 2)}}",
            "{{fence (json data.issue)}}",
            "{{fence (default data.nothing data.action)}}",
            "{{fence (join data.tags ', ')}}",
            "{{fence (lookup data.names data.key)}}",
            "{{fence (fence data.fenced)}}",
            "{{#with data.issue}}{{fence title}}{{/with}}",
            "{{#with (fence data.action)}}{{this}}{{/with}}",
            "{{#each data.tags}}{{fence this}}{{/each}}",
            "{{#each data.names}}{{fence @key}}{{/each}}",
            "{{#if data.yes}}{{fence data.action}}{{/if}}",
            "{{#data.labels}}{{fence name}}{{/data.labels}}",
            "a\n  {{> a}}\nb\n{{#*inline 'a'}}\n{{fence data.action}}\n{{/inline}}",
            "```\ncode\n```\n{{fence data.action}}",
            "<!-- a comment -->\n{{fence data.action}}",
            "<issue>\n{{fence data.action}}\n</issue>",
            "<details>\n  <summary>x</summary>\n{{fence data.action}}</details>",
            "`<!--` {{fence data.action}}",
            "`` {{fence data.action}} ``",
        ],
    );
}

#[test]
fn a_fence_that_is_broken_holds_nothing() {
    check(
        Unfenced,
        &[
            "{{truncate (fence data.action) 5}}",
            "{{json (fence data.action)}}",
            "{{default (fence data.action) 'none'}}",
            "{{default data.nothing (fence data.action)}}",
            "```\n{{fence data.action}}\n```",
            "```text\n{{fence data.action}}\n```",
            "~~~\n{{fence data.action}}\n~~~",
            "`````\n{{fence data.action}}\n`````",
            "{{fence kind}}\n```\n{{fence data.action}}\n```",
            "<!--\n{{fence data.action}}\n-->",
            "Note: <!-- {{fence data.action}} -->",
            "<pre>\n{{fence data.action}}\n</pre>",
            "<pre>{{fence data.action}}</pre>",
            "{{fence data.action}}\n<!--\n\n{{fence data.action}}\n-->",
            "- a\n  ```\n```\n{{fence data.action}}",
        ],
    );
    check(Trusted, &["```\n{{fence kind}}\n```", "{{truncate (fence kind) 5}}"]);
}

#[test]
fn the_worst_counts() {
    check(
        Unfenced,
        &[
            "{{fence data.issue.body}} {{data.issue.number}}",
            "{{data.issue.number}} {{fence data.issue.body}}",
            "{{#each data.names}}{{fence this}}{{@key}}{{/each}}",
        ],
    );
    check(Fenced, &["{{kind}} {{fence data.action}} {{kind}}"]);
}

//! Calls into guests, with the envelope ready and the instance in use: the common case.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hillock::clock::Clock;
use hillock::config::Limits;
use hillock::model::envelope::{Arrival, Envelope, Event, Origin, Payload, Source, Way};
use hillock::model::id::WebhookId;
use hillock::model::name::Name;
use hillock::model::scope::Scope;
use hillock::sandbox::{FilterVerdict, Sandbox};

const CALLS: usize = 20_000;
const CONFIG: &str = r#"{"data.action":"opened"}"#;
/// The same, and more than `match` can say.
const EXPRESSION: &str = r#""data.action == 'opened' && data.issue.number > 40""#;
const PROMPT: &str = "Triage #{{data.issue.number}} in {{data.repository.full_name}}: \
    {{data.issue.title}} by {{data.issue.user.login}} at {{data.issue.created_at}}, \
    {{data.issue.state}}, {{data.issue.comments}} comments, {{data.sender.login}}, {{kind}}, \
    {{data.action}}";

/// Prints the medians.
pub(crate) async fn measure() {
    let cache = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(Limits::default(), &[], &cache.path().join("cache"))
        .expect("the built-in components");
    let envelope = envelope();
    for (filter, config) in [("match", CONFIG), ("cel", EXPRESSION)] {
        let component: Name = filter.parse().expect("a name");
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begin = Instant::now();
            let verdict = sandbox.matches(&component, config, &envelope).await;
            times.push(begin.elapsed());
            assert_eq!(verdict.expect("a verdict"), FilterVerdict::Matched);
        }
        report(&format!("a `{filter}` filter call"), times, 10.0);
    }

    let template: Name = "handlebars".parse().expect("a name");
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begin = Instant::now();
        let prompt = sandbox.render(&template, PROMPT, &envelope).await;
        times.push(begin.elapsed());
        assert!(prompt.expect("a prompt").prompt.starts_with("Triage #42 in acme/storefront"));
    }
    report("a handlebars prompt of ten fields", times, 50.0);
}

fn report(name: &str, mut times: Vec<std::time::Duration>, limit_us: f64) {
    times.sort_unstable();
    let us = |share: f64| times[(CALLS as f64 * share) as usize].as_nanos() as f64 / 1000.0;
    println!(
        "{name}: median {:.1} µs, 99th {:.1} µs (median at most {limit_us})",
        us(0.5),
        us(0.99)
    );
}

fn envelope() -> Envelope {
    let data = serde_json::json!({
        "action": "opened",
        "issue": {
            "number": 42, "title": "Login fails", "state": "open", "comments": 0,
            "user": { "login": "octocat" }, "created_at": "2026-03-29T01:30:00Z",
            "body": "x".repeat(6000),
        },
        "repository": { "full_name": "acme/storefront" },
        "sender": { "login": "octocat" },
    });
    let origin = Origin {
        component: "github".parse().expect("a name"),
        version: "0.1.0".to_owned(),
        digest: "sha256:0".to_owned(),
    };
    Envelope::open(Arc::new(Event {
        id: Clock.event_id(),
        scope: Scope::Global,
        kind: "github.issues".parse().expect("a kind"),
        source: Source::Webhook,
        way: Way::Endpoint(Arrival {
            webhook_id: WebhookId::derive(&Scope::Global, "github"),
            slug: "github".parse().expect("a slug"),
        }),
        occurred_at: Clock.now(),
        received_at: Clock.now(),
        origin,
        verified: None,
        depth: 0,
        causes: Vec::new(),
        traceparent: None,
        body: Bytes::from(data.to_string()),
        payload: Payload::Body,
    }))
    .expect("JSON")
}

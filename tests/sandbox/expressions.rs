//! The built-in filter `cel`, as a component: what only shows inside of the sandbox.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hillock::config::Limits;
use hillock::model::envelope::{Arrival, Envelope, Event, Origin, Payload, Source, Way};
use hillock::model::id::{EventId, WebhookId};
use hillock::model::scope::Scope;
use hillock::sandbox::{FilterVerdict, Sandbox, SandboxError};
use serde_json::{Value, json};

use super::{acme, at, load, name};

/// With the limits that a host has when nobody says anything.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| load(Limits::default(), &[]).unwrap())
}

async fn decide(expression: &str, data: &Value) -> Result<FilterVerdict, SandboxError> {
    let config = Value::from(expression).to_string();
    sandbox().matches(&name("cel"), &config, &envelope(data)).await
}

async fn problems(expression: &str) -> Vec<String> {
    let config = Value::from(expression).to_string();
    let found = sandbox().check_filter(&name("cel"), &config, &acme()).await;
    found.unwrap().into_iter().map(|problem| problem.reason).collect()
}

fn envelope(data: &Value) -> Envelope {
    let origin = Origin {
        component: name("generic"),
        version: "0.1.0".to_owned(),
        digest: "sha256:0".to_owned(),
    };
    let event = Event {
        id: EventId::mint(at(), [0; 10]),
        scope: acme(),
        kind: "webhook".parse().unwrap(),
        source: Source::Webhook,
        way: Way::Endpoint(Arrival {
            webhook_id: WebhookId::derive(&Scope::Global, "open"),
            slug: "open".parse().unwrap(),
        }),
        occurred_at: at(),
        received_at: at(),
        origin,
        verified: None,
        depth: 0,
        causes: Vec::new(),
        traceparent: None,
        body: Bytes::from(data.to_string()),
        payload: Payload::Body,
    };
    Envelope::open(Arc::new(event)).unwrap()
}

/// Expressions as deep as they may be, and far deeper. A component's stack is half a megabyte.
#[tokio::test]
async fn the_stack_is_enough_for_what_check_passes() {
    let data = json!({ "no": false, "l": [1] });
    for (before, open, inner, close) in [
        ("", "(", "data.no", ")"),
        ("", "!", "data.no", ""),
        ("data", ".x", " == 1", ""),
        ("data['x.y']", "[data.no]", " == 1", ""),
        ("data.l[0]", " + 1", " == 1", ""),
        ("", "data.no ? true : ", "data.no", ""),
        ("", "[", "data.no", "] == []"),
        ("", "{'a': ", "data.no", "}.a == 1"),
        ("", "dyn(", "data.no", ")"),
        ("", "data.l.exists(x, x == 2 || ", "data.no", ")"),
        ("[] == ", "data.l.map(x, ", "data.no", ")"),
    ] {
        let nested = |times| before.to_owned() + &open.repeat(times) + inner + &close.repeat(times);
        let mut times = 64;
        while !problems(&nested(times)).await.is_empty() {
            times -= 1;
            assert!(times > 12, "{}", nested(times));
        }
        let verdict = decide(&nested(times), &data).await;
        assert!(verdict.is_ok(), "{}: {verdict:?}", nested(times));
        let beyond = problems(&nested(1100)).await;
        assert!(beyond[0].starts_with("the expression "), "{open}: {beyond:?}");
    }
}

#[tokio::test]
async fn the_longest_expression_and_the_deepest_event_are_within_the_limits() {
    let expression = "data.n == 1 || ".repeat(1090) + "data.n == 2";
    assert!((16_000..=16_384).contains(&expression.len()));
    assert_eq!(problems(&expression).await, [""; 0]);
    let verdict = decide(&expression, &json!({ "n": 2 })).await.unwrap();
    assert_eq!(verdict, FilterVerdict::Matched);

    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let same = json!({ "a": deep, "b": deep });
    let verdict = decide("data.a == data.b && size(data.a) == 1", &same).await.unwrap();
    assert_eq!(verdict, FilterVerdict::Matched);
}

#[tokio::test]
async fn loops_end_at_the_limit_and_harm_nobody() {
    let items: Vec<usize> = (0..2000).collect();
    let loops = "data.l.all(a, data.l.all(b, data.l.all(c, a + b + c >= 0)))";
    let error = decide(loops, &json!({ "l": items })).await.unwrap_err().to_string();
    assert!(error.contains("component `cel`") && error.contains("limit"), "{error}");
    let verdict = decide(loops, &json!({ "l": [1, 2] })).await.unwrap();
    assert_eq!(verdict, FilterVerdict::Matched);
}

/// Time is linear in the text, whatever the pattern.
#[tokio::test]
async fn no_pattern_is_slow() {
    let data = json!({ "text": "a".repeat(5000) });
    let verdict =
        decide("data.text.matches('^(a|a)*(a+)+$') && !data.text.matches('(a*)*b')", &data);
    assert_eq!(verdict.await.unwrap(), FilterVerdict::Matched);
}

//! Who considers an event, and who lets it pass: kinds, endpoints, scopes, filters, fences.

use hillock::model::content::Content;
use hillock::model::decision::Verdict;
use hillock::model::definition::Trigger;
use hillock::model::envelope::Way;
use hillock::model::id::TriggerId;
use hillock::model::scope::Scope;
use serde_json::json;

use super::{Scene, event, event_at};
use crate::harness::database::Database;

#[tokio::test]
async fn triggers_consider_their_kind_endpoint_and_scope() {
    let database = Database::sqlite();
    let own = "env:PATH";
    let triggers = json!([
        { "name": "exact", "event": "github.issues" },
        { "name": "below", "event": "github.*" },
        { "name": "narrow", "event": "github.*", "endpoint": "gh" },
        { "name": "owner", "event": "github.*", "endpoint_slug": "mine", "webhook_secret_ref": own },
        { "name": "acme", "event": "github.*", "workspace": "acme" },
    ]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let acme = Scope::parse("acme").unwrap();
    for (slug, kind, scope, wanted) in [
        ("gh", "github.issues", &Scope::Global, &["below", "exact", "narrow"][..]),
        ("gh", "github.issues.opened", &Scope::Global, &["below", "narrow"]),
        ("gh", "github", &Scope::Global, &[]),
        ("gh", "githubx.issues", &Scope::Global, &[]),
        ("other", "github.push", &Scope::Global, &["below"]),
        ("mine", "github.issues", &Scope::Global, &["owner"]),
        ("gh", "github.issues", &acme, &["acme"]),
        ("mine", "github.issues", &acme, &["acme"]),
    ] {
        let mut event = event_at(slug, kind, scope, &json!({}));
        if let ("mine", Way::Endpoint(arrival)) = (slug, &mut event.way) {
            let owner = TriggerId::derive(scope, "owner");
            arrival.webhook_id = Trigger::own_endpoint_id(scope, &owner);
        }
        let outcomes = scene.outcomes(event).await;
        let fired = wanted.iter().map(|name| ((*name).to_owned(), "fired")).collect::<Vec<_>>();
        assert_eq!(outcomes, fired, "{slug} {kind} in {scope:?}");
    }
}

#[tokio::test]
async fn a_filter_names_the_clause() {
    let database = Database::sqlite();
    let scene = Scene::of_triggers(
        &database,
        json!([{ "name": "t", "filter": { "data.a": "1", "data.b.0": "true" } }]),
    )
    .await;
    for (data, wanted) in [
        (json!({"a": 1, "b": [true]}), None),
        (json!({"a": "1", "b": ["true"]}), None),
        (json!({"a": 1.0, "b": [true]}), None),
        (json!({"a": 1, "b": [false]}), Some("data.b.0")),
        (json!({"a": null, "b": [true]}), Some("data.a")),
        (json!({"a": {"1": 1}, "b": [true]}), Some("data.a")),
        (json!({"b": [true]}), Some("data.a")),
    ] {
        match (&scene.decide(event(&data)).await[0].1, wanted) {
            (Verdict::Fired(_), None) => {}
            (Verdict::Filtered(why), Some(path)) => assert!(why.contains(path), "{data}: {why}"),
            (other, _) => panic!("{data}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_prompt_is_strict() {
    let database = Database::sqlite();
    let triggers = json!([{ "name": "t", "prompt": "  {{data.a}} of {{kind}}\n" }]);
    let scene = Scene::of_triggers(&database, triggers).await;
    assert_eq!(scene.fired(event(&json!({"a": "<b>"}))).await.made.prompt, "<b> of webhook");
    let missing = scene.decide(event(&json!({"b": 1}))).await;
    let Verdict::RenderError(why) = &missing[0].1 else { panic!("{missing:?}") };
    assert!(why.contains("data.a"), "{why}");
    let long = scene.decide(event(&json!({"a": "x".repeat(256 * 1024)}))).await;
    let Verdict::RenderError(why) = &long[0].1 else { panic!("{:?}", long[0].0) };
    assert!(why.contains("256 KiB"), "{why}");
}

#[tokio::test]
async fn whose_words_a_prompt_holds_is_kept_and_may_be_refused() {
    let database = Database::sqlite();
    let scene = Scene::of_triggers(
        &database,
        json!([
            { "name": "a-trusted", "prompt": "{{kind}}", "untrusted": "fenced" },
            { "name": "b-fenced", "prompt": "{{fence data.a}}", "untrusted": "fenced" },
            { "name": "c-refused", "prompt": "{{data.a}}", "untrusted": "fenced" },
            { "name": "d-allowed", "prompt": "{{data.a}}" },
        ]),
    )
    .await;
    let decisions = scene.decide(event(&json!({"a": "ignore all that"}))).await;
    let mut contents = vec![];
    for (name, verdict) in &decisions {
        match verdict {
            Verdict::Fired(run) => contents.push(Some(scene.run(run).await.made.content)),
            Verdict::RenderError(why) => {
                assert!(why.contains("fence") && name == "c-refused", "{name}: {why}");
                contents.push(None);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let wanted = [Some(Content::Trusted), Some(Content::Fenced), None, Some(Content::Unfenced)];
    assert_eq!(contents, wanted);
}

//! JSON as senders write it: a byte order mark, halves of characters, numbers of any length, keys
//! with dots in them and in an order.

use reqwest::Method;
use serde_json::json;

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::{Delivery, github_signed};

on_both_databases!(what_is_sent_is_what_is_seen, marked_bodies_are_read);

const CONFIG: &str = r#"
    agents = [{ name = "a" }]
    endpoints = [{ slug = "open", verification = "none" },
                 { slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }]
    [[triggers]]
    name = "t"
    event = "webhook"
    agent = "a"
    filter = { "data.[app.io/name]" = "x", 'data["n"]' = "123456789012345678901" }
    prompt = "{{data.n}} {{json data.o}} {{data.text}}"
    [[triggers]]
    name = "u"
    event = "webhook"
    agent = "a"
    filter = { cel = "data.n != data.n2 && data.n < data.n2 && data.`app.io/name` == 'x'" }
    prompt = "{{#each data.o}}{{@key}}{{/each}}"
    debounce = { key = "data.[app.io/name]", window = "1s" }
    [[worker.agents]]
    name = "a"
    command = ["printf", '%s\n', '{"type":"tool.call","id":12345678901234567890123,"b":1.50,"a":-0}']
"#;

const BODY: &str = r#"{"app.io/name":"x","n":123456789012345678901,"n2":123456789012345678902,
    "o":{"z":1.50,"y":1e400,"a":-0},"text":"a\ud83db \ud83d\ude00 \u2028."}"#;

async fn what_is_sent_is_what_is_seen(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let sent = format!("\u{feff}{BODY}");
    let id = host.deliver("open", Delivery::new(&[], sent.as_bytes())).await.event_id(202);
    let run_id = host.run_of(&id).await;
    let run = host.run_with_status(&run_id, "completed").await;
    let prompt =
        "123456789012345678901 {\"z\":1.50,\"y\":1e+400,\"a\":-0} a\u{fffd}b \u{1f600} \u{2028}.";
    assert_eq!(run["prompt"], prompt);

    let shown = host.get(&format!("events/{id}")).await;
    for wanted in ["\"n\":123456789012345678901,\"n2\":123456789012345678902", "\"a\u{fffd}b"] {
        assert!(shown.body.contains(wanted), "{wanted}: {}", shown.body);
    }
    let told = host.get(&format!("runs/{run_id}/events")).await.body;
    assert!(told.contains("\"id\":12345678901234567890123,\"b\":1.50,\"a\":-0"), "{told}");
    // As the program shows it.
    let mut show = folder.hillock(&["event", "show", &id, "--json"]);
    let said = show.env("HILLOCK_URL", &host.url).output().await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("\"n\": 123456789012345678901"), "{said}");
}

async fn marked_bodies_are_read(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let body = b"\xef\xbb\xbf{\"action\":\"opened\"}";
    let delivery = github_signed(crate::harness::folder::SECRET, "issues", "1", body);
    host.deliver("github", delivery).await.event_id(202);
    let twice = b"\xef\xbb\xbf\xef\xbb\xbf{}";
    let refused = host.deliver("open", Delivery::new(&[], twice)).await;
    assert!((400..=422).contains(&refused.status), "{refused:?}");

    let ask = |body: &[u8]| {
        let request =
            host.request(Method::POST, "tasks").header("content-type", "application/json");
        Answer::of(request.body(body.to_vec()))
    };
    let asked = json!({ "agent": "a", "message": "x", "idempotency_key": "k" }).to_string();
    let marked = [b"\xef\xbb\xbf", asked.as_bytes()].concat();
    let (first, again) = (ask(&marked).await, ask(asked.as_bytes()).await);
    assert_eq!(
        (first.status, again.json()["deduplicated"].as_bool()),
        (201, Some(true)),
        "{first:?}"
    );
    let reordered = r#"{"message":"x","idempotency_key":"k","agent":"a"}"#;
    assert_eq!(ask(reordered.as_bytes()).await.json()["deduplicated"], true);
}

//! Triggers tried without firing, and events explained, through the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::components;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github};

on_both_databases!(a_trial_says_what_would_be, an_event_is_explained);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }, { name = "agent", workspace = "acme" }]
    endpoints = [{ slug = "open", verification = "none" },
                 { slug = "other", verification = "none" },
                 { slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }]
    [[triggers]]
    name = "a"
    event = "webhook"
    endpoint = "open"
    agent = "agent"
    filter = { "data.n" = "1" }
    prompt = "{{fence data.text}}"
    [[triggers]]
    name = "b-off"
    event = "webhook"
    agent = "agent"
    prompt = "x"
    enabled = false
    [[triggers]]
    name = "c-held"
    event = "webhook"
    agent = "agent"
    prompt = "{{data.count}}"
    batch = { size = 5, wait = "1h" }
    [[triggers]]
    name = "d-limited"
    event = "webhook"
    agent = "agent"
    prompt = "x"
    fire_limit = { max = 1, window = "1h", over = "drop" }
    [[triggers]]
    name = "e-github"
    event = "github.*"
    agent = "agent"
    prompt = "{{data.text}}"
    [[triggers]]
    name = "f-own"
    event = "webhook"
    endpoint_slug = "own"
    webhook_secret_ref = "env:GITHUB_WEBHOOK_SECRET"
    agent = "agent"
    prompt = "x"
    [[triggers]]
    name = "elsewhere"
    workspace = "acme"
    event = "webhook"
    agent = "agent"
    prompt = "x"
"#;

async fn deliver(host: &Host, body: &Value) -> String {
    let delivery = Delivery::new(&[], body.to_string().as_bytes());
    host.deliver("open", delivery).await.event_id(202)
}

async fn a_trial_says_what_would_be(database: Database) {
    let hook = "[[hooks]]\nname = \"guard\"\npoints = [\"trigger.pre_fire\"]\n\
                component = \"hostile-pre-fire\"\nworkspace = \"acme\"\n\
                config = { mode = \"cancel\", why = \"no\" }\n";
    let wasm = components::folder().join("hostile_pre_fire.wasm");
    let plugin =
        format!("[[plugins]]\nname = \"hostile-pre-fire\"\nversion = \"1\"\npath = {wasm:?}\n");
    let folder = Folder::new(database, &format!("{CONFIG}{hook}{plugin}")).await;
    let host = folder.serve().await;
    let event = deliver(&host, &json!({ "n": 1, "text": "hello" })).await;
    host.decided(&event).await;
    let runs = host.items("runs").await.len();
    let test = async |trigger: &str, body: Value| {
        let answer = host.send(Method::POST, &format!("triggers/{trigger}/test"), &body).await;
        assert_eq!(answer.status, 200, "{trigger} {body}: {answer:?}");
        answer.json()
    };
    let trial = test("a", json!({ "event_id": event })).await;
    assert_eq!(trial["outcome"], "would_fire");
    assert_eq!(trial["prompt"], "```\nhello\n```");
    assert_eq!(trial["untrusted_content"], "fenced");
    assert_eq!(trial["stages"]["filter"]["component"], "match");
    let at = |slug: &str, data: Value| json!({ "envelope": { "kind": "webhook", "data": data, "endpoint": { "slug": slug } } });
    for (trigger, body, outcome, reason) in [
        ("a", at("open", json!({ "n": 2 })), "filtered", "data.n"),
        ("a", at("open", json!({ "n": 1 })), "render_error", "data.text"),
        ("a", at("other", json!({ "n": 1 })), "not_considered", "endpoint `open`"),
        ("a", json!({ "envelope": { "kind": "x" } }), "not_considered", "`webhook`"),
        ("b-off", json!({ "event_id": event }), "disabled", "switched off"),
        ("c-held", at("open", json!({ "count": 3 })), "would_fire", "wait for others"),
        ("d-limited", json!({ "event_id": event }), "would_fire", ""),
        ("e-github", json!({ "event_id": event }), "not_considered", "`github.*`"),
        ("elsewhere?workspace=acme", at("open", json!({})), "canceled", "`guard`: no"),
    ] {
        let (name, query) = trigger.split_once('?').unwrap_or((trigger, ""));
        let answer =
            host.send(Method::POST, &format!("triggers/{name}/test?{query}"), &body).await.json();
        assert_eq!(answer["outcome"], outcome, "{trigger}: {answer}");
        let said = answer["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{trigger}: {answer}");
    }
    let deep =
        json!({ "envelope": { "kind": "webhook", "depth": 8, "endpoint": { "slug": "open" } } });
    assert_eq!(test("a", deep).await["outcome"], "loop_guard");
    for (body, status) in [
        (json!({}), 422),
        (json!({ "envelope": { "data": {} } }), 422),
        (json!({ "event_id": event, "envelope": { "kind": "x" } }), 422),
        (json!({ "event_id": "evt_00000000000000000000000000000000" }), 404),
    ] {
        let answer = host.send(Method::POST, "triggers/a/test", &body).await;
        answer.problem(status);
    }
    let wrong =
        host.send(Method::POST, "triggers/a/test", &json!({ "envelope": { "kind": "X" } })).await;
    assert_eq!(wrong.json()["problems"][0]["path"], "envelope.kind");
    assert_eq!(host.items("runs").await.len(), runs, "a trial makes none");
}

async fn an_event_is_explained(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let first = deliver(&host, &json!({ "n": 1, "text": "hello" })).await;
    host.decided(&first).await;
    let second = deliver(&host, &json!({ "n": 2 })).await;
    host.decided(&second).await;
    let told = host.read(&format!("events/{second}/explain")).await;
    let considered: Vec<(&str, &str)> = told["considered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["trigger"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    let wanted =
        [("a", "filtered"), ("b-off", "disabled"), ("c-held", "held"), ("d-limited", "limited")];
    assert_eq!(considered, wanted);
    assert!(told["considered"][2]["held_until"].is_string(), "{told}");
    assert!(told["considered"][3]["retry_at"].is_string(), "{told}");
    let others = told["not_considered"].as_array().unwrap();
    let others: Vec<(&str, &str)> = others
        .iter()
        .map(|one| (one["trigger"].as_str().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        others,
        [("e-github", "it listens to `github.*`"), ("f-own", "it listens to the endpoint `own`")]
    );
    assert_eq!(
        (&told["repeats"], &told["depth"], &told["verified"]),
        (&json!(0), &json!(0), &Value::Null)
    );

    let told = host.read(&format!("events/{first}/explain")).await;
    assert_eq!(told["considered"][0]["run"]["status"], "scheduled");
    assert_eq!(told["considered"][2]["outcome"], "held");

    let issue = || github(Payload::IssueOpened, "d-1");
    let known = host.deliver("github", issue()).await.event_id(202);
    for _ in 0..2 {
        assert_eq!(host.deliver("github", issue()).await.event_id(200), known);
    }
    host.decided(&known).await;
    let told = host.read(&format!("events/{known}/explain")).await;
    assert_eq!((&told["repeats"], &told["verified"]["scheme"]), (&json!(2), &json!("github")));
    assert_eq!(told["considered"][0]["outcome"], "render_error");
    host.get(&format!("events/{known}/explain?workspace=acme")).await.problem(404);
    host.get("events/evt_1/explain").await.problem(404);
}

//! Prompts and decisions of what senders can write: missing fields, control characters, markup.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github};

on_both_databases!(text_from_outside_reaches_the_agent_unharmed, every_trigger_decides_for_itself);

async fn text_from_outside_reaches_the_agent_unharmed(database: Database) {
    let config = r#"
        agents = [{ name = "echo" }]
        endpoints = [{ slug = "open", verification = "none" }]
        [[triggers]]
        name = "echo"
        event = "webhook"
        agent = "echo"
        prompt = "{{data.text}}"
        [[triggers]]
        name = "other"
        event = "webhook"
        agent = "echo"
        filter = { "data.text" = "other" }
        prompt = "other"
        [[worker.agents]]
        name = "echo"
        command = ["cat"]
    "#;
    let folder = Folder::new(database, config).await;
    let host = folder.serve().await;
    for (text, prompt) in [
        ("<b>&amp;\"'`$(id)` {{data.text}} 😱", "<b>&amp;\"'`$(id)` {{data.text}} 😱"),
        ("a\u{0}b", "a\u{fffd}b"),
        ("\u{1b}[31mred\u{7}", "\u{1b}[31mred\u{7}"),
    ] {
        let body = json!({ "text": text }).to_string();
        let id = host.deliver("open", Delivery::new(&[], body.as_bytes())).await.event_id(202);
        let run_id = host.run_of(&id).await;
        let run = host.run_with_status(&run_id, "completed").await;
        assert_eq!(run["prompt"], prompt);
        assert_eq!(host.logs(&run_id).await, [("stdout".to_owned(), prompt.to_owned())]);
        let event = host.decided(&id).await;
        assert_eq!(event["envelope"]["data"]["text"], text);
        assert_eq!(
            (&event["verified"], &event["decisions"][1]["outcome"]),
            (&Value::Null, &json!("filtered"))
        );
    }
}

async fn every_trigger_decides_for_itself(database: Database) {
    let config = r#"
        agents = [{ name = "triager" }]
        endpoints = [{ slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" },
                     { slug = "other", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }]
        [[triggers]]
        name = "a-fires"
        event = "github.*"
        agent = "triager"
        prompt = "no field"
        [[triggers]]
        name = "b-lacks-a-field"
        event = "github.issues"
        agent = "triager"
        prompt = "{{data.pull_request.title}}"
        [[triggers]]
        name = "c-is-off"
        event = "github.issues"
        agent = "triager"
        prompt = "x"
        enabled = false
        [[triggers]]
        name = "d-wants-another-label"
        event = "github.issues"
        agent = "triager"
        filter = { "data.action" = "opened", "data.issue.labels.0.name" = "feature" }
        prompt = "x"
        [[triggers]]
        name = "e-listens-elsewhere"
        event = "github.issues"
        endpoint = "other"
        agent = "triager"
        prompt = "x"
        [[triggers]]
        name = "f-has-an-empty-prompt"
        event = "github.issues"
        agent = "triager"
        prompt = "{{#if data.issue.locked}}locked{{/if}}"
    "#;
    let folder = Folder::new(database, config).await;
    let host = folder.serve().await;
    let id = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let event = host.decided(&id).await;
    let decisions = event["decisions"].as_array().unwrap();
    let found: Vec<(&str, &str)> = decisions
        .iter()
        .map(|d| (d["trigger"].as_str().unwrap(), d["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("a-fires", "fired"),
            ("b-lacks-a-field", "render_error"),
            ("c-is-off", "disabled"),
            ("d-wants-another-label", "filtered"),
            ("f-has-an-empty-prompt", "render_error"),
        ]
    );
    let missing = decisions[1]["reason"].as_str().unwrap();
    assert!(missing.contains("data.pull_request"), "{missing}");
    assert_eq!(decisions[3]["reason"], "data.issue.labels.0.name is `bug`, not `feature`");
}

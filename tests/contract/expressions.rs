//! Triggers that are filtered by CEL expressions.

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

on_both_databases!(an_expression_decides_and_says_why);

/// The outcome and reason of a trigger with this filter, on a new issue with the label `bug`.
const FILTERS: &[(&str, &str, &str)] = &[
    (
        r#"{ cel = "data.action == 'opened' && data.issue.labels.exists(l, l.name == 'bug')" }"#,
        "fired",
        "",
    ),
    (
        r#"{ component = "cel", config = "data.issue.number > 2.5 && !has(data.pull_request)" }"#,
        "fired",
        "",
    ),
    (
        r#"{ component = "cel", config = { expression = "timestamp(received_at) > timestamp('2026-01-01T00:00:00Z')" } }"#,
        "fired",
        "",
    ),
    (
        r#"{ cel = "kind == 'github.issues' && data.action == 'closed' && data.nowhere" }"#,
        "filtered",
        "`data.action == 'closed'` is false",
    ),
    (r#"{ cel = "data.issue.nowhere != true" }"#, "filtered", "`data.issue.nowhere` is not there"),
    (
        r#"{ cel = "data.issue.title" }"#,
        "component_error",
        "`data.issue.title` gives a string, not a bool",
    ),
];

async fn an_expression_decides_and_says_why(database: Database) {
    let mut config = String::from(
        r#"
        agents = [{ name = "echo" }]
        endpoints = [{ slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }]
        "#,
    );
    for (i, (filter, ..)) in FILTERS.iter().enumerate() {
        config += &format!(
            "[[triggers]]\nname = \"t-{i}\"\nevent = \"github.issues\"\nagent = \"echo\"\n\
             filter = {filter}\nprompt = \"x\"\n"
        );
    }
    let folder = Folder::new(database, &config).await;
    let host = folder.serve().await;
    let id = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let event = host.decided(&id).await;
    let decisions = event["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), FILTERS.len());
    for (decision, (filter, outcome, reason)) in decisions.iter().zip(FILTERS) {
        assert_eq!(decision["outcome"], *outcome, "{filter}: {decision}");
        let given = decision["reason"].as_str().unwrap_or_default();
        assert!(given.ends_with(reason), "{filter}: {decision}");
    }
}

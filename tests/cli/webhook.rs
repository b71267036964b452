//! `hillock webhook send`: what it sends is what a sender sends.

use super::{ask, contract_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::payloads::Payload;
use crate::harness::senders::STANDARD_SECRET;

#[tokio::test]
async fn a_file_is_signed_sent_and_followed() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    folder.write("issue.json", &String::from_utf8(Payload::IssueOpened.body()).unwrap());
    let send = ["webhook", "send", "github", "--event", "issues", "--file", "issue.json"];
    let waiting =
        [&send[..], &["--wait", "--delivery", "d-1", "--config", "hillock.toml"]].concat();
    let first = ask(&folder, &host, &waiting).await;
    assert!(first.success, "{first:?}");
    assert!(first.stdout.starts_with("202 Accepted: accepted as evt_"), "{first:?}");
    assert!(first.stdout.contains("triage-new-issues  fired run_"), "{first:?}");
    assert!(first.stdout.ends_with("Crash when a webhook's body is empty\ntriaged\n"), "{first:?}");
    let same = [&send[..], &["--delivery", "d-1"]].concat();
    let again = ask(&folder, &host, &same).await.good();
    assert!(again.starts_with("200 OK: already known as evt_"), "{again}");
    // By another name, it is another event.
    let anew = ask(&folder, &host, &send).await.good();
    assert!(anew.starts_with("202 Accepted: accepted as evt_"), "{anew}");
}

#[tokio::test]
async fn every_scheme_can_be_sent() {
    let config = r#"
        endpoints = [
            { slug = "generic", source = "generic", secret_ref = "env:GITHUB_WEBHOOK_SECRET" },
            { slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" },
            { slug = "standard", source = "standard-webhooks", secret_ref = "env:STANDARD" },
        ]
    "#;
    let folder = Folder::new(Database::sqlite(), config).await.env("STANDARD", STANDARD_SECRET);
    let host = folder.serve().await;
    folder.write("body.json", "{\"type\":\"a.b\"}");
    for (endpoint, kind) in
        [("generic", "webhook"), ("github", "github.push"), ("standard", "webhook.a.b")]
    {
        let send = ["webhook", "send", endpoint, "--file", "body.json", "--json"];
        let said = ask(&folder, &host, &send).await.json();
        let event = host.decided(said["event_id"].as_str().unwrap()).await;
        assert_eq!(event["kind"], kind);
        assert!(event["verified"].is_object(), "{event}");
    }
}

#[tokio::test]
async fn a_refusal_is_told() {
    let folder = contract_folder().await.env("OTHER", "another");
    let host = folder.serve().await;
    folder.write("body.json", "{");
    let send = ["webhook", "send", "github", "--file", "body.json"];
    let wrong = [&send[..], &["--secret", "env:OTHER"]].concat();
    for (args, wanted) in [
        (&send[..], "error: the request is not what this endpoint's source sends"),
        (&wrong, "error: the request was not accepted"),
        (
            &["webhook", "send", "github", "--file", "nowhere.json"],
            "error: cannot read nowhere.json",
        ),
        (
            &["webhook", "send", "nope", "--file", "body.json"],
            "hillock.toml has no endpoint `nope`",
        ),
    ] {
        let said = ask(&folder, &host, args).await.bad();
        assert!(said.contains(wanted), "{said}");
    }
    assert_eq!(folder.database.count("events").await, 0);
}

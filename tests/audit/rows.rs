//! What rows say: by whom, from where, and never a secret.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::{CONFIG, actions, id, make, rows, serve, task};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(files_are_authors, a_row_says_by_whom_and_from_where, no_row_holds_a_secret);

/// The one row of an action.
async fn row_of(host: &Host, action: &str) -> Value {
    let rows = rows(host, &format!("action={action}")).await;
    let [row] = &rows[..] else { panic!("{action}: {rows:?}") };
    row.clone()
}

async fn files_are_authors(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let key = row_of(&host, "key.create").await;
    assert_eq!(key["actor"], json!({ "kind": "host", "id": null }));
    let begun = rows(&host, "actor=config").await;
    assert_eq!(actions(&begun), ["definition.create"; 6], "those of the workspace are its own");
    let theirs = rows(&host, "workspace=acme").await;
    let [theirs] = &theirs[..] else { panic!("{theirs:?}") };
    assert_eq!((&theirs["object"]["name"], &theirs["workspace_id"]), (&json!("b"), &json!("acme")));
    assert_eq!(theirs["from"]["peer"], Value::Null);

    folder.write("hillock.toml", &CONFIG.replace("\"0 * * * *\"", "\"1 * * * *\""));
    make(&host, Method::POST, "config/reload", None).await;
    let [.., update, reload] = &rows(&host, "").await[..] else { panic!("no rows") };
    assert_eq!(
        (&update["action"], &update["object"]["name"]),
        (&json!("definition.update"), &json!("j"))
    );
    assert_eq!(update["actor"]["kind"], "config");
    assert_eq!(
        (&reload["action"], &reload["actor"]["kind"]),
        (&json!("config.reload"), &json!("key"))
    );
    let counts = json!({ "created": 0, "updated": 1, "unchanged": 6, "deleted": 0 });
    assert_eq!(reload["detail"], counts);

    folder.write("hillock.toml", CONFIG);
    host.process.signal(Signal::SIGHUP);
    let by_host = async || {
        let rows = rows(&host, "action=config.reload&actor=host").await;
        rows.first().cloned()
    };
    let reload = wait::until("the files to be read again", by_host).await;
    assert_eq!(reload["from"], json!({ "peer": null, "request_id": null, "user_agent": null }));
    let [.., before, after] = &rows(&host, "object=j").await[..] else { panic!("no rows") };
    assert_eq!(before["after"], after["before"]);
    let first = rows(&host, "object=j").await[0].clone();
    assert_eq!(after["after"], first["after"], "the file says what it said");

    // A start that finds everything as it was has nothing to tell.
    let count = rows(&host, "").await.len();
    drop(host);
    let host = folder.serve().await;
    assert_eq!(rows(&host, "").await.len(), count);
}

async fn a_row_says_by_whom_and_from_where(database: Database) {
    let (_folder, host) = serve(database).await;
    let body = json!({ "agent": "b", "message": "do" });
    let request = host
        .request(Method::POST, "tasks?workspace=acme")
        .header("x-request-id", "r-17")
        .header("user-agent", "x".repeat(500))
        .json(&body);
    let made = Answer::of(request).await.json();
    let rows_of_acme = rows(&host, "workspace=acme&object=task").await;
    let [row] = &rows_of_acme[..] else { panic!("{rows_of_acme:?}") };
    assert_eq!((&row["scope"], &row["workspace_id"]), (&json!("workspace"), &json!("acme")));
    assert_eq!(row["object"], json!({ "kind": "task", "id": made["id"], "name": null }));
    assert_eq!(row["detail"], json!({ "agent": "b", "run_id": made["run_id"] }));
    let key = row_of(&host, "key.create").await;
    assert_eq!(row["actor"], json!({ "kind": "key", "id": key["object"]["id"] }));
    let agent = format!("{}…", "x".repeat(120));
    let from = json!({ "peer": "127.0.0.1", "request_id": "r-17", "user_agent": agent });
    assert_eq!(row["from"], from);
    assert!(rows(&host, "object=task").await.is_empty(), "not the global scope's");

    // Who has a token registers itself.
    let token = make(&host, Method::POST, "workers/tokens", Some(&json!({}))).await;
    let url = format!("{}/api/v1/workers/register", host.url);
    let joining = host.http.post(url).bearer_auth(token["token"].as_str().unwrap());
    let worker = Answer::of(joining.json(&json!({ "name": "box" }))).await.json();
    let row = row_of(&host, "worker.register").await;
    assert_eq!(row["actor"], json!({ "kind": "worker", "id": worker["id"] }));
    assert_eq!(row["detail"], json!({ "token": token["id"] }));
    assert_eq!(
        (&row["object"]["name"], &row["from"]["peer"]),
        (&json!("box"), &json!("127.0.0.1"))
    );

    // What comes in is data, and no change by anybody.
    let before = rows(&host, "").await.len();
    let event = host.deliver("open", crate::harness::senders::Delivery::new(&[], b"{}")).await;
    host.run_of(&event.event_id(202)).await;
    assert_eq!(rows(&host, "").await.len(), before);
}

async fn no_row_holds_a_secret(database: Database) {
    const PROMPT: &str = "words-of-a-prompt";
    const PAYLOAD: &str = "words-of-a-payload";
    const INPUT: &str = "words-of-an-input";
    let (_folder, host) = serve(database).await;
    let endpoint = json!({ "slug": "x", "secret_ref": "env:GITHUB_WEBHOOK_SECRET" });
    make(&host, Method::POST, "endpoints", Some(&endpoint)).await;
    let trigger = json!({ "name": "x", "event": "webhook", "agent": "a", "prompt": PROMPT });
    make(&host, Method::POST, "triggers", Some(&trigger)).await;
    let fire = json!({ "data": { "text": PAYLOAD } });
    make(&host, Method::POST, "triggers/x/fire", Some(&fire)).await;
    let body = json!({ "agent": "a", "message": PROMPT, "label": PAYLOAD });
    let made = id(&make(&host, Method::POST, "tasks", Some(&body)).await);
    let input = json!({ "text": INPUT });
    make(&host, Method::POST, &format!("tasks/{made}/input"), Some(&input)).await;
    let token = make(&host, Method::POST, "workers/tokens", Some(&json!({}))).await;
    let name = json!({ "name": "box" });
    let worker = make(&host, Method::POST, "workers/register", Some(&name)).await;
    let rotate = format!("workers/{}/rotate", id(&worker));
    let rotated = make(&host, Method::POST, &rotate, None).await;
    task(&host, "a").await;

    let text = host.get("audit/export").await.body;
    assert!(text.lines().count() > 12, "{text}");
    let said = |value: &Value| value.as_str().unwrap().to_owned();
    let secrets = [&token["token"], &worker["credential"], &rotated["credential"]].map(said);
    for secret in secrets.iter().map(String::as_str).chain([&*host.key, SECRET]) {
        assert!(!text.contains(secret), "{text}");
        // Nor what people may see of it elsewhere.
        assert!(!text.contains(&secret[..16]), "{text}");
    }
    for words in [PROMPT, PAYLOAD, INPUT] {
        assert!(!text.contains(words), "{text}");
    }
}

//! Names pass from one definition to another; what one has done, and where it answers, stays its own.

use reqwest::Method;
use serde_json::{Value, json};

use super::{OPEN, create, delete, patch};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(
    history_stays_with_its_job,
    a_triggers_webhook_keeps_its_identifier,
    one_from_before_keeps_the_identifier_of_its_slug,
);

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

fn job(name: &str) -> Value {
    json!({ "name": name, "schedule": { "cron": "0 0 1 1 *" }, "prompt": "x", "agent": "a",
            "overlap": "allow" })
}

async fn runs(host: &Host, query: &str) -> Vec<String> {
    let page = host.read(&format!("runs?{query}")).await;
    page["items"].as_array().unwrap().iter().map(|run| id(run).to_owned()).collect()
}

async fn fire(host: &Host, job: &str) -> String {
    let fired = host.post(&format!("jobs/{job}/trigger")).await;
    assert_eq!(fired.status, 202, "{fired:?}");
    id(&fired.json()).to_owned()
}

async fn history_stays_with_its_job(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let host = folder.serve().await;
    let first = create(&host, "jobs", &job("nightly")).await;
    let run = fire(&host, "nightly").await;
    let renamed = patch(&host, "jobs/nightly", &json!({ "name": "weekly" })).await;
    assert_eq!((renamed.status, &renamed.json()["id"]), (200, &first["id"]));
    assert_eq!(runs(&host, "job=weekly").await, [run.as_str()]);
    assert_eq!(runs(&host, &format!("job={}", id(&first))).await, [run.as_str()]);
    assert!(runs(&host, "job=nightly").await.is_empty());

    let second = create(&host, "jobs", &job("nightly")).await;
    let other = fire(&host, "nightly").await;
    let page = host.read("runs?job=nightly").await;
    assert_eq!(page["of"], json!({ "kind": "job", "id": second["id"], "name": "nightly" }));
    assert_eq!(runs(&host, "job=nightly").await, [other.as_str()]);
    assert_eq!(runs(&host, "job=weekly").await, [run.as_str()]);
    assert_eq!(delete(&host, "jobs/weekly").await.status, 204);
    for path in [format!("runs?job={}", id(&first)), format!("jobs/{}/runs", id(&first))] {
        assert_eq!(host.read(&path).await["items"][0]["id"], run.as_str(), "{path}");
    }
    assert_eq!(host.get("jobs/nobody/runs").await.problem(404), "not_found");
    let output = folder
        .hillock(&["run", "list", "--job", "nightly"])
        .env("HILLOCK_URL", &host.url)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(id(&second)), "{said}");
}

fn own(slug: &str) -> Value {
    json!({ "name": "own", "event": "webhook", "agent": "a", "prompt": "x", "fire_limit": "none",
            "endpoint_slug": slug, "webhook_secret_ref": "env:GITHUB_WEBHOOK_SECRET" })
}

/// What is answered to who does not sign: 401 where there is an endpoint.
async fn knock(host: &Host, place: &str) -> Answer {
    host.deliver(place, Delivery::new(&[], b"{}")).await
}

async fn a_triggers_webhook_keeps_its_identifier(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let host = folder.serve().await;
    let made = create(&host, "triggers", &own("before")).await;
    let webhook = id(&made["webhook"]).to_owned();
    let moved = patch(&host, "triggers/own", &json!({ "endpoint_slug": "after" })).await.json();
    assert_eq!(
        (id(&moved["webhook"]), &moved["webhook"]["path"]),
        (&*webhook, &json!("/webhooks/after"))
    );
    assert_eq!(knock(&host, &webhook).await.status, 401);
    assert_eq!(knock(&host, "after").await.status, 401);
    assert_eq!(knock(&host, "before").await.status, 404);
    // Who has the slug now is somebody else.
    let mut other = own("before");
    other["name"] = "other".into();
    let other = create(&host, "triggers", &other).await;
    assert_ne!(id(&other["webhook"]), webhook);
    let off = patch(
        &host,
        "triggers/own",
        &json!({ "endpoint_slug": null,
        "webhook_secret_ref": null }),
    )
    .await;
    assert_eq!(off.status, 200, "{off:?}");
    let on = patch(&host, "triggers/own", &own("again")).await.json();
    assert_eq!(id(&on["webhook"]), webhook);
}

/// As a version before has made it: the identifier is the slug's, and stays.
async fn one_from_before_keeps_the_identifier_of_its_slug(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let mut host = folder.serve().await;
    create(&host, "triggers", &own("before")).await;
    assert!(host.process.stop().await.success());
    folder.database.execute("UPDATE definitions SET webhook_id = NULL").await;
    let host = folder.serve().await;
    let webhook = id(&host.read("triggers/own").await["webhook"]).to_owned();
    let derived =
        hillock::model::id::WebhookId::derive(&hillock::model::scope::Scope::Global, "before");
    assert_eq!(webhook, derived.as_str());
    let moved = patch(&host, "triggers/own", &json!({ "endpoint_slug": "after" })).await.json();
    assert_eq!(id(&moved["webhook"]), webhook);
    // A configured endpoint's identifier would be the same.
    let endpoint = "[[endpoints]]\nslug = \"before\"\nverification = \"none\"\n";
    folder.write("hillock.toml", &format!("{endpoint}{}", OPEN_AGENT));
    let answer = host.send(Method::POST, "config/reload?force=true", &json!({})).await;
    assert_eq!(answer.problem(422), "invalid_configuration", "{answer:?}");
}

const OPEN_AGENT: &str = "[[agents]]\nname = \"a\"\n";

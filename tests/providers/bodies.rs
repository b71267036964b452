//! Bodies as senders write them: forms, content codings, and what only the sender can mend.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::SECRET;
use crate::harness::on_both_databases;
use crate::harness::senders::{Delivery, generic, github_signed, now, standard};

on_both_databases!(forms_are_read, coded_bodies_are_read);

const FORM: &str = "application/x-www-form-urlencoded";

async fn forms_are_read(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let form = |delivery: Delivery| delivery.with("content-type", FORM);
    let payload = br#"payload=%7B%22zen%22%3A%22a+b%26c%22%7D"#;
    let sent = form(github_signed(SECRET, "ping", "d-1", payload));
    let id = host.deliver("github", sent).await.event_id(202);
    let event = host.decided(&id).await;
    assert_eq!(
        (&event["kind"], &event["envelope"]["data"]),
        (&json!("github.ping"), &json!({ "zen": "a b&c" }))
    );
    let fields = b"name=J%C3%BCrgen+B&tag=a&tag=b&empty=";
    let wanted = json!({ "name": "J\u{fc}rgen B", "tag": ["a", "b"], "empty": "" });
    for (path, delivery, wanted) in [
        ("generic", form(generic("d-1", now(), fields)), &wanted),
        ("open", form(Delivery::new(&[], fields)), &wanted),
        ("open", form(Delivery::new(&[], b" {\"a\":1}")), &json!({ "a": 1 })),
    ] {
        let id = host.deliver(path, delivery).await.event_id(202);
        assert_eq!(host.decided(&id).await["envelope"]["data"], *wanted, "{path}");
    }
    for (what, path, delivery, status) in [
        (
            "altered",
            "github",
            Delivery {
                body: b"payload=%7B%7D".into(),
                ..form(github_signed(SECRET, "ping", "d-2", payload))
            },
            401,
        ),
        ("no payload", "github", form(github_signed(SECRET, "ping", "d-3", b"x=1")), 422),
        ("no JSON", "github", form(github_signed(SECRET, "ping", "d-4", b"payload=x")), 422),
        ("two", "github", form(github_signed(SECRET, "ping", "d-5", b"payload=1&payload=1")), 422),
        ("nothing", "open", form(Delivery::new(&[], b"")), 422),
        ("broken JSON", "open", form(Delivery::new(&[], b"{\"a\":")), 422),
        (
            "files",
            "open",
            Delivery::new(&[], b"x").with("content-type", "multipart/form-data; boundary=x"),
            415,
        ),
    ] {
        assert_eq!(host.deliver(path, delivery).await.status, status, "{what}");
    }
}

/// A sender signs what it sends.
async fn coded_bodies_are_read(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let body = br#"{"type":"invoice.paid"}"#;
    let coded = gzip(body);
    let marked = |delivery: Delivery| delivery.with("content-encoding", "gzip");
    for (path, delivery) in [
        ("open", marked(Delivery::new(&[], &coded))),
        ("generic", marked(generic("d-1", now(), &coded))),
        ("github", marked(github_signed(SECRET, "ping", "d-1", &coded))),
        ("standard", marked(standard("webhook", "d-1", now(), &coded))),
        ("open", Delivery::new(&[], body).with("content-encoding", "identity")),
    ] {
        let id = host.deliver(path, delivery).await.event_id(202);
        let event = host.decided(&id).await;
        assert_eq!(event["envelope"]["data"], json!({ "type": "invoice.paid" }), "{path}");
    }
    let of_the_content = generic("d-2", now(), body);
    let altered = Delivery { body: coded.clone(), ..marked(of_the_content) };
    assert_eq!(host.deliver("generic", altered).await.status, 401);

    let unknown = marked(Delivery::new(&[], &coded)).with("content-encoding", "br");
    let answer = host.deliver("open", unknown).await;
    assert_eq!(answer.problem(415), "unsupported_encoding");
    assert_eq!(answer.headers["accept-encoding"], "gzip, deflate");
    let not_so = marked(Delivery::new(&[], body));
    assert_eq!(host.deliver("open", not_so).await.problem(422), "malformed_encoding");
    let bomb = marked(Delivery::new(&[], &gzip(&vec![b' '; 20_000_000])));
    assert_eq!(host.deliver("open", bomb).await.problem(413), "body_too_large");

    let hook = json!({ "name": "coded" }).to_string();
    let create = |coding: &'static str, body: Vec<u8>| {
        let request = host.request(reqwest::Method::POST, "agents");
        request.header("content-encoding", coding).body(body)
    };
    assert_eq!(Answer::of(create("gzip", gzip(hook.as_bytes()))).await.status, 201);
    let refused = Answer::of(create("zstd", hook.clone().into_bytes())).await;
    assert_eq!(refused.problem(415), "unsupported_encoding");
    assert_eq!(refused.headers["accept-encoding"], "gzip, deflate");
    let refused = Answer::of(create("gzip", hook.into_bytes())).await;
    assert_eq!(refused.problem(422), "malformed_encoding");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What only the sender can mend is no fault of the host's.
#[tokio::test]
async fn a_senders_fault_is_the_senders() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let long = "e".repeat(2000);
    let with_type = json!({ "type": long }).to_string();
    for (what, path, delivery, status) in [
        ("a long event", "github", github_signed(SECRET, &long, "d-1", b"{}"), 422),
        ("a long id", "github", github_signed(SECRET, "push", &long, b"{}"), 422),
        ("an odd event", "github", github_signed(SECRET, "Not/An.Event", "d-2", b"{}"), 422),
        (
            "two events",
            "github",
            github_signed(SECRET, "push", "d-3", b"{}").and("x-github-event", "ping"),
            422,
        ),
        (
            "two ids",
            "github",
            github_signed(SECRET, "push", "d-4", b"{}").and("x-github-delivery", "d-5"),
            422,
        ),
        ("a long id", "generic", generic(&long, now(), b"{}"), 422),
        ("a long id", "standard", standard("webhook", &long, now(), b"{}"), 422),
        ("a long type", "standard", standard("webhook", "d-1", now(), with_type.as_bytes()), 202),
        ("a long event, unsigned", "open-github", github_signed(SECRET, &long, "d-1", b"{}"), 422),
    ] {
        let answer = host.deliver(path, delivery).await;
        assert_eq!(answer.status, status, "{path}: {what}: {answer:?}");
        if status == 422 {
            assert!(answer.json()["detail"].is_string(), "{path}: {what}: {answer:?}");
        }
    }
    assert!(!folder.read("serve.log").unwrap().contains("ERROR"));
}

//! What senders sign and how they are refused: `generic`, `github` and `standard-webhooks`, as
//! their documentation has it, on both databases.

mod bodies;
mod repeats;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{
    Delivery, STANDARD_SECRET, generic, github, github_signed, hmac, now, public_key, standard,
    standard_ed25519,
};

on_both_databases!(
    real_senders_are_accepted,
    freshness_is_five_minutes_both_ways,
    anything_altered_is_refused,
    bodies_must_be_what_the_source_reads,
    duplicates_are_known_by_what_is_signed,
    old_and_new_secrets_hold_during_a_rotation,
    an_open_endpoint_says_so,
    endpoints_have_three_addresses,
);

const CONFIG: &str = r#"
    endpoints = [
        { slug = "generic", source = "generic", secret_ref = "env:GITHUB_WEBHOOK_SECRET" },
        { slug = "github", source = "github", secret_refs = ["env:NEW", "env:GITHUB_WEBHOOK_SECRET", "file:old-secret"] },
        { slug = "standard", source = "standard-webhooks", secret_ref = "env:STANDARD" },
        { slug = "standard-keys", source = "standard-webhooks", secret_refs = ["env:PUBLIC", "env:STANDARD"] },
        { slug = "open", source = "generic", verification = "none" },
        { slug = "open-github", source = "github", verification = "none" },
        { slug = "closed", source = "generic", secret_ref = "env:GITHUB_WEBHOOK_SECRET", enabled = false },
        { slug = "small", source = "generic", verification = "none", body_max = 10 },
        { slug = "once", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET", config = { replay = "refuse" } },
        { slug = "generic", workspace = "acme", source = "generic", secret_ref = "env:ACME" },
    ]
"#;
const BODY: &[u8] = br#"{"type":"invoice.paid","data":{"id":"inv_7"}}"#;

async fn folder(database: Database) -> Folder {
    let folder = Folder::new(database, CONFIG)
        .await
        .env("NEW", "the new secret")
        .env("ACME", "acme's secret")
        .env("STANDARD", STANDARD_SECRET)
        .env("PUBLIC", &public_key());
    folder.write("old-secret", "the old secret\n");
    folder
}

async fn real_senders_are_accepted(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (endpoint, delivery, kind, key_ref) in [
        ("generic", generic("d-1", now(), BODY), "webhook", "env:GITHUB_WEBHOOK_SECRET"),
        ("github", github(Payload::Ping, "d-1"), "github.ping", "env:GITHUB_WEBHOOK_SECRET"),
        (
            "standard",
            standard("webhook", "d-1", now(), BODY),
            "webhook.invoice.paid",
            "env:STANDARD",
        ),
        ("standard", standard("svix", "d-2", now(), BODY), "webhook.invoice.paid", "env:STANDARD"),
        ("standard", standard("webhook", "d-3", now(), b"[1]"), "webhook", "env:STANDARD"),
        (
            "standard-keys",
            standard_ed25519("d-4", now(), BODY),
            "webhook.invoice.paid",
            "env:PUBLIC",
        ),
        (
            "standard-keys",
            standard("webhook", "d-5", now(), BODY),
            "webhook.invoice.paid",
            "env:STANDARD",
        ),
    ] {
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let id = host.deliver(endpoint, delivery).await.event_id(202);
        let event = host.decided(&id).await;
        assert_eq!(event["kind"], kind, "{endpoint}");
        assert_eq!(event["verified"]["key_ref"], key_ref, "{endpoint}");
        assert_eq!(event["envelope"]["data"], body);
    }
}

async fn freshness_is_five_minutes_both_ways(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    // Ten seconds either way are the tests' own time.
    for (i, (offset, status)) in
        [(-290, 202), (-310, 401), (290, 202), (310, 401)].into_iter().enumerate()
    {
        let at = now().checked_add_signed(offset).unwrap();
        let id = format!("d-{i}");
        for (endpoint, delivery) in [
            ("generic", generic(&id, at, BODY)),
            ("standard", standard("webhook", &id, at, BODY)),
            ("standard", standard("svix", &format!("s-{i}"), at, BODY)),
            ("standard-keys", standard_ed25519(&id, at, BODY)),
        ] {
            let answer = host.deliver(endpoint, delivery).await;
            assert_eq!(answer.status, status, "{endpoint}, {offset} s: {answer:?}");
        }
    }
    for (header, bad) in [("hillock-timestamp", "soon"), ("hillock-timestamp", "-1")] {
        let delivery = generic("d-9", now(), BODY).with(header, bad);
        assert_eq!(host.deliver("generic", delivery).await.status, 401, "{bad}");
    }
}

async fn anything_altered_is_refused(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let unknown = host.deliver("nope", generic("d-1", now(), BODY)).await;
    assert_eq!(unknown.status, 404);
    let senders: [(&str, Delivery, &[&'static str]); 4] = [
        (
            "generic",
            generic("d-1", now(), BODY),
            &["hillock-delivery", "hillock-timestamp", "hillock-signature"],
        ),
        ("github", github(Payload::Push, "d-1"), &["x-hub-signature-256"]),
        (
            "standard",
            standard("webhook", "d-1", now(), BODY),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
        ),
        (
            "standard-keys",
            standard_ed25519("d-2", now(), BODY),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
        ),
    ];
    for (endpoint, good, signed) in senders {
        let mut body = good.clone();
        body.body.insert(1, b' ');
        let mut bad = vec![("body".to_owned(), body)];
        for &name in signed {
            let value = good.headers[name].to_str().unwrap().to_owned();
            bad.push((format!("no {name}"), good.clone().without(name)));
            bad.push((format!("empty {name}"), good.clone().with(name, "")));
            bad.push((format!("two {name}"), good.clone().and(name, &value)));
            bad.push((format!("another {name}"), good.clone().with(name, &altered(&value))));
        }
        for (what, delivery) in bad {
            let answer = host.deliver(endpoint, delivery).await;
            assert_eq!((answer.status, &answer.body), (401, &unknown.body), "{endpoint}: {what}");
        }
        assert_eq!(host.deliver("closed", good.clone()).await.body, unknown.body);
        host.deliver(endpoint, good).await.event_id(202);
    }
    assert_eq!(folder.database.count("events").await, 4);
}

/// The value with its last letter or digit exchanged for another.
fn altered(value: &str) -> String {
    let end = value.rfind(|c: char| c.is_ascii_alphanumeric()).unwrap();
    let other = if value[end..].starts_with('0') { "1" } else { "0" };
    // Base64's last digit may have bits that nobody reads.
    let end = if value.ends_with('=') { end - 4 } else { end };
    format!("{}{other}{}", &value[..end], &value[end + 1..])
}

async fn bodies_must_be_what_the_source_reads(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (what, body) in [("bad JSON", &b"{\"a\":"[..]), ("nothing", b""), ("text", b"hello")] {
        for (endpoint, delivery) in [
            ("generic", generic("d-1", now(), body)),
            ("github", github_signed(SECRET, "push", "d-1", body)),
            ("standard", standard("webhook", "d-1", now(), body)),
            ("open", Delivery::new(&[], body)),
        ] {
            let answer = host.deliver(endpoint, delivery).await;
            assert_eq!(answer.problem(422), "malformed", "{endpoint}: {what}");
        }
    }
    let form = github(Payload::Push, "d-1").with("content-type", "text/plain");
    assert_eq!(host.deliver("github", form).await.problem(415), "unsupported_media_type");
    for (body, status) in [(&b"[1,2,3,4]"[..], 202), (b"[1,2,3,45]", 202), (b"[1,2,3,456]", 413)] {
        assert_eq!(host.deliver("small", Delivery::new(&[], body)).await.status, status);
    }
    assert_eq!(folder.database.count("events").await, 2);
}

async fn duplicates_are_known_by_what_is_signed(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let other = br#"{"type":"other"}"#;
    let (github_1, github_2) = (github(Payload::Ping, "d-1"), github(Payload::Push, "d-2"));
    for (what, endpoint, delivery, status) in [
        ("generic", "generic", generic("d-1", now(), BODY), 202),
        ("its id again", "generic", generic("d-1", now() + 1, other), 200),
        ("its body again", "generic", generic("d-2", now(), BODY), 202),
        ("standard", "standard", standard("webhook", "d-1", now(), BODY), 202),
        ("its id by another name", "standard", standard("svix", "d-1", now(), other), 200),
        ("its id elsewhere", "standard-keys", standard("webhook", "d-1", now(), BODY), 202),
        ("github", "github", github_1.clone(), 202),
        ("itself again", "github", github_1.clone(), 200),
        ("its body again", "github", github_1.with("x-github-delivery", "d-9"), 202),
        ("another", "github", github_2.clone(), 202),
        ("no id", "github", github_2.without("x-github-delivery"), 200),
    ] {
        let answer = host.deliver(endpoint, delivery).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
}

async fn old_and_new_secrets_hold_during_a_rotation(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (secret, key_ref) in [
        ("the new secret", "env:NEW".to_owned()),
        (SECRET, "env:GITHUB_WEBHOOK_SECRET".to_owned()),
        ("the old secret", "old-secret".to_owned()),
    ] {
        let body = json!({ "signed_with": secret }).to_string();
        let delivery =
            github_signed(secret, "push", secret.split(' ').next().unwrap(), body.as_bytes());
        let id = host.deliver("github", delivery.with("x-github-delivery", &key_ref)).await;
        let event = host.decided(&id.event_id(202)).await;
        let found = event["verified"]["key_ref"].as_str().unwrap();
        assert!(found.ends_with(&key_ref), "{found}");
    }
    for secret in ["a third secret", ""] {
        let delivery = github_signed(secret, "push", "d-4", b"{}");
        assert_eq!(host.deliver("github", delivery).await.status, 401, "{secret}");
    }

    // Several signatures in one header, of which one fits.
    let good = generic("d-5", now(), BODY);
    let signature = good.headers["hillock-signature"].to_str().unwrap().to_owned();
    let several =
        good.with("hillock-signature", &format!("v1={} v2=x {signature}", "0".repeat(64)));
    host.deliver("generic", several).await.event_id(202);
    let at = now();
    let message = format!("d-6.{at}.");
    let key = STANDARD.decode(&STANDARD_SECRET[6..]).unwrap();
    let signature = STANDARD.encode(hmac(&key, &[message.as_bytes(), BODY]));
    let several = format!("v1,{} v9,x v1,{signature}", STANDARD.encode([0; 32]));
    let good = standard("webhook", "d-6", at, BODY).with("webhook-signature", &several);
    host.deliver("standard", good).await.event_id(202);
}

async fn an_open_endpoint_says_so(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (endpoint, delivery) in [
        ("open", Delivery::new(&[], BODY)),
        ("open", Delivery::new(&[("hillock-signature", "v1=00")], BODY)),
        ("open-github", github(Payload::Ping, "d-1")),
        ("open-github", github(Payload::Push, "d-2").without("x-hub-signature-256")),
    ] {
        let id = host.deliver(endpoint, delivery).await.event_id(202);
        let event = host.decided(&id).await;
        assert_eq!(
            (&event["verified"], &event["envelope"]["verified"]),
            (&Value::Null, &Value::Null)
        );
    }
}

async fn endpoints_have_three_addresses(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let id = host.deliver("generic", generic("d-1", now(), BODY)).await.event_id(202);
    let event = host.decided(&id).await;
    let webhook_id = event["endpoint"]["webhook_id"].as_str().unwrap();
    assert!(webhook_id.starts_with("wbh_"), "{webhook_id}");
    let answer = host.deliver(webhook_id, generic("d-1", now(), BODY)).await;
    assert_eq!(answer.event_id(200), id);

    let acme = {
        let mut delivery = generic("d-1", now(), BODY);
        let at = delivery.headers["hillock-timestamp"].to_str().unwrap().to_owned();
        let mac = hmac(b"acme's secret", &[format!("{at}.d-1.").as_bytes(), BODY]);
        delivery = delivery.with("hillock-signature", &format!("v1={}", hex::encode(mac)));
        delivery
    };
    let theirs = host.deliver("acme/generic", acme.clone()).await.event_id(202);
    let event = host.decided_in(&theirs, "acme").await;
    assert_eq!(event["workspace_id"], "acme");
    assert_ne!(event["endpoint"]["webhook_id"], webhook_id);
    assert_eq!(host.deliver("generic", acme).await.status, 401);
    for path in ["acme/standard", "acme/nope", "ACME/generic", "a%00b", "wbh_00"] {
        let answer = host.deliver(path, generic("d-2", now(), BODY)).await;
        assert_eq!(answer.problem(404), "not_accepted", "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for path in ["generic", "nope", "acme/generic"] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let url = format!("{}/webhooks/{path}", host.url);
            let request = host.http.request(method.parse().unwrap(), url);
            let answer = Answer::of(request.body(BODY)).await;
            assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_is_counted_and_not_believed() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let head = "POST /webhooks/small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    for (what, rest, status) in [
        (
            "chunked, too large",
            "transfer-encoding: chunked\r\n\r\nb\r\n[1,2,3,456]\r\n0\r\n\r\n",
            413,
        ),
        ("chunked without end", "transfer-encoding: chunked\r\n\r\nb\r\n[1,2,3,456]\r\n", 413),
        ("chunked, small enough", "transfer-encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n", 202),
        ("announced too large", "content-length: 1000000000000\r\n\r\n[1]", 413),
        ("two lengths", "content-length: 3\r\ncontent-length: 4\r\n\r\n[1]", 400),
        ("no number", "content-length: x\r\n\r\n[1]", 400),
    ] {
        let answer = raw(&host, &format!("{head}{rest}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    assert_eq!(folder.database.count("events").await, 1);
}

/// What comes back for these bytes, up to the end of the answer's headers.
async fn raw(host: &Host, request: &str) -> String {
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![];
    let reading = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Nobody learns from the time an answer takes whether there is an endpoint.
#[tokio::test]
async fn an_unknown_endpoint_takes_as_long_as_a_bad_signature() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let bad = github(Payload::Push, "d-1").with("x-hub-signature-256", "sha256=00");
    let mut times = [vec![], vec![]];
    for _ in 0..60 {
        for (times, path) in times.iter_mut().zip(["github", "nope"]) {
            let begin = Instant::now();
            host.deliver(path, bad.clone()).await;
            times.push(begin.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = known / unknown;
    assert!((0.4..2.5).contains(&ratio), "a bad signature takes {ratio} times as long");
}

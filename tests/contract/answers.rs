//! What senders and API clients are told when something is not right, and that nothing is stored.

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::SECRET;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github, github_signed};

on_both_databases!(
    a_duplicate_is_answered_with_the_first_event,
    a_bad_signature_stores_nothing,
    bodies_are_held_against_limit_and_source,
    the_api_needs_a_key,
    what_is_not_there_is_not_found,
    parameters_are_checked,
    every_refusal_is_a_problem,
);

const BODY_BYTES_MAX: usize = 1024 * 1024;

async fn a_duplicate_is_answered_with_the_first_event(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let first = github(Payload::IssueOpened, "d-1");
    let id = host.deliver("github", first.clone()).await.event_id(202);
    let same_id = github(Payload::IssueClosed, "d-1");
    for again in [first.clone(), same_id, first] {
        assert_eq!(host.deliver("github", again).await.event_id(200), id);
    }
    let run = host.run_of(&id).await;
    host.run_with_status(&run, "completed").await;
    assert_eq!((host.items("events").await.len(), host.items("runs").await.len()), (1, 1));
}

async fn a_bad_signature_stores_nothing(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let good = github(Payload::IssueOpened, "d-1");
    let mut altered = good.clone();
    altered.body[20] ^= 1;
    let signature = good.headers["x-hub-signature-256"].to_str().unwrap().to_owned();
    let unknown = host.deliver("nope", good.clone()).await;
    assert_eq!(unknown.status, 404);
    for (what, bad) in [
        ("altered body", altered),
        ("no signature", good.clone().without("x-hub-signature-256")),
        ("empty signature", good.clone().with("x-hub-signature-256", "")),
        ("another secret", github_signed("another", "issues", "d-1", &good.body)),
        ("the signature twice", good.clone().and("x-hub-signature-256", &signature)),
        (
            "sha1 only",
            good.clone().without("x-hub-signature-256").with("x-hub-signature", "sha1=00"),
        ),
        ("unprefixed", good.clone().with("x-hub-signature-256", &signature[7..])),
        ("not hexadecimal", good.clone().with("x-hub-signature-256", "sha256=zz")),
    ] {
        let answer = host.deliver("github", bad).await;
        assert_eq!(answer.problem(401), "not_accepted", "{what}");
        assert_eq!(answer.body, unknown.body, "{what}");
    }
    assert_eq!(folder.database.count("events").await, 0);
    host.deliver("github", good).await.event_id(202);
}

async fn bodies_are_held_against_limit_and_source(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let signed = |body: &[u8]| github_signed(SECRET, "issues", "d-1", body);
    let of_size = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
    for (what, delivery, status, code) in [
        ("1 MiB + 1", signed(&of_size(BODY_BYTES_MAX + 1)), 413, "body_too_large"),
        ("truncated JSON", signed(b"{\"action\": \"opened\""), 422, "malformed"),
        ("two values", signed(b"{} {}"), 422, "malformed"),
        ("not UTF-8", signed(b"\"\xff\""), 422, "malformed"),
        ("nested too deeply", signed("[".repeat(100_000).as_bytes()), 422, "malformed"),
        ("nothing", signed(b""), 422, "malformed"),
        ("no event", signed(b"{}").without("x-github-event"), 422, "malformed"),
        ("a form of nothing", form(signed(b"a=%7B%7D")), 422, "malformed"),
        ("text", signed(b"{}").with("content-type", "text/plain"), 415, "unsupported_media_type"),
    ] {
        assert_eq!(host.deliver("github", delivery).await.problem(status), code, "{what}");
    }
    assert_eq!(folder.database.count("events").await, 0);
    host.deliver("github", signed(&of_size(BODY_BYTES_MAX))).await.event_id(202);
}

fn form(delivery: Delivery) -> Delivery {
    delivery.with("content-type", "application/x-www-form-urlencoded")
}

async fn the_api_needs_a_key(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let path = |path: &str| format!("{}{path}", host.url);
    for below in ["events", "runs", "triggers", "triggers/triage-new-issues", "workers/connect"] {
        let url = path(&format!("/api/v1/{below}"));
        let wrong = host.http.get(&url).bearer_auth(format!("hlk_{}", "0".repeat(64)));
        let basic = host.http.get(&url).basic_auth(&host.key, Some(""));
        let in_url = host.http.get(format!("{url}?key={}", host.key));
        for request in [host.http.get(&url), wrong, basic, in_url] {
            assert_eq!(Answer::of(request).await.problem(401), "unauthorized", "{below}");
        }
    }
    for (open, status) in [("/livez", 200), ("/readyz", 200), ("/nowhere", 404)] {
        assert_eq!(Answer::of(host.http.get(path(open))).await.status, status, "{open}");
    }
}

async fn what_is_not_there_is_not_found(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let zeros = "0".repeat(32);
    let id = host.deliver("github", github(Payload::Ping, "d-1")).await.event_id(202);
    for path in [
        format!("events/evt_{zeros}"),
        format!("events/run_{zeros}"),
        "events/x%00y".to_owned(),
        format!("events/{id}?workspace=acme"),
        format!("runs/run_{zeros}"),
        format!("runs/run_{zeros}/logs"),
        "triggers/nope".to_owned(),
        "triggers/triage-new-issues?workspace=acme".to_owned(),
        "nothing".to_owned(),
    ] {
        assert_eq!(host.get(&path).await.problem(404), "not_found", "{path}");
    }
    assert_eq!(host.post(&format!("runs/run_{zeros}/cancel")).await.problem(404), "not_found");
    assert_eq!(host.post("events").await.problem(405), "method_not_allowed");
}

async fn parameters_are_checked(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (path, parameter) in [
        ("events?limit=x", "limit"),
        ("events?cursor=zz", "cursor"),
        ("events?kind=No%20Kind", "kind"),
        ("events?workspace=No%20Name", "workspace"),
        ("runs?status=lost", "status"),
        ("runs?event_id=7", "event_id"),
        ("runs?trigger=A%00", "trigger"),
    ] {
        check_parameter(&host, path, parameter).await;
    }
    let id = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&id).await;
    check_parameter(&host, &format!("runs/{run}/logs?after=x"), "after").await;
}

async fn check_parameter(host: &Host, path: &str, parameter: &str) {
    let answer = host.get(path).await;
    assert_eq!(answer.problem(400), "invalid_parameter", "{path}");
    assert_eq!(answer.json()["problems"][0]["path"], parameter, "{path}");
}

async fn every_refusal_is_a_problem(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    for (path, status, code) in [
        ("events?workspace=a&workspace=b", 400, "invalid_parameter"),
        ("runs/%FF", 404, "not_found"),
        ("workers/connect", 426, "upgrade_required"),
    ] {
        assert_eq!(host.get(path).await.problem(status), code, "{path}");
    }
    let good = github(Payload::IssueOpened, "d-1");
    let unknown = host.deliver("nope", good.clone()).await;
    for path in ["%FF", "Nope", "nope/nope", "acme/%FF"] {
        let answer = host.deliver(path, good.clone()).await;
        assert_eq!((answer.status, &answer.body), (404, &unknown.body), "{path}");
    }
}

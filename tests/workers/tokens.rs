//! Bootstrap tokens: how often and how long they admit, and who else may register.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{folder, register, token};
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;

on_both_databases!(
    a_token_has_no_more_uses_than_it_was_given,
    whatever_is_wrong_with_a_token_the_answer_is_the_same,
    tokens_are_listed_and_belong_to_a_workspace,
);

async fn a_token_has_no_more_uses_than_it_was_given(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let token = token(&host, json!({ "uses": 3 })).await;
    let rivals = (0..12).map(|n| {
        let (host, token) = (&host, &token);
        async move { register(host, token, &format!("rival {n}")).await.status }
    });
    let mut statuses = futures_util::future::join_all(rivals).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201; 3][..], &[401; 9]].concat());
    assert_eq!(host.items("workers").await.len(), 3);
    let [kept] = &host.items("workers/tokens").await[..] else { panic!("one token") };
    assert_eq!(kept["uses_left"], 0);
    assert!(kept["token"].is_null());
    assert!(token.starts_with(kept["prefix"].as_str().unwrap()));
}

async fn whatever_is_wrong_with_a_token_the_answer_is_the_same(database: Database) {
    let folder = folder(database).await.with_clock();
    let host = folder.serve().await;
    let used_up = token(&host, json!({})).await;
    assert_eq!(register(&host, &used_up, "one").await.status, 201);
    let revoked = token(&host, json!({ "uses": 2, "expires_in": "48h" })).await;
    let id = host.items("workers/tokens").await[0]["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let answer = host.request(Method::DELETE, &format!("workers/tokens/{id}"));
        let answer = crate::harness::client::Answer::of(answer).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["revoked_at"].is_string());
    }
    let expired = token(&host, json!({ "uses": 5, "expires_in": "1h" })).await;
    folder.lead(Duration::from_secs(59 * 60));
    admits(&host, &expired, 201).await;
    folder.lead(Duration::from_secs(60 * 60));
    admits(&host, &expired, 401).await;

    let unknown = format!("hlk_boot_{}", "0".repeat(64));
    let answers = [&used_up, &revoked, &expired, &unknown, &"hlk_none".to_owned()].map(|bearer| {
        let (host, bearer) = (&host, bearer.clone());
        async move {
            let answer = register(host, &bearer, "one").await;
            assert_eq!(answer.problem(401), "unauthorized");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            let mut body = answer.json();
            assert!(body.as_object_mut().unwrap().remove("request_id").is_some(), "{body}");
            body
        }
    });
    let bodies = futures_util::future::join_all(answers).await;
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

/// Waits until the host, whose clock is led, answers so to who comes with the token.
async fn admits(host: &Host, token: &str, status: u16) {
    crate::harness::wait::until("the clock to be read", async || {
        (register(host, token, "late").await.status == status).then_some(())
    })
    .await;
}

async fn tokens_are_listed_and_belong_to_a_workspace(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let token = token(&host, json!({ "workspace": "acme", "approve": true })).await;
    assert!(host.items("workers/tokens").await.is_empty(), "not the global scope's");
    let listed = host.read("workers/tokens?workspace=acme").await["items"][0].clone();
    assert_eq!([&listed["workspace_id"], &listed["approve"]], [&json!("acme"), &json!(true)]);
    let id = listed["id"].as_str().unwrap();
    let answer = host.request(Method::DELETE, &format!("workers/tokens/{id}"));
    let answer = crate::harness::client::Answer::of(answer).await;
    assert_eq!(answer.problem(404), "not_found", "another workspace's");
    let made = register(&host, &token, "one").await;
    assert_eq!(made.json()["approval"], "approved");
    let location = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(location, format!("/api/v1/workers/{}", made.json()["id"].as_str().unwrap()));

    // An administrator registers a worker without a token.
    let made = register(&host, &host.key, "two").await;
    assert_eq!((made.status, &made.json()["approval"]), (201, &json!("approved")));
    for (path, bad) in [
        ("workers/tokens", json!({ "uses": 0 })),
        ("workers/tokens", json!({ "expires_in": "soon", "user": 1 })),
        ("workers/register", json!({ "name": "" })),
        ("workers/register", json!({})),
    ] {
        let answer = host.send(Method::POST, path, &bad).await;
        assert_eq!(answer.problem(422), "invalid_body", "{path} {bad}");
    }
    assert_eq!(host.items("workers").await.len(), 1);
}

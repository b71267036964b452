//! How far a credential goes, and what a workspace sees.

use hillock::dispatch::protocol::PATH;
use reqwest::Method;
use serde_json::json;

use super::link::{Introduction, Link, served};
use super::{Member, folder, register, token};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(
    a_credential_opens_what_workers_speak_by_and_nothing_else,
    a_worker_serves_its_own_workspace_only,
    a_name_stands_for_one_worker_or_none,
);

async fn a_credential_opens_what_workers_speak_by_and_nothing_else(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let token = token(&host, json!({})).await;
    for bearer in [&member.credential, &token] {
        for (method, path) in [
            (Method::GET, "runs"),
            (Method::GET, "workers"),
            (Method::GET, &*format!("workers/{}", member.id)),
            (Method::POST, &format!("workers/{}/approve", member.id)),
            (Method::POST, "workers/tokens"),
        ] {
            let url = format!("{}/api/v1/{path}", host.url);
            let request = host.http.request(method, url).bearer_auth(bearer).json(&json!({}));
            assert_eq!(Answer::of(request).await.problem(401), "unauthorized", "{path}");
        }
    }
    assert_eq!(register(&host, &member.credential, "two").await.problem(401), "unauthorized");
    assert_eq!(Link::open(&host, &token).await.err(), Some(401));
    let nobodys = format!("hlk_wrk_{}", "0".repeat(64));
    assert_eq!(Link::open(&host, &nobodys).await.err(), Some(401));
    let plain = host.http.get(format!("{}{PATH}", host.url)).bearer_auth(&member.credential);
    assert_eq!(Answer::of(plain).await.problem(426), "upgrade_required");

    let mut link = Link::greeted(&host, &member.credential, &Introduction::new("agent")).await;
    assert_eq!(link.end().await, "the credential is another worker's");
    assert_eq!(host.items("workers").await.len(), 1, "nobody else was made known");
}

async fn a_worker_serves_its_own_workspace_only(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let asked = json!({ "workspace": "acme", "approve": true });
    let member = Member::joined(&host, "one", asked).await;
    let beyond = Introduction {
        agents: vec![served("acme", "agent"), served("", "agent")],
        ..Introduction::new("agent").of(&member)
    };
    let mut link = Link::greeted(&host, &member.credential, &beyond).await;
    assert_eq!(
        link.end().await,
        "this worker may serve agents of workspace acme only, not `agent` of global"
    );
    let within = Introduction { agents: vec![served("acme", "agent")], ..beyond };
    let mut link = Link::welcome(&host, &member.credential, &within).await;
    super::run(&host, "agent").await;
    let event = host.deliver("acme/agent", Delivery::new(&[], b"{}")).await.event_id(202);
    host.decided_in(&event, "acme").await;
    link.order().await;

    // Another workspace's worker is not found, whatever is wanted of it.
    let path = format!("workers/{}", member.id);
    for scope in ["", "?workspace=umbrella"] {
        assert_eq!(host.get(&format!("{path}{scope}")).await.problem(404), "not_found");
        for change in ["approve", "revoke", "rotate", "drain", "health-check"] {
            let answer = host.post(&format!("{path}/{change}{scope}")).await;
            assert_eq!(answer.problem(404), "not_found", "{change}");
        }
        let path = format!("{path}{scope}");
        let patch = host.send(Method::PATCH, &path, &json!({ "capacity": 2 })).await;
        assert_eq!(patch.problem(404), "not_found");
        let listed = host.read(&format!("workers{scope}")).await;
        assert_eq!(listed["items"], json!([]));
    }
    let own = host.read(&format!("{path}?workspace=acme")).await;
    assert_eq!([&own["health"], &own["workspace_id"]], ["online", "acme"]);
}

async fn a_name_stands_for_one_worker_or_none(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let token = token(&host, json!({ "uses": 3 })).await;
    for name in ["a/box", "twin", "twin"] {
        assert_eq!(register(&host, &token, name).await.status, 201);
    }
    assert_eq!(host.read("workers/a%2Fbox").await["name"], "a/box");
    assert_eq!(host.get("workers/nobody").await.problem(404), "not_found");
    let answer = host.post("workers/twin/revoke").await;
    assert_eq!(answer.problem(409), "ambiguous");
    let items = host.items("workers").await;
    let [one, other] = [0, 1].map(|n| items[n]["id"].as_str().unwrap());
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains(one) && detail.contains(other), "{detail}");
    // One that is gone for good does not stand in the other's way.
    assert_eq!(host.post(&format!("workers/{one}/revoke")).await.status, 200);
    assert_eq!(host.read("workers/twin").await["id"], other);

    for (filter, count) in [
        ("approval=pending", 3),
        ("approval=approved", 0),
        ("admin_state=revoked", 1),
        ("admin_state=active&health=unknown", 2),
        ("health=online", 0),
    ] {
        let page = host.read(&format!("workers?{filter}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
    assert_eq!(host.get("workers?health=ill").await.problem(400), "invalid_parameter");
    let first = host.read("workers?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = host.read(&format!("workers?limit=2&cursor={cursor}")).await;
    assert_eq!(rest["items"][0]["name"], "a/box");
    assert!(rest["next_cursor"].is_null());
}

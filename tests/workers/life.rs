//! A worker's life: it joins, is approved, works, gets another credential, and is sent away.

use hillock::dispatch::protocol::ToHost;
use serde_json::json;

use super::link::{Introduction, Link, Witness};
use super::{Member, folder, run};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    a_worker_joins_works_and_is_sent_away,
    what_a_revoked_worker_had_goes_to_another_at_once,
    a_rejected_worker_may_come_back_when_it_is_approved,
    a_worker_with_a_key_is_known_and_can_be_revoked,
);

async fn a_worker_joins_works_and_is_sent_away(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "build box", json!({})).await;
    let row = member.row(&host).await;
    assert_eq!(
        [&row["approval"], &row["admin_state"], &row["health"], &row["name"]],
        ["pending", "active", "unknown", "build box"]
    );
    let shown = row["credential_prefix"].as_str().unwrap();
    assert!(member.credential.starts_with(shown) && shown.len() < 20, "{shown}");

    let mut introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    let row = member.row(&host).await;
    assert_eq!([&row["approval"], &row["health"]], ["pending", "online"]);
    assert_eq!(row["agents"], json!([{ "workspace_id": "", "name": "agent" }]));

    // Connected, and not approved: it gets nothing.
    let id = run(&host, "agent").await;
    let mut witness = Witness::new(&host).await;
    witness.saw_all(&host).await;
    link.nothing_so_far().await;
    assert_eq!(member.make(&host, "approve").await["approval"], "approved");
    let held = link.order().await;
    assert_eq!(member.row(&host).await["active"], 1);
    link.say(&ToHost::Acknowledged { held: held.clone() }).await;
    link.say(&ToHost::Started { held: held.clone() }).await;
    host.run_with_status(&id, "running").await;

    // Another credential: the one before opens nothing, here or anew.
    let fresh = member.make(&host, "rotate").await["credential"].as_str().unwrap().to_owned();
    assert_eq!(link.end().await, "the credential was replaced");
    assert_eq!(Link::open(&host, &member.credential).await.err(), Some(401));
    assert_eq!(member.row(&host).await["health"], "offline");
    introduction.active = vec![held.clone()];
    let mut link = Link::welcome(&host, &fresh, &introduction).await;
    link.finish(&held).await;
    host.run_with_status(&id, "completed").await;

    let revoked = member.make(&host, "revoke").await;
    assert_eq!([&revoked["admin_state"], &revoked["health"]], ["revoked", "offline"]);
    assert_eq!(link.end().await, "the worker was revoked");
    assert_eq!(Link::open(&host, &fresh).await.err(), Some(403));
    for change in ["approve", "enable", "rotate", "drain", "health-check"] {
        let answer = host.post(&format!("workers/{}/{change}", member.id)).await;
        assert_eq!(answer.problem(409), "worker_revoked", "{change}");
    }
    assert_eq!(member.make(&host, "revoke").await["admin_state"], "revoked", "again");
}

async fn what_a_revoked_worker_had_goes_to_another_at_once(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    let id = run(&host, "agent").await;
    let held = link.order().await;
    link.say(&ToHost::Acknowledged { held: held.clone() }).await;
    link.say(&ToHost::Started { held: held.clone() }).await;
    host.run_with_status(&id, "running").await;

    let mut other = Link::welcome(&host, &host.key, &Introduction::new("agent")).await;
    member.make(&host, "revoke").await;
    let again = other.order().await;
    assert_eq!(again.command_id, held.command_id);
    assert_ne!(again.token, held.token);
    other.finish(&again).await;
    host.run_with_status(&id, "completed").await;
}

async fn a_rejected_worker_may_come_back_when_it_is_approved(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({})).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    assert_eq!(member.make(&host, "reject").await["approval"], "rejected");
    assert_eq!(link.end().await, "the worker was rejected");
    assert_eq!(Link::open(&host, &member.credential).await.err(), Some(403));
    member.make(&host, "approve").await;
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    run(&host, "agent").await;
    link.order().await;
}

async fn a_worker_with_a_key_is_known_and_can_be_revoked(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let introduction = Introduction::new("agent");
    let member = Member { id: introduction.id.to_string(), credential: host.key.clone() };
    let mut link = Link::welcome(&host, &host.key, &introduction).await;
    let row = member.row(&host).await;
    assert_eq!([&row["approval"], &row["health"]], ["approved", "online"]);
    assert!(row["credential_prefix"].is_null());
    let answer = host.post(&format!("workers/{}/rotate", member.id)).await;
    assert_eq!(answer.problem(409), "no_credential");

    // A later connection takes over; the earlier one's end says nothing of the worker.
    let mut later = Link::welcome(&host, &host.key, &introduction).await;
    assert_eq!(link.end().await, "another connection of the same worker took over");
    assert_eq!(member.row(&host).await["health"], "online");
    drop(link);
    later.nothing_so_far().await;
    assert_eq!(member.row(&host).await["health"], "online");

    member.make(&host, "revoke").await;
    assert_eq!(later.end().await, "the worker was revoked");
    let mut back = Link::greeted(&host, &host.key, &introduction).await;
    assert_eq!(back.end().await, "the worker was revoked");
}

/// Two hosts on one database: what one is told holds on the other.
#[tokio::test]
async fn a_change_reaches_connections_of_another_host() {
    let folder = folder(Database::postgres().await).await;
    let (one, other) = (folder.serve().await, folder.serve().await);
    let member = Member::joined(&one, "one", json!({})).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&other, &member.credential, &introduction).await;
    run(&one, "agent").await;
    member.make(&one, "approve").await;
    let held = link.order().await;
    member.make(&one, "revoke").await;
    assert_eq!(link.end().await, "the worker was revoked");

    // What it had is in the queue, and not with it, wherever it was connected.
    let mut next = Link::welcome(&one, &one.key, &Introduction::new("agent")).await;
    assert_eq!(next.order().await.command_id, held.command_id);

    // A connection on another host takes over, and the earlier one hears of it.
    let introduction = Introduction::new("agent");
    let mut early = Link::welcome(&one, &one.key, &introduction).await;
    let mut late = Link::welcome(&other, &other.key, &introduction).await;
    early.beat(vec![]).await;
    assert_eq!(early.end().await, "another connection of the same worker took over");
    late.nothing_so_far().await;
    let path = format!("workers/{}", introduction.id);
    assert_eq!(other.read(&path).await["health"], "online");
    drop(late);
    wait::until("the worker to be gone", async || {
        (other.read(&path).await["health"] == "offline").then_some(())
    })
    .await;
}

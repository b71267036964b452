//! Workers that are to take nothing new.

use hillock::dispatch::protocol::{ToHost, ToWorker};
use hillock::model::command::Control;
use hillock::model::worker::Eligibility;
use reqwest::Method;
use serde_json::json;

use super::link::{Introduction, Link, Witness, served};
use super::{Member, folder, register, run};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    who_is_drained_or_disabled_finishes_and_gets_nothing_new,
    who_leaves_gets_nothing_until_it_comes_again,
    a_worker_is_told_another_capacity_and_says_so,
    a_worker_hears_whether_it_is_given_work,
    a_worker_says_whom_it_serves_now,
);

async fn who_is_drained_or_disabled_finishes_and_gets_nothing_new(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let introduction = Introduction { capacity: 4, ..Introduction::new("agent").of(&member) };
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    let mut witness = Witness::new(&host).await;
    for (stop, go, wanted) in [
        ("drain", "undrain", ["active", "draining"]),
        ("disable", "enable", ["disabled", "online"]),
    ] {
        run(&host, "agent").await;
        let held = link.order().await;
        for _ in 0..2 {
            let row = member.make(&host, stop).await;
            assert_eq!([&row["admin_state"], &row["health"]], wanted, "{stop}");
        }
        let second = run(&host, "agent").await;
        witness.saw_all(&host).await;
        // What it has is its own to finish.
        link.finish(&held).await;
        witness.saw_all(&host).await;
        link.nothing_so_far().await;
        assert_eq!(member.row(&host).await["health"], wanted[1], "after a heartbeat");

        // A new connection does not undo it.
        let mut anew = Link::welcome(&host, &member.credential, &introduction).await;
        witness.saw_all(&host).await;
        anew.nothing_so_far().await;
        let row = member.make(&host, go).await;
        assert_eq!([&row["admin_state"], &row["health"]], ["active", "online"], "{go}");
        let held = anew.order().await;
        anew.finish(&held).await;
        host.run_with_status(&second, "completed").await;
        link = anew;
    }
}

async fn who_leaves_gets_nothing_until_it_comes_again(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    link.say(&ToHost::Draining).await;
    wait::until("the worker to be seen draining", async || {
        let row = member.row(&host).await;
        (row["health"] == "draining" && row["draining"] == true).then_some(())
    })
    .await;
    run(&host, "agent").await;
    Witness::new(&host).await.saw_all(&host).await;
    link.nothing_so_far().await;
    let mut anew = Link::welcome(&host, &member.credential, &introduction).await;
    anew.order().await;
    assert_eq!(member.row(&host).await["health"], "online");
}

async fn a_worker_is_told_another_capacity_and_says_so(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({ "approve": true })).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    let path = format!("workers/{}", member.id);
    for bad in [json!({}), json!({ "capacity": 0 }), json!({ "capacity": 2, "name": "x" })] {
        let answer = host.send(Method::PATCH, &path, &bad).await;
        assert_eq!(answer.problem(422), "invalid_body", "{bad}");
    }
    let answer = host.send(Method::PATCH, &path, &json!({ "capacity": 2 })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let heard = link.hear().await;
    let Ok(ToWorker::Control { held, control }) = heard else { panic!("{heard:?}") };
    assert_eq!(control, Control::ConfigUpdate { capacity: Some(2) });
    assert_eq!(answer.json()["command_id"], held.command_id.as_str());
    link.finish(&held).await;

    link.say(&ToHost::Heartbeat { active: vec![], capacity: Some(2), offer: None, agents: None })
        .await;
    wait::until("the capacity to be known", async || {
        (member.row(&host).await["capacity"] == 2).then_some(())
    })
    .await;
    for _ in 0..2 {
        run(&host, "agent").await;
    }
    let (one, two) = (link.order().await, link.order().await);
    assert_ne!(one, two);

    let answer = host.post(&format!("{path}/health-check")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let heard = link.hear().await;
    let control = Control::HealthCheck;
    assert!(
        matches!(&heard, Ok(ToWorker::Control { control: c, .. }) if *c == control),
        "{heard:?}"
    );
}

async fn a_worker_hears_whether_it_is_given_work(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let member = Member::joined(&host, "one", json!({})).await;
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    assert_eq!(link.eligibility().await, Eligibility::Unapproved);
    for (change, wanted) in [
        ("approve", Eligibility::Eligible),
        ("disable", Eligibility::Disabled),
        ("enable", Eligibility::Eligible),
        ("drain", Eligibility::Draining),
    ] {
        // What changes nothing is not said again.
        member.make(&host, change).await;
        member.make(&host, change).await;
        assert_eq!(link.eligibility().await, wanted, "{change}");
    }
    // A new connection hears how it stands; one that is given work hears nothing of it.
    let mut anew = Link::welcome(&host, &member.credential, &introduction).await;
    assert_eq!(anew.eligibility().await, Eligibility::Draining);
    member.make(&host, "undrain").await;
    assert_eq!(anew.eligibility().await, Eligibility::Eligible);
    let mut last = Link::welcome(&host, &member.credential, &introduction).await;
    run(&host, "agent").await;
    last.order().await;
}

async fn a_worker_says_whom_it_serves_now(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let introduction = Introduction::new("witness");
    let mut link = Link::welcome(&host, &host.key, &introduction).await;
    run(&host, "agent").await;
    let agents = Some(vec![served("", "agent")]);
    link.say(&ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents }).await;
    let held = link.order().await;
    link.finish(&held).await;
    let row = host.read(&format!("workers/{}", introduction.id)).await;
    assert_eq!(row["agents"][0]["name"], "agent", "{row}");

    // Nobody serves the agents of another workspace by saying so.
    let asked = json!({ "approve": true });
    let made = host.send(Method::POST, "workers/tokens?workspace=acme", &asked).await.json();
    let token = made["token"].as_str().unwrap();
    let joined = register(&host, token, "own").await.json();
    let member = Member {
        id: joined["id"].as_str().unwrap().to_owned(),
        credential: joined["credential"].as_str().unwrap().to_owned(),
    };
    let own = Introduction { agents: vec![served("acme", "agent")], ..Introduction::new("x") };
    let mut link = Link::welcome(&host, &member.credential, &own.of(&member)).await;
    let agents = Some(vec![served("acme", "agent"), served("", "agent")]);
    link.say(&ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents }).await;
    assert!(link.end().await.contains("may serve agents of"), "the connection ends");
}

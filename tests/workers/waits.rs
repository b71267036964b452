//! A worker that is there and is given nothing is named in why something waits.

use serde_json::{Value, json};

use super::link::{Introduction, Link};
use super::{Member, folder, run};
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;

on_both_databases!(a_worker_that_is_kept_from_work_is_named);

/// Why the run waits: the codes, and all that is said.
async fn reasons(host: &Host, run: &str) -> (Vec<String>, String) {
    let page = host.read(&format!("commands?run_id={run}")).await;
    let path = format!("commands/{}", page["items"][0]["id"].as_str().unwrap());
    let command = host.read(&path).await;
    let reasons = command["waiting"]["reasons"].as_array().unwrap();
    let code = |reason: &Value| reason["code"].as_str().unwrap().to_owned();
    (reasons.iter().map(code).collect(), command["waiting"]["reasons"].to_string())
}

async fn a_worker_that_is_kept_from_work_is_named(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let run = run(&host, "agent").await;
    assert_eq!(reasons(&host, &run).await.0, ["no_worker"]);

    let member = Member::joined(&host, "build box", json!({})).await;
    assert_eq!(reasons(&host, &run).await.0, ["no_worker"], "it is not connected");
    let introduction = Introduction::new("agent").of(&member);
    let mut link = Link::welcome(&host, &member.credential, &introduction).await;
    let name = member.row(&host).await["name"].as_str().unwrap().to_owned();
    let check = async |code: &str| {
        let (codes, said) = reasons(&host, &run).await;
        assert_eq!(codes, [code], "{said}");
        assert!(said.contains(&format!("`{name}`")), "{said}");
    };
    check("workers_unapproved").await;
    member.make(&host, "disable").await;
    member.make(&host, "approve").await;
    check("workers_disabled").await;
    member.make(&host, "drain").await;
    member.make(&host, "enable").await;
    check("workers_draining").await;
    member.make(&host, "undrain").await;
    let held = link.order().await;
    link.finish(&held).await;
    host.run_with_status(&run, "completed").await;
}

//! Stopping: in good order, with everything accepted in the store.

use std::time::Duration;

use super::folder_without_limit;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::folder::SECRET;
use crate::harness::on_both_databases;
use crate::harness::payloads::issue;
use crate::harness::senders::{Delivery, github_signed};
use crate::harness::wait;

on_both_databases!(
    a_stop_under_load_loses_nothing,
    a_stopping_host_takes_nothing_new,
    what_does_not_end_in_time_is_handed_back,
);

async fn a_stop_under_load_loses_nothing(database: Database) {
    let folder = folder_without_limit(database).await;
    let mut host = folder.serve().await;
    let mut accepted = vec![];
    for number in 1..=20 {
        let delivery = github_signed(SECRET, "issues", &format!("d-{number}"), &issue(number));
        accepted.push(host.deliver("github", delivery).await.event_id(202));
    }
    assert!(host.process.stop().await.success());

    let again = folder.serve().await;
    for id in &accepted {
        let run = again.run_of(id).await;
        wait::within(Duration::from_secs(60), "the run to complete", async || {
            let run = again.read(&format!("runs/{run}")).await;
            (run["status"] == "completed").then_some(())
        })
        .await;
    }
    assert_eq!(again.items("runs").await.len(), accepted.len());
}

/// The program inside decides how long the host takes to stop.
async fn a_stopping_host_takes_nothing_new(database: Database) {
    let config = r#"
        agents = [{ name = "agent" }]
        endpoints = [{ slug = "open", verification = "none" }]
        triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "work" }]
        [[worker.agents]]
        name = "agent"
        dir = "."
        command = ["sh", "-c", "echo started; until [ -e go ]; do sleep 0.05; done"]
    "#;
    let folder = Folder::new(database, config).await;
    let mut host = folder.serve().await;
    let delivery = || Delivery::new(&[], b"{}");
    let run = host.run_of(&host.deliver("open", delivery()).await.event_id(202)).await;
    host.line(&run, "started").await;
    host.process.signal(nix::sys::signal::Signal::SIGTERM);
    let answer = wait::until("the host to refuse", async || {
        let answer = host.deliver("open", delivery()).await;
        (answer.status != 202).then_some(answer)
    })
    .await;
    assert_eq!(answer.problem(503), "draining");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    let ready = Answer::of(host.http.get(format!("{}/readyz", host.url))).await;
    assert_eq!(ready.status, 503, "{ready:?}");
    folder.write("go", "");
    assert!(host.process.ended().await.success());
    let again = folder.serve().await;
    again.run_with_status(&run, "completed").await;
}

/// Three stops would be as many lost workers, and fail the run: a hand-over is none.
async fn what_does_not_end_in_time_is_handed_back(database: Database) {
    let config = r#"
        agents = [{ name = "agent" }]
        endpoints = [{ slug = "open", verification = "none" }]
        triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "work" }]
        [server]
        drain_grace = "100ms"
        [worker]
        drain_grace = "100ms"
        [[worker.agents]]
        name = "agent"
        dir = "."
        command = ["sh", "-c", "[ -e go ] && exit 0; echo x >> begun; exec sleep 1000"]
    "#;
    let folder = Folder::new(database, config).await;
    let mut run = None;
    for starts in 1..=4 {
        let mut host = folder.serve().await;
        if run.is_none() {
            let event = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
            run = Some(host.run_of(&event).await);
        }
        wait::until("the program to begin", async || {
            (folder.read("begun")?.lines().count() == starts).then_some(())
        })
        .await;
        assert!(host.process.stop().await.success());
    }
    folder.write("go", "");
    folder.serve().await.run_with_status(&run.unwrap(), "completed").await;
}

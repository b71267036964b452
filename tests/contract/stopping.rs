//! Stopping: in good order, with everything accepted in the store.

use std::time::Duration;

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::folder::SECRET;
use crate::harness::on_both_databases;
use crate::harness::payloads::issue;
use crate::harness::senders::{Delivery, github_signed};
use crate::harness::wait;

on_both_databases!(a_stop_under_load_loses_nothing, a_stopping_host_takes_nothing_new);

async fn a_stop_under_load_loses_nothing(database: Database) {
    let folder = folder(database).await;
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

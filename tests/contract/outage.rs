//! A database that goes away and comes back.

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;
use crate::harness::wait;

#[tokio::test]
async fn senders_are_told_to_come_again() {
    let folder = folder(Database::postgres().await).await;
    let mut host = folder.serve().await;
    let first = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&first).await;
    host.run_with_status(&run, "completed").await;

    folder.database.reachable(false).await;
    let answer = host.deliver("github", github(Payload::Push, "d-2")).await;
    assert_eq!(answer.problem(503), "store_unavailable");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert_eq!(host.get("runs").await.problem(503), "store_unavailable");
    for (path, status) in [("/readyz", 503), ("/livez", 200)] {
        let answer = Answer::of(host.http.get(format!("{}{path}", host.url))).await;
        assert_eq!(answer.status, status, "{path}");
    }

    folder.database.reachable(true).await;
    let second = wait::until("the host to have its database back", async || {
        let answer = host.deliver("github", github(Payload::Push, "d-2")).await;
        (answer.status == 202).then(|| answer.event_id(202))
    })
    .await;
    host.decided(&second).await;
    assert!(!host.process.has_ended());
    assert_eq!(folder.database.count("events").await, 2);
}

//! What is done once more from the command line.

use serde_json::json;

use super::{ask, contract_folder};
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

#[tokio::test]
async fn a_run_is_retried_and_an_event_replayed() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;

    let retried = ask(&folder, &host, &["run", "retry", &run[..30]]).await.good();
    let (again, status) = retried.trim_end().split_once(' ').unwrap();
    assert!(again != run && status == "scheduled", "{retried}");
    let again = host.run_with_status(again, "completed").await;
    assert_eq!(again["causes"], json!([event, run]));

    let replayed = ask(&folder, &host, &["event", "replay", &event]).await.good();
    let (new, rest) = replayed.split_once("; ").unwrap();
    assert_eq!(rest, format!("`hillock event explain {new}` says what became of it\n"));
    assert_eq!(host.decided(new).await["decisions"][0]["outcome"], "fired");
    let explained = ask(&folder, &host, &["event", "explain", new]).await.good();
    assert!(explained.contains(&event), "its cause is said: {explained}");

    let none = format!("run_{}", "0".repeat(32));
    let refused = ask(&folder, &host, &["run", "retry", &none]).await.bad();
    assert!(refused.contains("there is no such run"), "{refused}");
}

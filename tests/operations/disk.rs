//! A disk that is full: senders are told to come back, and everything goes on when there is room.
//!
//! A limit on the size of the host's files stands for the disk: a write beyond it fails.

use std::fs;
use std::path::PathBuf;

use tokio::process::Command;

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;
use crate::harness::wait;

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
"#;
/// Larger than the room that is left.
const LARGE: usize = 128 * 1024;

#[tokio::test]
async fn a_full_disk_is_not_answered_with_202() {
    let folder = Folder::new(Database::sqlite(), CONFIG).await;
    let mut host = folder.serve().await;
    let mut accepted = vec![deliver(&host, 0).await.event_id(202)];
    let journal =
        PathBuf::from(format!("{}-wal", folder.store_url().trim_start_matches("sqlite://")));
    limit(&host, &fs::metadata(journal).unwrap().len().to_string()).await;

    let mut refused = 0;
    for n in 1..=40 {
        let answer = deliver(&host, n).await;
        if answer.status == 202 {
            accepted.push(answer.event_id(202));
            continue;
        }
        assert_eq!(answer.problem(503), "store_unavailable");
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        refused += 1;
    }
    assert!(refused > 10, "the disk was full: {refused}");
    assert!(!host.process.has_ended());

    limit(&host, "unlimited").await;
    let again = wait::until("room", async || {
        let answer = deliver(&host, 100).await;
        (answer.status == 202).then(|| answer.event_id(202))
    })
    .await;
    accepted.push(again);
    for id in &accepted {
        host.decided(id).await;
    }
    let events = folder.database.count("events").await;
    assert_eq!(events, i64::try_from(accepted.len()).unwrap(), "nothing is half-written");
    // Another start finds everything sound.
    assert!(host.process.stop().await.success());
    host = folder.serve().await;
    assert_eq!(host.items("events").await.len(), accepted.len());
}

async fn deliver(host: &Host, n: usize) -> Answer {
    // Text that does not compress.
    let noise: String = (0..LARGE).map(|i| char::from(b'a' + noise(n * LARGE + i))).collect();
    let body = format!("{{\"n\":{n},\"noise\":\"{noise}\"}}");
    host.deliver("open", Delivery::new(&[], body.as_bytes())).await
}

fn noise(i: usize) -> u8 {
    let mixed = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u8::try_from((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 60).unwrap()
}

/// How large the host's files may become from now on.
async fn limit(host: &Host, bytes: &str) {
    let pid = host.process.id().to_string();
    let soft = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &pid, &soft]).output().await.unwrap();
    assert!(set.status.success(), "{set:?}");
}

//! Several hosts on one PostgreSQL: each controller goes on, whichever of them is killed, and though
//! their clocks differ.

use std::time::Duration;

use serde_json::Value;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::wait;

const CONFIG: &str = "
    [controllers.inbox]
    interval = \"1s\"
    [controllers.worker-health]
    interval = \"1s\"
";

/// How many passes of `name` have ended, and which replica had the last.
async fn passes(host: &Host, name: &str) -> (u64, Value) {
    let listed = host.read("controllers").await;
    let items = listed["items"].as_array().unwrap();
    let one = items.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(one["failures"], 0, "{one}");
    (one["passes"].as_u64().unwrap(), one["last"]["replica"].clone())
}

async fn goes_on(host: &Host, name: &str) {
    let (before, _) = passes(host, name).await;
    wait::until("more passes", async || (passes(host, name).await.0 > before + 2).then_some(()))
        .await;
}

#[tokio::test]
async fn whichever_replica_is_killed_the_passes_go_on() {
    let folder = Folder::new(Database::postgres().await, CONFIG).await.with_clock();
    let ahead = Folder::new(Database::sqlite(), CONFIG).await.beside(&folder).with_clock();
    // Either clock may be wrong by five seconds.
    ahead.lead(Duration::from_secs(10));
    let (mut one, mut other) = (folder.serve().await, ahead.serve().await);
    let replica = async |host: &Host| host.read("controllers").await["replica"].clone();
    assert_ne!(replica(&one).await, replica(&other).await);
    for name in ["inbox", "worker-health"] {
        goes_on(&one, name).await;
    }
    other.process.kill().await;
    goes_on(&one, "inbox").await;
    let before = passes(&one, "worker-health").await.1;
    assert_eq!(before, replica(&one).await);
    other = ahead.serve().await;
    one.process.kill().await;
    goes_on(&other, "worker-health").await;
    assert_eq!(passes(&other, "worker-health").await.1, replica(&other).await);
}

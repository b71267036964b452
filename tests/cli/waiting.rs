//! Nothing waits unseen: for want of a worker, whoever looks is told so.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::ask;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::senders::Delivery;
use crate::harness::wait;

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
    triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "work" }]
"#;
const NOBODY: &str = "no worker serves this agent";

#[tokio::test]
async fn a_run_that_nobody_takes_says_so_wherever_one_looks() {
    let folder = Folder::new(Database::sqlite(), CONFIG).await;
    let host = folder.serve().await;
    let event = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let run = host.run_of(&event).await;

    let listed = ask(&folder, &host, &["run", "list"]).await;
    assert!(listed.stderr.contains(&format!("1 run waits for the agent agent: {NOBODY}")));
    let json = ask(&folder, &host, &["run", "list", "--json"]).await.json();
    assert_eq!(json["items"][0]["waiting"]["reasons"][0]["code"], "no_worker");
    let shown = ask(&folder, &host, &["run", "show", &run]).await.good();
    assert!(shown.contains(&format!("no_worker: {NOBODY}")), "{shown}");

    // Whoever follows is told while the run waits, and of what it waits for then.
    folder.write("body.json", "{}");
    let send = ["webhook", "send", "open", "--source", "generic", "--file", "body.json", "--wait"];
    let mut command = folder.hillock(&send);
    command.env("HILLOCK_URL", &host.url).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut following = command.spawn().unwrap();
    let mut said = BufReader::new(following.stderr.take().unwrap()).lines();
    let line = said.next_line().await.unwrap().unwrap();
    assert!(line.contains(" waits: ") && line.contains(NOBODY), "{line}");

    // Somebody comes, and all of it goes on.
    let mut command = folder.hillock(&["worker", "--agent", "agent=true"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    let data_dir = folder.path().join("elsewhere");
    command.env("HILLOCK_DATA_DIR", data_dir).kill_on_drop(true);
    let _worker = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ended = wait::until("the command to end", async || following.try_wait().unwrap()).await;
    assert!(ended.success());
    host.run_with_status(&run, "completed").await;
    let listed = ask(&folder, &host, &["run", "list"]).await;
    assert_eq!(listed.stderr, "");
    assert!(host.read(&format!("runs/{run}")).await["waiting"].is_null());
}

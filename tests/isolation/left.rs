//! Programs whose worker is gone.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::json;

use super::apart;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::given;
use crate::harness::wait;

/// Says which time it is, in a session that nobody has, and waits.
const SCRIPT: &str = "setsid sh -c 'echo $HILLOCK_ATTEMPT $HILLOCK_DISPATCH >> begun; sleep 3; \
                      echo $HILLOCK_DISPATCH >> ended' & wait";

async fn folder(isolation: &str) -> Folder {
    let config = format!(
        "agents = [{{ name = \"agent\" }}]\n[worker]\nisolation = \"{isolation}\"\n\
         [[worker.agents]]\nname = \"agent\"\ndir = \".\"\ncommand = [\"sh\", \"-c\", {}]\n",
        serde_json::Value::from(SCRIPT)
    );
    Folder::new(Database::sqlite(), &config).await
}

async fn run(host: &Host) -> String {
    let asked = json!({ "agent": "agent", "message": "work" });
    let answer = host.send(Method::POST, "tasks", &asked).await;
    answer.json()["run_id"].as_str().unwrap().to_owned()
}

async fn begun(folder: &Folder, count: usize) {
    wait::until(&format!("{count} programs to have begun"), async || {
        (folder.read("begun")?.lines().count() >= count).then_some(())
    })
    .await;
}

/// The processes of the run that are its keepers, or not.
fn processes(run: &str, keepers: bool) -> Vec<i32> {
    let name = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let is_keeper = |pid: &i32| name(pid).starts_with("hillock-keeper");
    let all = given(&format!("HILLOCK_RUN_ID={run}")).into_iter();
    all.filter(|pid| is_keeper(pid) == keepers).collect()
}

async fn a_killed_hosts_program_ends_with_it(isolation: &str) {
    let folder = folder(isolation).await;
    let mut host = folder.serve().await;
    let run = run(&host).await;
    begun(&folder, 1).await;
    host.process.kill().await;
    wait::within(Duration::from_secs(2), "the program to be gone", async || {
        given(&format!("HILLOCK_RUN_ID={run}")).is_empty().then_some(())
    })
    .await;
    let host = folder.serve().await;
    host.run_with_status(&run, "completed").await;
    // The same attempt, and another time.
    assert_eq!(folder.read("begun").unwrap(), "1 1\n1 2\n");
    assert_eq!(folder.read("ended").unwrap(), "2\n");
}

#[tokio::test]
async fn a_killed_hosts_program_ends_with_it_within_bubblewrap() {
    if apart("a killed host's program within bubblewrap") {
        a_killed_hosts_program_ends_with_it("auto").await;
    }
}

#[tokio::test]
async fn a_killed_hosts_program_ends_with_it_without_bubblewrap() {
    a_killed_hosts_program_ends_with_it("off").await;
}

/// Killed together with the keepers of its programs, a worker is followed by one that ends them.
#[tokio::test]
async fn what_escaped_its_keeper_is_ended_before_the_next_work() {
    let folder = folder("off").await;
    let mut host = folder.serve().await;
    let run = run(&host).await;
    begun(&folder, 1).await;
    let keepers = processes(&run, true);
    assert_eq!(keepers.len(), 1);
    host.process.signal(Signal::SIGSTOP);
    kill(Pid::from_raw(keepers[0]), Signal::SIGKILL).unwrap();
    host.process.kill().await;
    assert!(!processes(&run, false).is_empty(), "nobody is there to end it");
    let host = folder.serve().await;
    host.run_with_status(&run, "completed").await;
    assert_eq!(folder.read("ended").unwrap(), "2\n");
}

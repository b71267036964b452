//! A worker as a process of its own, beside a host that has none inside.
//!
//! The agents' programs are shell scripts that wait for a file to appear, so that a test decides
//! when they go on.

mod bounds;
mod joining;
mod keys;
mod loss;
mod programs;
pub(crate) mod protocol;
mod restored;
mod stand_in;
mod telling;

use std::time::Duration;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::{Process, given};
use crate::harness::senders::Delivery;
use crate::harness::wait;

/// Says that it has begun, in its log and in the file `starts`; ends when the file `go` is there.
const PATIENT: &str = "echo started; echo $$ >> starts; \
                       until [ -e go ]; do sleep 0.05; done; echo done";

/// A host's folder: one open endpoint, whose events all go to the agent `agent`.
async fn host_folder() -> Folder {
    let config = r#"
        agents = [{ name = "agent" }]
        endpoints = [{ slug = "open", verification = "none" }]
        triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "work",
                      fire_limit = "none" }]
    "#;
    Folder::new(Database::sqlite(), config).await
}

/// A worker's folder, where this shell script does the agent's work.
async fn worker_folder(script: &str, settings: &str) -> Folder {
    let script = serde_json::Value::from(script);
    let config = format!(
        "[worker]\n{settings}\n[[worker.agents]]\nname = \"agent\"\ndir = \".\"\n\
         command = [\"sh\", \"-c\", {script}]\n"
    );
    Folder::new(Database::sqlite(), &config).await
}

/// Starts the folder's worker, for this host.
fn start(folder: &Folder, host: &Host) -> Process {
    let mut command = folder.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    Process::start(command, &folder.path().join("worker.log"))
}

/// A run for the agent.
async fn run(host: &Host) -> String {
    let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    host.run_of(&id).await
}

/// How many programs have begun, once there are as many as this.
async fn starts(folder: &Folder, count: usize) -> usize {
    wait::until(&format!("{count} starts"), async || {
        let found = folder.read("starts").unwrap_or_default().lines().count();
        (found >= count).then_some(found)
    })
    .await
}

/// Waits until no process of the run is left.
async fn gone(run: &str) {
    let variable = format!("HILLOCK_RUN_ID={run}");
    wait::within(Duration::from_secs(20), "the program to be gone", async || {
        given(&variable).is_empty().then_some(())
    })
    .await;
}

fn stdout(lines: &[&str]) -> Vec<(String, String)> {
    lines.iter().map(|line| ("stdout".to_owned(), (*line).to_owned())).collect()
}

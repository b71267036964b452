//! What runs say, from outside: read by cursor, streamed, followed on the command line; within
//! limits and without secrets.

mod events;
mod kept;
mod live;
mod replicas;
mod resume;
mod stream;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::Process;
use crate::harness::senders::Delivery;

/// One open endpoint, whose events all go to the agent `agent`.
const AUTOMATIONS: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "open", verification = "none" }]
    triggers = [{ name = "all", event = "webhook", agent = "agent", prompt = "work",
                  fire_limit = "none" }]
"#;

/// A host's folder without a worker.
async fn host_folder(database: Database) -> Folder {
    Folder::new(database, AUTOMATIONS).await
}

/// A host's folder, where this shell script does the agent's work.
async fn folder(database: Database, script: &str, settings: &str) -> Folder {
    Folder::new(database, &format!("{AUTOMATIONS}\n{settings}\n{}", worker(script))).await
}

/// A worker's folder, where this shell script does the agent's work.
async fn worker_folder(script: &str) -> Folder {
    Folder::new(Database::sqlite(), &worker(script)).await
}

/// The agent's program; it may know what the host knows.
fn worker(script: &str) -> String {
    let script = serde_json::Value::from(script);
    format!(
        "[worker]\n[[worker.agents]]\nname = \"agent\"\ndir = \".\"\n\
         command = [\"sh\", \"-c\", {script}]\nenv = [\"GITHUB_WEBHOOK_SECRET\"]\n"
    )
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

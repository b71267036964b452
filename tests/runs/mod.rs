//! Runs from their first attempt to their last, through the built program.

mod again;
mod hooks;
mod retries;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// A host with a worker inside, an open endpoint, and the agent `agent`, whose work this shell
/// script does. `more` is added to the file.
async fn folder(database: Database, script: &str, more: &str) -> Folder {
    let script = serde_json::Value::from(script);
    let config = format!(
        "agents = [{{ name = \"agent\" }}, {{ name = \"medic\" }}]\n\
         endpoints = [{{ slug = \"open\", verification = \"none\" }}]\n\
         [[worker.agents]]\nname = \"agent\"\ndir = \".\"\ncommand = [\"sh\", \"-c\", {script}]\n\
         [[worker.agents]]\nname = \"medic\"\ncommand = [\"cat\"]\n{more}"
    );
    Folder::new(database, &config).await
}

/// Delivers something; the run it leads to.
async fn run(host: &Host) -> String {
    let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    host.run_of(&id).await
}

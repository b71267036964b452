//! The queue from outside, through the built program: caps, approval, expiry, why commands wait.

mod caps;
mod decisions;
mod filters;
mod pauses;
mod repeats;
mod terms;
mod waits;

use serde_json::Value;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// Open endpoints of the global scope and of the workspace `acme`, whose events all go to the agent
/// `agent` there. `profile` is added to both agents; `more` to the file.
async fn folder(database: Database, profile: &str, more: &str) -> Folder {
    let of = |workspace: &str| {
        format!(
            "[[agents]]\nname = \"agent\"\nworkspace = \"{workspace}\"\n{profile}\n\
             [[endpoints]]\nslug = \"open\"\nworkspace = \"{workspace}\"\n\
             verification = \"none\"\n\
             [[triggers]]\nname = \"all\"\nworkspace = \"{workspace}\"\nevent = \"webhook\"\n\
             agent = \"agent\"\nprompt = \"work\"\nfire_limit = \"none\"\n"
        )
    };
    Folder::new(database, &format!("{}{}{more}", of(""), of("acme"))).await
}

/// Delivers an event to the open endpoint of a workspace.
async fn deliver(host: &Host, workspace: &str) -> String {
    let path = format!("{workspace}/open");
    host.deliver(path.trim_start_matches('/'), Delivery::new(&[], b"{}")).await.event_id(202)
}

/// The commands of a workspace, newest first.
async fn commands(host: &Host, workspace: &str) -> Vec<Value> {
    let page = host.read(&format!("commands?type=run&workspace={workspace}")).await;
    page["items"].as_array().unwrap().clone()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// The codes of why a command waits.
fn reasons(command: &Value) -> Vec<&str> {
    let reasons = command["waiting"]["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

//! Components that misbehave: each limit names itself, nothing leaks, and others go on.
//!
//! The components of `tests/guests` do what their configuration says.

mod filters;
mod neighbours;
mod sources;
mod templates;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::components::plugins;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;

/// What exceeding each limit, and crashing, must say of itself, by the mode that does it. The
/// sandbox is given so much fuel that only the clock ends what loops.
pub(crate) const MISDEEDS: [(&str, &str); 9] = [
    ("loop", "time limit"),
    ("sleep", "time limit"),
    ("grow", "memory limit"),
    ("output", "memory limit"),
    ("output-small", "output limit"),
    ("stack", "stack limit"),
    ("trap", "it said: thread"),
    ("log", "log limit"),
    ("log-big", "output limit"),
];

const SANDBOX: &str = r#"
    [sandbox]
    fuel = 1_000_000_000_000_000
    time = "1500ms"
    output_bytes = 1_000_000
    host_calls = 10_000
"#;

/// A folder with an open endpoint, an agent without a worker, the hostile components and this.
async fn folder(sandbox: &str, config: &str) -> Folder {
    let plugins = plugins();
    let open = r#"
        [[agents]]
        name = "agent"
        [[endpoints]]
        slug = "open"
        verification = "none"
    "#;
    Folder::new(Database::sqlite(), &format!("{sandbox}\n{plugins}\n{open}\n{config}")).await
}

/// A trigger whose filter misbehaves.
fn filtering(name: &str, mode: &str) -> String {
    let filter = format!("{{ component = \"hostile-filter\", config = {{ mode = {mode:?} }} }}");
    trigger(name, &format!("filter = {filter}\nprompt = \"x\""))
}

/// A trigger of the endpoint `open`.
fn trigger(name: &str, rest: &str) -> String {
    let head = "event = \"webhook\"\nendpoint = \"open\"\nagent = \"agent\"";
    format!("[[triggers]]\nname = {name:?}\n{head}\n{rest}\n")
}

/// One trigger for each misdeed, and `zz-witness`, which behaves.
fn misdeeds(trigger_of: impl Fn(&str, &str) -> String) -> String {
    let mut config = trigger("zz-witness", "prompt = \"x\"");
    for mode in MISDEEDS.map(|(mode, _)| mode).iter().chain(&["host-calls"]) {
        let _ = write!(config, "{}", trigger_of(mode, mode));
    }
    config
}

/// The outcome and the reason of each trigger's decision on an event that is sent now.
async fn decisions(host: &Host) -> BTreeMap<String, (String, String)> {
    let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let event = host.decided(&id).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decisions = event["decisions"].as_array().unwrap().iter();
    decisions.map(|d| (text(&d["trigger"]), (text(&d["outcome"]), text(&d["reason"])))).collect()
}

/// Holds decisions against what the misdeeds must say, and the witness against having fired.
fn check_misdeeds(found: &BTreeMap<String, (String, String)>, component: &str) {
    for (mode, wanted) in MISDEEDS.iter().chain(&[("host-calls", "host call limit")]) {
        let (outcome, reason) = &found[*mode];
        assert_eq!(outcome, "component_error", "{mode}: {reason}");
        assert!(reason.contains(wanted) && reason.contains(component), "{mode}: {reason}");
    }
    assert_eq!(found["zz-witness"].0, "fired");
}

//! An observer that does what its configuration `{"mode": "…"}` says; reports come as the data of
//! `file.report`, `{"report": "…"}`. `ok` makes no event.
//!
//! `remember` counts its calls in its state and reports the count, `remember-trap` counts and then
//! panics, `forget` removes the count. `keys`, `key`, `value` and `large` each write more state
//! than there is room for. `forge` makes an event of another subject.

use hillock_plugin_sdk::export_observer;
use hillock_plugin_sdk::observer::{Activation, Diagnostic, Observation, Observer};
use hillock_plugin_sdk::state;
use misdeeds::Mode;

struct Hostile;

export_observer!(Hostile);

impl Observer for Hostile {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn observe(observation: Observation) -> Vec<Activation> {
        let config: serde_json::Value =
            serde_json::from_str(&observation.config).unwrap_or_default();
        let mode = Mode::named(config["mode"].as_str().unwrap_or("ok"));
        match (mode.commit(|| drop(state::get("key"))), mode) {
            (Some(report), _) => vec![reported(&report)],
            (None, Mode::Other(name)) => remembered(&name),
            (None, _) => Vec::new(),
        }
    }
}

fn remembered(name: &str) -> Vec<Activation> {
    match name {
        "remember" => return vec![reported(&format!("count={}", count()))],
        "remember-trap" => panic!("after {} calls", count()),
        "forget" => state::remove("count"),
        "keys" => (0..65).for_each(|i| state::set(&format!("key-{i}"), "")),
        "key" => state::set(&"k".repeat(129), ""),
        "value" => state::set("key", &"v".repeat(16 * 1024 + 1)),
        "large" => (0..17).for_each(|i| state::set(&format!("key-{i}"), &"v".repeat(16 * 1024))),
        "forge" => return vec![Activation::new("run.failed", "{}")],
        _ => panic!("no mode `{name}`"),
    }
    Vec::new()
}

fn count() -> u64 {
    let count = state::get("count").and_then(|count| count.parse().ok()).unwrap_or(0_u64) + 1;
    state::set("count", &count.to_string());
    count
}

fn reported(report: &str) -> Activation {
    Activation::new("file.report", serde_json::json!({ "report": report }).to_string())
}

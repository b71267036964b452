//! A hook that does what its configuration `{"mode": "…"}` says; reports come as the data of
//! `hook.report`, `{"report": "…"}`. `ok` makes no event.
//!
//! The forgeries answer with what a hook may not: `forge` an extension's kind, `forge-kind` a
//! malformed kind, `forge-data` data that is not JSON, `forge-dedupe` an empty identity,
//! `forge-many` 1001 events, `forge-large` events of 5 MiB.

use hillock_plugin_sdk::export_hook;
use hillock_plugin_sdk::hook::{Activation, Diagnostic, Hook, Occurrence};
use misdeeds::Mode;

struct Hostile;

export_hook!(Hostile);

impl Hook for Hostile {
    fn check(config: String) -> Vec<Diagnostic> {
        let mode = mode(&config);
        let report = mode.commit(|| hillock_plugin_sdk::log::debug(""));
        match (report, mode) {
            (None, Mode::Ok) => Vec::new(),
            (report, _) => vec![Diagnostic::at("mode", report.unwrap_or_default())],
        }
    }

    fn notice(occurrence: Occurrence) -> Vec<Activation> {
        let mode = mode(&occurrence.config);
        match (mode.commit(|| hillock_plugin_sdk::log::debug("")), mode) {
            (Some(report), _) => {
                let data = serde_json::json!({ "report": report }).to_string();
                vec![Activation::new("hook.report", data)]
            }
            (None, Mode::Other(name)) => forged(&name),
            (None, _) => Vec::new(),
        }
    }
}

fn mode(config: &str) -> Mode {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    Mode::named(config["mode"].as_str().unwrap_or("ok"))
}

fn forged(name: &str) -> Vec<Activation> {
    let event = || Activation::new("hook.forged", "{}");
    match name {
        "forge" => vec![Activation::new("ext.forged", "{}")],
        "forge-kind" => vec![Activation::new("hook.Not A..kind", "{}")],
        "forge-data" => vec![Activation::new("hook.forged", "{not json")],
        "forge-dedupe" => vec![Activation { dedupe: Some(String::new()), ..event() }],
        "forge-many" => (0..1001).map(|_| event()).collect(),
        "forge-large" => {
            let data = serde_json::Value::from("x".repeat(1024 * 1024)).to_string();
            vec![Activation::new("hook.forged", data); 5]
        }
        _ => panic!("no mode `{name}`"),
    }
}

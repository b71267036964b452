//! A pre-fire hook that does what its configuration `{"mode": "…"}` says; reports come as the
//! rewritten prompt. `ok` passes.
//!
//! `rewrite` puts all it is told in place of the prompt, `cancel` says why in the configuration's
//! `why`, and `rewrite-long` writes more than a prompt may have.

use hillock_plugin_sdk::export_pre_fire;
use hillock_plugin_sdk::pre_fire::{Decision, Diagnostic, Draft, PreFire};
use misdeeds::Mode;
use serde_json::Value;

struct Hostile;

export_pre_fire!(Hostile);

impl PreFire for Hostile {
    fn check(config: String) -> Vec<Diagnostic> {
        match serde_json::from_str::<Value>(&config) {
            Ok(Value::Object(_)) => Vec::new(),
            _ => vec![Diagnostic::at("", "not an object")],
        }
    }

    fn pre_fire(draft: Draft) -> Decision {
        let config: Value = serde_json::from_str(&draft.config).unwrap_or_default();
        let mode = Mode::named(config["mode"].as_str().unwrap_or("ok"));
        match (mode.commit(|| hillock_plugin_sdk::log::debug("")), mode) {
            (Some(report), _) => Decision::Rewrite(report),
            (None, Mode::Other(name)) => match name.as_str() {
                "rewrite" => Decision::Rewrite(told(&draft)),
                "rewrite-long" => Decision::Rewrite("x".repeat(256 * 1024 + 1)),
                "cancel" => Decision::Cancel(config["why"].as_str().unwrap_or("").to_owned()),
                _ => panic!("no mode `{name}`"),
            },
            (None, _) => Decision::Pass,
        }
    }
}

fn told(draft: &Draft) -> String {
    let Draft { id, point, name, at, scope, workspace_id, agent, prompt, event, .. } = draft;
    let event = event.as_deref().unwrap_or("no event");
    format!("{id} {point} {name} {at} {scope} {workspace_id} {agent} {prompt} {event}")
}

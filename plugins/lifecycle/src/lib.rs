//! Hook `lifecycle`: everything that happens in the host is an event, as it is.
//!
//! What happens at the point `run.failed` becomes one event of the kind `hook.run.failed` with the
//! same data. There is nothing to configure: which points matter is said by the triggers.

use hillock_plugin_sdk::export_hook;
use hillock_plugin_sdk::hook::{Activation, Diagnostic, Hook, Occurrence};
use serde_json::Value;

struct Lifecycle;

export_hook!(Lifecycle);

impl Hook for Lifecycle {
    fn check(config: String) -> Vec<Diagnostic> {
        match serde_json::from_str(&config) {
            Ok(Value::Object(settings)) => {
                let unknown = |name| Diagnostic::at(name, "there is nothing to configure");
                settings.keys().map(unknown).collect()
            }
            Ok(_) => vec![Diagnostic::at("", "a configuration is an object, here `{}`")],
            Err(error) => vec![Diagnostic::at("", format!("not JSON: {error}"))],
        }
    }

    fn notice(occurrence: Occurrence) -> Vec<Activation> {
        vec![Activation {
            dedupe: Some(occurrence.id),
            occurred_at: Some(occurrence.at),
            ..Activation::new(format!("hook.{}", occurrence.point), occurrence.data)
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_happened_and_nothing_else() {
        let data = r#"{ "run": "run_1",  "error": null }"#;
        let made = Lifecycle::notice(Occurrence {
            id: "run_1:failed".to_owned(),
            point: "run.failed".to_owned(),
            at: 1_700_000_000_000,
            scope: "workspace".to_owned(),
            workspace_id: "acme".to_owned(),
            data: data.to_owned(),
            config: "{}".to_owned(),
        });
        let [event] = &made[..] else { panic!("{made:?}") };
        assert_eq!((event.kind.as_str(), event.data.as_str()), ("hook.run.failed", data));
        assert_eq!(event.dedupe.as_deref(), Some("run_1:failed"));
        assert_eq!(event.occurred_at, Some(1_700_000_000_000));
    }

    #[test]
    fn there_is_nothing_to_configure() {
        for (config, paths) in [
            ("{}", &[][..]),
            ("", &[""]),
            ("[]", &[""]),
            ("null", &[""]),
            (r#"{"points": [], "x": 1}"#, &["points", "x"]),
        ] {
            let found = Lifecycle::check(config.to_owned());
            let found: Vec<_> = found.iter().map(|wrong| wrong.path.as_str()).collect();
            assert_eq!(found, paths, "{config}");
        }
    }
}

//! The sandbox as its callers have it: hooks, observers, extensions and pre-fire hooks, built-in
//! and hostile; and the built-in filter `cel`.

mod builtins;
mod expressions;
mod extensions;
mod hooks;
mod observers;
mod pre_fire;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hillock::config::Limits;
use hillock::model::definition::Plugin;
use hillock::model::name::Name;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::sandbox::{LoadError, Sandbox, SandboxError, Signal};
use serde_json::{Value, json};

use crate::harness::components;

/// 2026-01-31T09:00:00Z.
const AT_MS: i64 = 1_769_850_000_000;

/// As the hostile components' tests through the host have it: only the clock ends what loops.
fn strict() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        open(Limits {
            fuel: 1_000_000_000_000_000,
            time: Duration::from_millis(1500),
            output_bytes: 1_000_000,
            host_calls: 10_000,
            ..Limits::default()
        })
    })
}

/// What a component may hand over is bounded by nothing but the world's own limits.
fn roomy() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        open(Limits {
            fuel: 100_000_000_000,
            time: Duration::from_secs(60),
            output_bytes: 64 * 1024 * 1024,
            ..Limits::default()
        })
    })
}

fn open(limits: Limits) -> Sandbox {
    load(limits, &["hook", "observer", "extension", "pre-fire"]).unwrap()
}

/// A sandbox with these hostile components. What they compile to is kept beside them.
fn load(limits: Limits, hostile: &[&str]) -> Result<Sandbox, LoadError> {
    let folder: &Path = components::folder();
    let plugin = |kind: &&str| Plugin {
        name: name(&format!("hostile-{kind}")),
        version: "0.1.0".to_owned(),
        path: folder.join(format!("hostile_{}.wasm", kind.replace('-', "_"))),
    };
    let plugins: Vec<Plugin> = hostile.iter().map(plugin).collect();
    Sandbox::open(limits, &plugins, &folder.join("compiled"))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn acme() -> Scope {
    Scope::Workspace(name("acme"))
}

fn at() -> Time {
    Time::from_millis(AT_MS).unwrap()
}

/// A hostile component's configuration.
fn mode(mode: &str) -> Arc<str> {
    json!({ "mode": mode }).to_string().into()
}

/// What a hostile component reports in its only event.
fn report(signals: &[Signal]) -> String {
    let [signal] = signals else { panic!("{signals:?}") };
    let data: Value = serde_json::from_slice(&signal.data).unwrap();
    data["report"].as_str().unwrap().to_owned()
}

/// Holds an error against what it must say.
fn check_error<T: std::fmt::Debug>(result: Result<T, SandboxError>, what: &str, wanted: &str) {
    let error = result.expect_err(what).to_string();
    assert!(error.contains("component `hostile-") && error.contains(wanted), "{what}: {error}");
}

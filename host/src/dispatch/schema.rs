//! The worker protocol as a JSON Schema, for who writes a worker in another language: the messages,
//! and in words and figures all that a message cannot say (paths, headers, order, times, limits).

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::protocol::{
    HEARTBEAT_MS, HELLO_TIMEOUT, MESSAGE_BYTES_MAX, PATH, POLL_PATH, Poll, Polled, REGISTER_PATH,
    RUN_BYTES_MAX, SCHEMA_PATH, SILENCE_MAX, ToHost, ToWorker, VERSION, WAIT_MS_MAX,
};
use crate::model::command::{DISPATCH_ATTEMPTS_MAX, LEASE};

const GUIDE: &str = include_str!("guide.md");

/// A schema of draft 2020-12 that every message fits, and no other; its `$defs` have the two
/// directions (`ToHost`, `ToWorker`), what a worker sends and gets that polls (`Poll`, `Polled`),
/// and all that these are made of. `version` is the protocol's; `description` says how a worker
/// connects and what it has to do, and `connection` has the figures of that.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let any_of = [generator.subschema_for::<ToHost>(), generator.subschema_for::<ToWorker>()];
    generator.subschema_for::<Poll>();
    generator.subschema_for::<Polled>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The messages between a Hillock worker and its host",
        "description": GUIDE,
        "version": VERSION,
        "connection": connection(),
        "anyOf": any_of,
        "$defs": generator.take_definitions(true),
    })
}

fn connection() -> Value {
    let bearer = "Bearer {API key or worker credential}";
    json!({
        "register": {
            "method": "POST",
            "path": REGISTER_PATH,
            "headers": {
                "Authorization": "Bearer {bootstrap token or API key}",
                "Content-Type": "application/json",
            },
            "body": { "name": "{what people call the worker}" },
        },
        "websocket": {
            "method": "GET",
            "path": PATH,
            "headers": { "Authorization": bearer },
            "hello_timeout_ms": HELLO_TIMEOUT.as_millis() as u64,
        },
        "poll": {
            "method": "POST",
            "path": POLL_PATH,
            "headers": { "Authorization": bearer, "Content-Type": "application/json" },
            "wait_ms_max": WAIT_MS_MAX,
        },
        "schema": { "method": "GET", "path": SCHEMA_PATH },
        "heartbeat_ms": HEARTBEAT_MS,
        "silence_ms_max": SILENCE_MAX.as_millis() as u64,
        "lease_ms": LEASE.as_millis() as u64,
        "dispatch_attempts_max": DISPATCH_ATTEMPTS_MAX,
        "to_host_bytes_max": MESSAGE_BYTES_MAX,
        "to_worker_bytes_max": RUN_BYTES_MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_its_version_and_both_directions() {
        let schema = schema();
        assert_eq!(schema["version"], VERSION);
        for name in ["ToHost", "ToWorker", "Poll", "Polled", "Held", "Terms", "Policy"] {
            assert!(schema["$defs"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn the_guide_tells_of_every_message_and_every_figure() {
        let schema = schema();
        let kinds = |name: &str| {
            let variants = schema["$defs"][name]["oneOf"].as_array().unwrap();
            let kind = |v: &Value| v["properties"]["type"]["const"].as_str().map(str::to_owned);
            variants.iter().filter_map(kind).collect::<Vec<_>>()
        };
        let told = [kinds("ToHost"), kinds("ToWorker")].concat();
        assert!(told.len() > 12, "{told:?}");
        for kind in told {
            assert!(GUIDE.contains(&format!("`{kind}`")), "the guide says nothing of {kind}");
        }
        for figure in schema["connection"].as_object().unwrap().keys() {
            assert!(GUIDE.contains(&format!("`{figure}")), "the guide says nothing of {figure}");
        }
    }
}

//! The worker protocol as a JSON Schema, for who writes a worker in another language.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::protocol::{Poll, Polled, ToHost, ToWorker, VERSION};

/// A schema of draft 2020-12 that every message fits, and no other; its `$defs` have the two
/// directions (`ToHost`, `ToWorker`), what a worker sends and gets that polls (`Poll`, `Polled`),
/// and all that these are made of. `version` is the protocol's.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let any_of = [generator.subschema_for::<ToHost>(), generator.subschema_for::<ToWorker>()];
    generator.subschema_for::<Poll>();
    generator.subschema_for::<Polled>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The messages between a Hillock worker and its host",
        "version": VERSION,
        "anyOf": any_of,
        "$defs": generator.take_definitions(true),
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
}

//! A configuration, parsed and checked: every problem is reported, not only the first.
//!
//! Values stay raw: of one that is not a string, all that matters is how it was written.

use std::collections::BTreeMap;

use hillock_plugin_sdk::filter::Diagnostic;
use hillock_plugin_sdk::path::segments;
use serde_json::value::RawValue;

use crate::clause::Clause;

/// Clauses in the order of their paths.
#[derive(Debug)]
pub(crate) struct Rules {
    config: String,
    clauses: Vec<Clause>,
}

impl Rules {
    pub(crate) fn parse(config: String) -> Result<Self, Vec<Diagnostic>> {
        let object: BTreeMap<String, &RawValue> = match serde_json::from_str(&config) {
            Ok(object) => object,
            Err(error) if error.is_data() => return Err(vec![Diagnostic::at("", SHAPE)]),
            Err(error) => return Err(vec![not_json(&error)]),
        };
        let mut clauses = Vec::with_capacity(object.len());
        let mut diagnostics = Vec::new();
        for (path, wanted) in object {
            let path_problem = path_problem(&path);
            match wanted_text(wanted) {
                Ok(wanted) if path_problem.is_none() => clauses.push(Clause { path, wanted }),
                wanted => {
                    let messages = path_problem.into_iter().chain(wanted.err());
                    diagnostics.extend(messages.map(|message| Diagnostic::at(&*path, message)));
                }
            }
        }
        if diagnostics.is_empty() { Ok(Self { config, clauses }) } else { Err(diagnostics) }
    }

    /// The text that these were parsed from.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn clauses(&self) -> &[Clause] {
        &self.clauses
    }
}

fn not_json(error: &serde_json::Error) -> Diagnostic {
    let (line, column) = (error.line(), error.column());
    Diagnostic::at("", format!("not JSON, at line {line} column {column}"))
}

const SHAPE: &str = "a match is an object from path to text, such as {\"data.action\": \"opened\"}";

fn path_problem(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("a path is empty".to_owned());
    }
    let segments = match segments(path) {
        Ok(segments) => segments,
        Err(malformed) => return Some(format!("the path is malformed: {malformed}")),
    };
    let is_known = match segments.len() {
        1 => matches!(path, "kind" | "scope" | "workspace_id" | "source"),
        _ => path.starts_with("data") && segments[0] == "data",
    };
    (!is_known).then(|| {
        "a path is `kind`, `scope`, `workspace_id`, `source` or `data.` and a field".to_owned()
    })
}

fn wanted_text(wanted: &RawValue) -> Result<String, String> {
    let json = wanted.get();
    match json.as_bytes().first() {
        Some(b'"') if json == "\"\"" => Err("the value is empty".to_owned()),
        Some(b'"') => {
            serde_json::from_str(json).map_err(|_| "the value is not well-formed".to_owned())
        }
        Some(b'{' | b'[' | b'n') => {
            Err("the value must be a string; null, arrays and objects never match".to_owned())
        }
        _ => Err(format!("write the value as a string: \"{json}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &str) -> Vec<(String, String)> {
        Rules::parse(config.to_owned())
            .unwrap_err()
            .into_iter()
            .map(|Diagnostic { path, message }| (path, message))
            .collect()
    }

    #[test]
    fn good_configurations() {
        for (config, clauses) in [
            ("{}", 0),
            (r#"{"kind":"github.issues","source":"webhook"}"#, 2),
            (r#"{"data.issue.labels.0.name":"bug","workspace_id":"w","scope":"workspace"}"#, 3),
            (r#"{"data.[app.io/name]":"x","data[\"a.b\"].c":"x","data.items[0]":"x"}"#, 3),
            (r#"{"data.items[]":"x","data['say \"a\"']":"x"}"#, 2),
        ] {
            assert_eq!(Rules::parse(config.to_owned()).unwrap().clauses().len(), clauses);
        }
    }

    #[test]
    fn every_problem_is_reported() {
        let config = r#"{"": "x", "data": "x", "data..a": "x", "id": "x", "data.n": 5,
                         "data.o": {}, "data.e": "", "kind.x": null, "data.ok": "x"}"#;
        let paths: Vec<_> = problems(config).into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            ["", "data", "data..a", "data.e", "data.n", "data.o", "id", "kind.x", "kind.x"]
        );
        assert_eq!(
            problems(r#"{"data.n": 5}"#),
            [("data.n".to_owned(), "write the value as a string: \"5\"".to_owned())]
        );
    }

    #[test]
    fn a_malformed_path_is_told_with_its_place() {
        for (path, message) in [
            ("data.[a.b", "the path is malformed: the bracket is not closed, at character 6"),
            ("data..a", "the path is malformed: a key is missing, at character 6"),
            (
                "data['a.b]",
                "the path is malformed: the quotation mark is not closed, at character 5",
            ),
            (
                "[data].a",
                "a path is `kind`, `scope`, `workspace_id`, `source` or `data.` and a field",
            ),
        ] {
            let config = format!("{{{:?}: \"v\"}}", path);
            assert_eq!(problems(&config), [(path.to_owned(), message.to_owned())]);
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for config in ["", "[]", "null", "\"x\"", "{"] {
            assert_eq!(problems(config).len(), 1, "{config}");
        }
    }
}

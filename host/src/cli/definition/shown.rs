//! Definitions, as people read them.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::output::{self, NONE, Table, or_none, section};
use crate::cli::plain::Plain;
use crate::model::name::Name;

/// A column of a listing.
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// What stands in it.
    pub cell: fn(&Listed) -> String,
}

/// A definition, as the host tells of it.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pub(super) id: Plain,
    pub(super) name: Plain,
    workspace_id: Option<Name>,
    defined_by: Plain,
    defined_at: Option<Plain>,
    enabled: bool,
    overlay: bool,
    revision: i64,
    created_at: Plain,
    updated_at: Plain,
    webhook: Option<Webhook>,
    last_fired_at: Option<Plain>,
    // Known, and not worth a line.
    #[serde(rename = "own_enabled")]
    _own_enabled: bool,
    #[serde(rename = "scope")]
    _scope: Plain,
    /// What is no error, and may not be meant so.
    #[serde(default)]
    pub(super) warnings: Vec<Warning>,
    #[serde(flatten)]
    words: Map<String, Value>,
}

/// What may not be meant as it is.
#[derive(Debug, Deserialize)]
pub struct Warning {
    path: Plain,
    reason: Plain,
}

impl Warning {
    /// Says it.
    pub fn say(&self) {
        let Self { path, reason } = self;
        output::remark(format_args!("warning: {path}: {reason}"));
    }
}

#[derive(Debug, Deserialize)]
struct Webhook {
    path: Plain,
}

impl Listed {
    /// When it last fired, of triggers and jobs.
    pub fn last_fired(&self) -> String {
        or_none(self.last_fired_at.as_ref())
    }

    /// What it says in a field, on one line.
    pub fn word(&self, field: &str) -> String {
        self.words.get(field).map_or_else(|| NONE.to_owned(), |value| text(value).line())
    }

    /// The same, or what holds when it says nothing.
    pub fn word_or(&self, field: &str, default: &str) -> String {
        if self.says(field) { self.word(field) } else { default.to_owned() }
    }

    /// Whether it says anything in a field.
    pub fn says(&self, field: &str) -> bool {
        self.words.contains_key(field)
    }

    /// A field of a table within it.
    pub fn within(&self, table: &str, field: &str) -> Option<String> {
        self.words.get(table)?.get(field).map(|value| text(value).line())
    }

    /// The filter's component and what it is told.
    pub fn filter(&self) -> Option<(String, Value)> {
        let filter = self.words.get("filter")?;
        let is_cel = filter.as_object().is_some_and(|table| table.len() == 1);
        Some(match (filter.get("component"), filter.get("cel").filter(|_| is_cel)) {
            (Some(component), _) => {
                let config = filter.get("config").cloned().unwrap_or_else(|| Map::new().into());
                (text(component).line(), config)
            }
            (None, Some(expression)) => ("cel".to_owned(), expression.clone()),
            (None, None) => ("match".to_owned(), filter.clone()),
        })
    }
}

/// One line each.
pub(super) fn list(items: &[Listed], columns: &[Column]) -> Table {
    let headings = columns.iter().map(|column| column.heading);
    let headings = ["NAME"].into_iter().chain(headings).chain(["ENABLED", "SOURCE"]);
    let row = |one: &Listed| {
        let mut cells = vec![one.name.line()];
        cells.extend(columns.iter().map(|column| (column.cell)(one)));
        cells.extend([enabled(one), one.defined_by.line()]);
        cells
    };
    output::table(headings, items.iter().map(row))
}

/// All of one.
pub(super) fn one(definition: &Listed) -> String {
    let source = match &definition.defined_at {
        Some(place) => format!("{} ({place})", definition.defined_by),
        None => definition.defined_by.to_string(),
    };
    let mut lines = vec![
        ("id", definition.id.to_string()),
        ("name", definition.name.to_string()),
        ("workspace", or_none(definition.workspace_id.as_ref())),
        ("defined by", source),
        ("enabled", enabled(definition)),
        ("revision", definition.revision.to_string()),
        ("created", definition.created_at.to_string()),
        ("updated", definition.updated_at.to_string()),
    ];
    if let Some(at) = &definition.last_fired_at {
        lines.push(("last fired", at.to_string()));
    }
    if let Some(Webhook { path }) = &definition.webhook {
        lines.push(("webhook", path.to_string()));
    }
    for (field, value) in &definition.words {
        match (field.as_str(), definition.filter()) {
            ("prompt", _) => {}
            ("filter", Some((component, config))) => {
                lines.push(("filter", format!("{component} {}", text(&config))));
            }
            (field, _) => lines.push((field, text(value).to_string())),
        }
    }
    let prompt = definition.words.get("prompt").map(|prompt| section("Prompt", text(prompt)));
    output::fields(lines) + &prompt.unwrap_or_default()
}

fn enabled(definition: &Listed) -> String {
    let word = if definition.enabled { "yes" } else { "no" };
    // Somebody has said so over what is defined.
    let over = if definition.overlay { " (overlay)" } else { "" };
    format!("{word}{over}")
}

/// Text as it is, anything else as JSON.
fn text(value: &Value) -> Plain {
    match value {
        Value::String(text) => Plain::from(text.as_str()),
        other => Plain::from(other.to_string().as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(more: &str) -> Listed {
        let text = format!(
            r#"{{"id":"trg_00000000000000000000000000000003","name":"triage","scope":"global",
            "defined_by":"config","defined_at":"triggers[0]","enabled":true,"own_enabled":true,
            "overlay":false,"revision":1,"created_at":"2026-01-01T00:00:00Z",
            "updated_at":"2026-01-01T00:00:00Z","event":"github.*","agent":"triager",
            "prompt":"Look at {{{{data.issue.title}}}}"{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn definitions_are_listed_one_a_line() {
        let columns = [Column { heading: "EVENT", cell: |one| one.word("event") }];
        let wanted = "NAME    EVENT     ENABLED  SOURCE\n\
                      triage  github.*  yes      config\n";
        assert_eq!(uncoloured(&list(&[definition("")], &columns).to_string()), wanted);
    }

    #[test]
    fn a_definition_is_shown_with_all_it_says() {
        let filter = r#","filter":{"data.action":"opened"},"retry":{"max_retries":2}"#;
        let text = uncoloured(&one(&definition(filter)));
        assert!(text.contains("defined by  config (triggers[0])\n"), "{text}");
        assert!(text.contains("filter      match {\"data.action\":\"opened\"}\n"), "{text}");
        assert!(text.contains("retry       {\"max_retries\":2}\n"), "{text}");
        assert!(text.ends_with("\nPrompt\nLook at {{data.issue.title}}\n"), "{text}");
    }

    #[test]
    fn filters_are_told_apart() {
        let check = |filter: &str, component: &str, config: &str| {
            let found = definition(&format!(r#","filter":{filter}"#)).filter().unwrap();
            assert_eq!((found.0.as_str(), found.1.to_string().as_str()), (component, config));
        };
        check(r#"{"cel":"true"}"#, "cel", r#""true""#);
        check(r#"{"cel":"a","kind":"b"}"#, "match", r#"{"cel":"a","kind":"b"}"#);
        check(r#"{"component":"mine","config":{"a":1}}"#, "mine", r#"{"a":1}"#);
        check(r#"{"component":"mine"}"#, "mine", "{}");
    }
}

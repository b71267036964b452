//! A configuration, parsed and checked: every problem is reported, not only the first.

use glob::{MatchOptions, Pattern};
use hillock_plugin_sdk::observer::Diagnostic;
use serde_json::{Map, Value};

use crate::backlog::Thresholds;

const STATUSES: [&str; 6] =
    ["scheduled", "running", "delegated", "completed", "failed", "canceled"];

/// What to make events of; what says nothing of a subject means all of it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Config {
    files: Option<Pattern>,
    statuses: Option<Vec<String>>,
    agents: Option<Vec<String>>,
    pub(crate) thresholds: Option<Thresholds>,
}

impl Config {
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut settings: Map<String, Value> = match serde_json::from_str(text) {
            Ok(Value::Object(settings)) => settings,
            Ok(_) => return Err(vec![Diagnostic::at("", "a configuration is an object")]),
            Err(error) => return Err(vec![Diagnostic::at("", format!("not JSON: {error}"))]),
        };
        let mut problems = Vec::new();
        let mut take = |name: &str| settings.remove(name).map(|value| (name.to_owned(), value));
        let config = Self {
            files: parsed(take("match"), pattern, &mut problems),
            statuses: parsed(take("statuses"), statuses, &mut problems),
            agents: parsed(take("agents"), texts, &mut problems),
            thresholds: thresholds(
                parsed(take("above"), number, &mut problems),
                parsed(take("below"), number, &mut problems),
                &mut problems,
            ),
        };
        let unknown = |name: &String| Diagnostic::at(name, UNKNOWN);
        problems.extend(settings.keys().map(unknown));
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    pub(crate) fn wants_file(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        self.files.as_ref().is_none_or(|files| files.matches_with(path, options))
    }

    pub(crate) fn wants_status(&self, status: &str) -> bool {
        self.statuses.as_ref().is_none_or(|wanted| wanted.iter().any(|word| word == status))
    }

    pub(crate) fn wants_agent(&self, agent: &str) -> bool {
        self.agents.as_ref().is_none_or(|wanted| wanted.iter().any(|name| name == agent))
    }
}

const UNKNOWN: &str = "there are `match`, `above`, `below`, `statuses` and `agents`";

/// The value of a setting that is there and good.
fn parsed<T>(
    setting: Option<(String, Value)>,
    parse: fn(Value) -> Result<T, String>,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    let (name, value) = setting?;
    parse(value).map_err(|reason| problems.push(Diagnostic::at(name, reason))).ok()
}

fn pattern(value: Value) -> Result<Pattern, String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    let text = text.ok_or("a glob on the relative path, such as `**/*.md`")?;
    Pattern::new(text).map_err(|error| format!("at character {}: {}", error.pos + 1, error.msg))
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    let list = serde_json::from_value::<Vec<String>>(value).ok();
    list.filter(|list| !list.is_empty()).ok_or_else(|| "a list of at least one name".to_owned())
}

fn statuses(value: Value) -> Result<Vec<String>, String> {
    let list = texts(value)?;
    match list.iter().find(|status| !STATUSES.contains(&status.as_str())) {
        Some(unknown) => Err(format!("`{unknown}` is none of {}", STATUSES.join(", "))),
        None => Ok(list),
    }
}

fn number(value: Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| "a number of commands, 0 or more".to_owned())
}

fn thresholds(
    above: Option<u64>,
    below: Option<u64>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Thresholds> {
    match (above, below) {
        (None, Some(_)) if problems.is_empty() => {
            problems.push(Diagnostic::at("below", "means nothing without `above`"));
        }
        (Some(above), Some(below)) if below > above => {
            problems.push(Diagnostic::at("below", format!("is more than `above`, {above}")));
        }
        _ => {}
    }
    let above = above?;
    Some(Thresholds { above, below: below.unwrap_or(above / 2) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_on_the_relative_path() {
        for (glob, path, wanted) in [
            ("*.md", "notes.md", true),
            ("*.md", "notes.txt", false),
            ("*.md", "deep/notes.md", false),
            ("**/*.md", "notes.md", true),
            ("**/*.md", "very/deep/notes.md", true),
            ("inbox/**", "inbox/a/b", true),
            ("inbox/*", "inbox/a/b", false),
            ("[ab]?.txt", "a1.txt", true),
            ("*", ".hidden", true),
        ] {
            let config = serde_json::json!({ "match": glob }).to_string();
            assert_eq!(Config::parse(&config).unwrap().wants_file(path), wanted, "{glob} {path}");
        }
        assert!(Config::parse("{}").unwrap().wants_file("anything/at all"));
    }

    #[test]
    fn a_backlog_is_cleared_at_half_unless_it_says_otherwise() {
        for (config, thresholds) in [
            ("{}", None),
            (r#"{"above": 10}"#, Some((10, 5))),
            (r#"{"above": 1}"#, Some((1, 0))),
            (r#"{"above": 10, "below": 10}"#, Some((10, 10))),
            (r#"{"above": 10, "below": 0}"#, Some((10, 0))),
        ] {
            let found = Config::parse(config).unwrap().thresholds;
            assert_eq!(found.map(|found| (found.above, found.below)), thresholds, "{config}");
        }
    }

    #[test]
    fn every_problem_is_reported() {
        for (config, paths) in [
            ("", &[""][..]),
            ("[]", &[""]),
            (r#"{"match": "a**b"}"#, &["match"]),
            (r#"{"match": "["}"#, &["match"]),
            (r#"{"match": ""}"#, &["match"]),
            (r#"{"match": ["*.md"]}"#, &["match"]),
            (r#"{"statuses": ["done"]}"#, &["statuses"]),
            (r#"{"statuses": "failed"}"#, &["statuses"]),
            (r#"{"agents": []}"#, &["agents"]),
            (r#"{"above": -1}"#, &["above"]),
            (r#"{"above": "10"}"#, &["above"]),
            (r#"{"below": 1}"#, &["below"]),
            (r#"{"above": 1, "below": 2}"#, &["below"]),
            (
                r#"{"above": 1.5, "agents": 1, "x": 1, "statuses": 1}"#,
                &["statuses", "agents", "above", "x"],
            ),
        ] {
            let found = Config::parse(config).unwrap_err();
            let found: Vec<_> = found.iter().map(|wrong| wrong.path.as_str()).collect();
            assert_eq!(found, paths, "{config}");
        }
    }
}

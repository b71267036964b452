//! Filter `match`: every named field has exactly the wanted text.
//!
//! The configuration is a JSON object from path to string:
//! `{"data.action": "opened", "data.issue.labels.0.name": "bug"}`. A key with dots in it stands in
//! brackets, `data.[app.kubernetes.io/name]` or `data["app.kubernetes.io/name"]`. All of them must
//! hold, and an empty object passes everything. Scalars compare as text, numbers in their shortest form; null,
//! objects, arrays and fields that are not there never match. Anything cleverer is another filter's
//! work.

mod clause;
mod rules;

use std::cell::RefCell;

use hillock_plugin_sdk::export_filter;
use hillock_plugin_sdk::filter::{Diagnostic, Event, Filter, FilterError, Verdict};

use rules::Rules;

struct Match;

export_filter!(Match);

impl Filter for Match {
    fn check(config: String) -> Vec<Diagnostic> {
        Rules::parse(config).err().unwrap_or_default()
    }

    fn matches(event: &Event, config: String) -> Result<Verdict, FilterError> {
        LAST.with_borrow_mut(|last| {
            let rules = match last.take() {
                Some(rules) if rules.config() == config => rules,
                _ => Rules::parse(config).map_err(invalid_config)?,
            };
            let broken = rules.clauses().iter().find_map(|clause| clause.broken_by(event));
            *last = Some(rules);
            Ok(broken.map_or(Verdict::Matched, Verdict::Unmatched))
        })
    }
}

thread_local! {
    /// The rules of the last call: an instance is reused within one configuration.
    static LAST: RefCell<Option<Rules>> = const { RefCell::new(None) };
}

fn invalid_config(diagnostics: Vec<Diagnostic>) -> FilterError {
    let lines: Vec<String> = diagnostics
        .into_iter()
        .map(|Diagnostic { path, message }| match path.as_str() {
            "" => message,
            path => format!("{path}: {message}"),
        })
        .collect();
    FilterError::InvalidConfig(lines.join("; "))
}

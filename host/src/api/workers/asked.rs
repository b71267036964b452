//! What is asked for in a body, read field by field: everything that is wrong is said at once.

use std::fmt::Display;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::api::problem::Problem;
use crate::model::problem::Problems;
use crate::model::scope::Scope;

/// The longest name of a worker, in characters.
const NAME_MAX: usize = 128;
/// The most commands that a worker takes at once.
const CAPACITY_MAX: u32 = 1000;
/// The most workers that one token registers.
const USES_MAX: u32 = 10_000;
/// How long a token lives unless somebody says otherwise.
const EXPIRES_IN: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest life of a token.
const EXPIRES_IN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A bootstrap token, as somebody asks for one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) uses: u32,
    pub(super) expires_in: Duration,
    pub(super) scope: Scope,
    pub(super) approves: bool,
}

/// The name of a worker that registers.
pub(super) fn name(body: &Value) -> Result<String, Problem> {
    let mut fields = Fields::open(body, &["name"]);
    let name = fields.required("name", |value| {
        let text = value.as_str().map(str::trim).ok_or("is not a text")?;
        match text.chars().count() {
            1..=NAME_MAX if !text.chars().any(char::is_control) => Ok(text.to_owned()),
            _ => Err(format!("is not a name of 1 to {NAME_MAX} characters on one line")),
        }
    });
    fields.finish(name)
}

/// How many commands a worker is to take at once.
pub(super) fn capacity(body: &Value) -> Result<u32, Problem> {
    let mut fields = Fields::open(body, &["capacity"]);
    let capacity = fields.required("capacity", |value| count(value, CAPACITY_MAX));
    fields.finish(capacity)
}

/// A token in this scope, unless the body names a workspace.
pub(super) fn token(body: &Value, scope: &Scope) -> Result<Token, Problem> {
    let mut fields = Fields::open(body, &["uses", "expires_in", "workspace", "approve"]);
    let uses = fields.or("uses", 1, |value| count(value, USES_MAX));
    let expires_in = fields.or("expires_in", EXPIRES_IN, duration);
    let scope = fields.or("workspace", scope.clone(), |value| workspace(value, scope));
    let approves = fields.or("approve", false, |value| {
        value.as_bool().ok_or_else(|| "is not true or false".to_owned())
    });
    let token = (|| {
        Some(Token { uses: uses?, expires_in: expires_in?, scope: scope?, approves: approves? })
    })();
    fields.finish(token)
}

fn count(value: &Value, max: u32) -> Result<u32, String> {
    let n = value.as_u64().and_then(|n| u32::try_from(n).ok());
    n.filter(|n| (1..=max).contains(n)).ok_or_else(|| format!("is not a number from 1 to {max}"))
}

fn duration(value: &Value) -> Result<Duration, String> {
    let span = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
    span.filter(|span| !span.is_zero() && *span <= EXPIRES_IN_MAX)
        .ok_or_else(|| "is not a duration such as 30m or 24h, of at most 366 days".to_owned())
}

fn workspace(value: &Value, request: &Scope) -> Result<Scope, String> {
    let text = value.as_str().ok_or("is not a text")?;
    let said = Scope::parse(text).map_err(|reason| reason.to_string())?;
    if *request == Scope::Global || said == *request {
        return Ok(said);
    }
    Err(format!("is not the request's, {request}"))
}

/// The fields of a body.
struct Fields<'b> {
    table: Option<&'b Map<String, Value>>,
    problems: Problems,
}

impl<'b> Fields<'b> {
    fn open(body: &'b Value, known: &[&str]) -> Self {
        let mut problems = Problems::default();
        let table = body.as_object();
        if table.is_none() {
            problems.add("", "the body is not a JSON object");
        }
        for unknown in table.into_iter().flat_map(Map::keys) {
            if !known.contains(&unknown.as_str()) {
                problems.add(unknown.clone(), format!("is unknown: there is {}", known.join(", ")));
            }
        }
        Self { table, problems }
    }

    /// What stands there; null is nothing.
    fn raw(&self, name: &str) -> Option<&'b Value> {
        self.table?.get(name).filter(|value| !value.is_null())
    }

    fn or<T, E: Display>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<T> {
        match self.raw(name) {
            None => Some(default),
            Some(value) => self.problems.take(name, parse(value)),
        }
    }

    fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.raw(name) {
            None => {
                self.problems.add(name, "is missing");
                None
            }
            Some(value) => self.problems.take(name, parse(value)),
        }
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        value.filter(|_| self.problems.is_empty()).ok_or_else(|| {
            let title = "the body is not what is asked for here";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", title).at(&self.problems)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_has_its_defaults() {
        let token = token(&json!({}), &Scope::Global).unwrap();
        let scope = Scope::Global;
        assert_eq!(token, Token { uses: 1, expires_in: EXPIRES_IN, scope, approves: false });
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let acme = Scope::parse("acme").unwrap();
        let check = |body: Value, wanted: &[&str]| {
            let problem = serde_json::to_value(token(&body, &acme).unwrap_err()).unwrap();
            let paths = problem["problems"].as_array().unwrap();
            let paths: Vec<_> = paths.iter().map(|p| p["path"].as_str().unwrap()).collect();
            assert_eq!(paths, wanted, "{body}");
        };
        check(json!([]), &[""]);
        check(json!({ "uses": 0, "more": 1 }), &["more", "uses"]);
        check(json!({ "uses": 10_001, "expires_in": "1000d" }), &["uses", "expires_in"]);
        check(json!({ "expires_in": "0s", "approve": "yes" }), &["expires_in", "approve"]);
        check(json!({ "workspace": "other" }), &["workspace"]);
        check(json!({ "workspace": "Bad Name" }), &["workspace"]);
        assert!(token(&json!({ "workspace": "acme", "uses": null }), &acme).is_ok());
    }

    #[test]
    fn names_are_one_line() {
        assert_eq!(name(&json!({ "name": " build box " })).unwrap(), "build box");
        for bad in [json!({}), json!({ "name": " " }), json!({ "name": "a\nb" }), json!(null)] {
            assert!(name(&bad).is_err(), "{bad}");
        }
        assert!(name(&json!({ "name": "x".repeat(129) })).is_err());
        assert_eq!(capacity(&json!({ "capacity": 4 })).unwrap(), 4);
        assert!(capacity(&json!({ "capacity": 1001 })).is_err());
    }
}

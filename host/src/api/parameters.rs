//! What stands behind the question mark: read by name, and all that is wrong with it said at once.
//!
//! A route says which parameters it takes by reading them ([`Query`]); whatever it did not ask for is
//! unknown to it, and refused, since a filter that is misspelt would show everything.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use url::form_urlencoded;

use super::headers::REPEATED;
use super::problem::Problem;
use crate::model::near::unknown;
use crate::model::problem::Problems;
use crate::model::time::Time;

/// The parameters of a route.
pub(super) struct Parameters<T>(pub(super) T);

/// What a route takes as parameters.
pub(super) trait Query: Sized {
    /// Reads each of them. What is missing or wrong reads as absent; the latter is noted.
    fn read(given: &mut Given) -> Self;
}

/// The parameters of a request, those that were read already taken out.
#[derive(Debug, Default)]
pub(super) struct Given {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
    problems: Problems,
}

impl Given {
    fn of(query: &str) -> Self {
        let left = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { left, ..Self::default() }
    }

    /// A parameter as it stands; an empty one is none.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut found: Vec<_> = self.left.extract_if(.., |(given, _)| given == name).collect();
        if found.len() > 1 {
            self.wrong(name, REPEATED);
        }
        found.pop().map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// A parameter as `parse` makes it.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.problems.take(name, parse(&text))
    }

    /// A parameter as a domain type, whose errors are words for people.
    pub(super) fn word<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.parsed(name, str::parse)
    }

    /// A whole number in this range.
    pub(super) fn count(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let (min, max) = (range.start(), range.end());
        self.parsed(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| format!("`{text}` is not a whole number from {min} to {max}"))
        })
    }

    /// The number of something that is counted; one beyond all counting is the greatest.
    pub(super) fn ordinal(&mut self, name: &'static str) -> Option<i64> {
        self.parsed(name, |text| match text.bytes().all(|c| c.is_ascii_digit()) {
            true => Ok(text.parse().unwrap_or(i64::MAX)),
            false => Err(format!("`{text}` is not a whole number, 0 or more")),
        })
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("`{text}` is not true or false")),
        })
    }

    /// Two instants, the earlier first.
    pub(super) fn span(
        &mut self,
        since: &'static str,
        until: &'static str,
    ) -> (Option<Time>, Option<Time>) {
        let (begin, end) = (self.word::<Time>(since), self.word(until));
        if begin.zip(end).is_some_and(|(begin, end)| end < begin) {
            self.wrong(until, format!("lies before {since}"));
        }
        (begin, end)
    }

    /// What was made of a parameter, or none and that it is wrong.
    pub(super) fn take<T, E: Display>(&mut self, name: &str, made: Result<T, E>) -> Option<T> {
        self.problems.take(name, made)
    }

    /// Notes that a parameter is wrong.
    pub(super) fn wrong(&mut self, name: &str, reason: impl Display) {
        self.problems.add(name, reason);
    }

    fn close(mut self) -> Result<(), Problem> {
        for (name, _) in &self.left {
            self.problems.add(name, unknown("parameters", &self.known, name));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(invalid().at(&self.problems)) }
    }
}

impl Query for () {
    fn read(_: &mut Given) -> Self {}
}

/// Reads all parameters of a query.
fn read<T: Query>(query: &str) -> Result<T, Problem> {
    let mut given = Given::of(query);
    let read = T::read(&mut given);
    given.close().map(|()| read)
}

fn invalid() -> Problem {
    let title = "a parameter of the request is not valid";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", title)
}

impl<S: Send + Sync, T: Query> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::json::{InScope, Paging};

    #[derive(Debug, PartialEq)]
    struct Sample {
        since: Option<Time>,
        after: Option<i64>,
        enabled: Option<bool>,
    }

    impl Query for Sample {
        fn read(given: &mut Given) -> Self {
            let _ = (InScope::read(given), Paging::read(given));
            Self {
                since: given.word("since"),
                after: given.ordinal("after"),
                enabled: given.flag("enabled"),
            }
        }
    }

    fn wrong(query: &str) -> Vec<(String, String)> {
        let problem = serde_json::to_value(read::<Sample>(query).unwrap_err()).unwrap();
        assert_eq!(problem["code"], "invalid_parameter");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let problems = problem["problems"].as_array().unwrap();
        problems.iter().map(|one| (text(&one["path"]), text(&one["reason"]))).collect()
    }

    #[test]
    fn what_is_right_is_read() {
        let nothing = Sample { since: None, after: None, enabled: None };
        assert_eq!(read::<Sample>("").unwrap(), nothing);
        assert_eq!(read::<Sample>("since=&limit=&workspace=").unwrap(), nothing);
        let query =
            "since=1970-01-01T00%3A00%3A00Z&after=99999999999999999999&enabled=true&limit=1";
        let all = Sample { since: Some(Time::EPOCH), after: Some(i64::MAX), enabled: Some(true) };
        assert_eq!(read::<Sample>(query).unwrap(), all);
    }

    #[test]
    fn each_fault_is_said_in_words() {
        let limits = "is not a whole number from 1 to 200";
        for (query, path, reason) in [
            ("limt=5", "limt", "is unknown; did you mean `limit`?".to_owned()),
            ("Limit=5", "Limit", "is unknown; did you mean `limit`?".to_owned()),
            (
                "per_page=5",
                "per_page",
                "is unknown; parameters here are workspace, limit, cursor, since, after, enabled"
                    .to_owned(),
            ),
            ("limit=0", "limit", format!("`0` {limits}")),
            ("limit=201", "limit", format!("`201` {limits}")),
            ("limit=-1", "limit", format!("`-1` {limits}")),
            ("limit=4294967296", "limit", format!("`4294967296` {limits}")),
            ("limit=many", "limit", format!("`many` {limits}")),
            ("after=-1", "after", "`-1` is not a whole number, 0 or more".to_owned()),
            ("enabled=yes", "enabled", "`yes` is not true or false".to_owned()),
            ("after=1&after=1", "after", "stands there more than once".to_owned()),
            ("cursor=z", "cursor", "is not a cursor that an earlier page gave".to_owned()),
            (
                "since=monday",
                "since",
                "`monday` is not an RFC 3339 instant such as 2026-01-31T09:00:00Z".to_owned(),
            ),
        ] {
            assert_eq!(wrong(query), [(path.to_owned(), reason)], "{query}");
        }
    }

    #[test]
    fn all_faults_are_said_at_once() {
        let paths: Vec<_> =
            wrong("limit=0&x=1&since=2&workspace=No+Name&cursor=z&after=a&enabled=1")
                .into_iter()
                .map(|(path, _)| path)
                .collect();
        let wanted = ["workspace", "limit", "cursor", "since", "after", "enabled", "x"];
        assert_eq!(json!(paths), json!(wanted));
    }
}

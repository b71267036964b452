//! Conditional requests on definitions (RFC 9110, section 13): the entity tag is the revision.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::api::problem::Problem;

/// What a client says of the revision it means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// Nothing, or any.
    Any,
    /// One of these. What is no revision of ours, a weak tag for one, is left out: it matches none.
    These(Vec<i64>),
}

impl IfMatch {
    /// The condition in these headers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut revisions = Vec::new();
        for value in headers.get_all(IF_MATCH) {
            let text = value.to_str();
            let text = text.map_err(|_| Problem::parameter("If-Match", "is not text"))?;
            for tag in text.split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self::Any);
                }
                let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                revisions.extend(quoted.and_then(|tag| tag.parse::<i64>().ok()));
            }
        }
        let given = headers.contains_key(IF_MATCH);
        Ok(if given { Self::These(revisions) } else { Self::Any })
    }

    /// Whether a definition with this revision is meant.
    pub(super) fn allows(&self, revision: i64) -> bool {
        match self {
            Self::Any => true,
            Self::These(revisions) => revisions.contains(&revision),
        }
    }
}

/// The entity tag of a revision.
pub(super) fn etag(revision: i64) -> HeaderValue {
    // Digits and quotes can stand in a header.
    HeaderValue::try_from(format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The answer to who means another revision than the present one.
pub(super) fn stale(revision: i64) -> Problem {
    let title = "the definition is not as it was";
    Problem::new(StatusCode::PRECONDITION_FAILED, "stale", title)
        .detail(format!("its revision is {revision} now"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let check = |values: &[&'static str], wanted: IfMatch| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            assert_eq!(IfMatch::read(&headers).unwrap(), wanted, "{values:?}");
        };
        check(&[], IfMatch::Any);
        check(&["*"], IfMatch::Any);
        check(&["\"3\""], IfMatch::These(vec![3]));
        check(&["\"3\", \"4\"", "\"5\""], IfMatch::These(vec![3, 4, 5]));
        check(&["W/\"3\""], IfMatch::These(vec![]));
        check(&["3"], IfMatch::These(vec![]));
        check(&[""], IfMatch::These(vec![]));
        assert!(!IfMatch::These(vec![]).allows(1) && IfMatch::These(vec![1]).allows(1));
    }
}

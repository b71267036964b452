//! Headers that decide something, and may stand in a request once: which of two would count is a
//! guess, and proxies guess otherwise.

use axum::http::{HeaderMap, HeaderValue};

use super::problem::Problem;

/// What is wrong with a header that stands there twice.
pub(super) const REPEATED: &str = "stands there more than once";

/// The value of a header that may stand there once.
///
/// # Errors
/// When it stands there more than once.
pub(super) fn only<'h>(
    headers: &'h HeaderMap,
    name: &str,
) -> Result<Option<&'h HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Problem::parameter(name, REPEATED)),
        (value, None) => Ok(value),
    }
}

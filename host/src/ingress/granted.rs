//! What an extension component fetches, fetched by `egress`: neither knows the other.

use std::error::Error as _;
use std::sync::Arc;

use crate::egress::{Egress, EgressError, Request, Response};
use crate::sandbox::{Fetch, Fetched, HttpError, HttpRequest, HttpResponse};

/// The way out of one extension: what its grants allow.
#[derive(Clone, Debug)]
pub struct Granted(Arc<Egress>);

impl Granted {
    /// The way out through these grants.
    pub fn new(egress: Egress) -> Self {
        Self(Arc::new(egress))
    }
}

impl Fetch for Granted {
    fn fetch(&self, request: HttpRequest) -> Fetched {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = egress.fetch(asked(request)).await;
            answer.map(answered).map_err(|error| refused(&error))
        })
    }
}

fn asked(request: HttpRequest) -> Request {
    let HttpRequest { method, url, headers, body } = request;
    let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
    Request { method, url, headers: headers.collect(), body: body.unwrap_or_default() }
}

/// Guests have headers as text; what is no UTF-8 in one is replaced.
fn answered(response: Response) -> HttpResponse {
    let Response { url, status, headers, body } = response;
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    let headers = headers.into_iter().map(|(name, value)| (name, text(value)));
    HttpResponse { status, headers: headers.collect(), body: body.into(), url }
}

fn refused(error: &EgressError) -> HttpError {
    match error {
        EgressError::Denied(denial) => HttpError::Denied(denial.to_string()),
        EgressError::Invalid(reason) => HttpError::InvalidRequest(reason.to_string()),
        EgressError::TimedOut { .. } => HttpError::Timeout,
        EgressError::TooLarge { bytes_max, .. } => {
            HttpError::TooLarge(u64::try_from(*bytes_max).unwrap_or(u64::MAX))
        }
        EgressError::Unresolved { .. }
        | EgressError::Unreachable { .. }
        | EgressError::Broken { .. }
        | EgressError::Redirect { .. }
        | EgressError::TooManyRedirects => HttpError::Failed(with_cause(error)),
    }
}

fn with_cause(error: &EgressError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! HTTP for extensions, to the hosts and methods that the operator has granted.
//!
//! The host does it: it resolves names, follows redirects, adds the credentials that the grant
//! names, and refuses what is not granted on every hop. At most 16 requests a poll.

use crate::bindings::extension::hillock::plugin::http as bound;
pub use crate::bindings::extension::hillock::plugin::http::{HttpError, Request, Response};
use crate::extension::PollError;

/// Sends a request and waits for the whole response, whatever its status.
///
/// # Errors
/// When there is no response.
pub fn fetch(request: &Request) -> Result<Response, HttpError> {
    bound::fetch(request)
}

impl Request {
    /// A request for what is at `url`. Set the rest with struct update syntax.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: "GET".to_owned(), url: url.into(), headers: Vec::new(), body: None }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl Response {
    /// The first value of a header; names match in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

impl HttpError {
    /// The error in words.
    pub fn message(&self) -> String {
        match self {
            Self::Denied(line) => format!("not granted: {line}"),
            Self::InvalidRequest(reason) => format!("the request cannot be sent: {reason}"),
            Self::Timeout => "the server took too long".to_owned(),
            Self::TooLarge(bytes_max) => format!("the response has more than {bytes_max} bytes"),
            Self::Failed(reason) => reason.clone(),
        }
    }
}

/// What is refused stays refused until somebody changes something; what failed may go better next
/// time.
impl From<HttpError> for PollError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Timeout | HttpError::Failed(_) => Self::Retry(error.message()),
            HttpError::Denied(_) | HttpError::InvalidRequest(_) | HttpError::TooLarge(_) => {
                Self::Failed(error.message())
            }
        }
    }
}

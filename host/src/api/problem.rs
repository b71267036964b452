//! Errors as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Api, requests};
use crate::admission::QueueFull;
use crate::config::KEPT_MIN;
use crate::model::problem::{Problem as Wrong, Problems};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::StoreError;

/// How long a sender should wait before it tries again, unless it is known better, in seconds.
const RETRY_AFTER_SECS: u64 = 5;

/// Why a request was not answered as hoped.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Stable: what programs look at.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Wrong>,
    #[serde(skip)]
    http_status: StatusCode,
    #[serde(skip)]
    retry_after_secs: Option<u64>,
    #[serde(skip)]
    tells_codings: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title,
            status: Some(status.as_u16()),
            code,
            detail: None,
            problems: Vec::new(),
            http_status: status,
            retry_after_secs: None,
            tells_codings: false,
        }
    }

    pub(super) fn detail(self, detail: impl ToString) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// These are the places where something is wrong.
    pub(super) fn at(self, problems: &Problems) -> Self {
        Self { problems: problems.iter().cloned().collect(), ..self }
    }

    /// The answer says when to try again.
    pub(super) fn retry(self) -> Self {
        Self { retry_after_secs: Some(RETRY_AFTER_SECS), ..self }
    }

    /// The answer says to try again after this long.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        let secs = wait.as_millis().div_ceil(1000);
        Self { retry_after_secs: Some(u64::try_from(secs).unwrap_or(u64::MAX)), ..self }
    }

    /// The answer says which content codings are read.
    pub(super) fn telling_codings(self) -> Self {
        Self { tells_codings: true, ..self }
    }

    /// The body says nothing of the status, so that it is the same whatever the status.
    pub(super) fn without_status(self) -> Self {
        Self { status: None, ..self }
    }

    /// A parameter is wrong.
    pub(super) fn parameter(name: &str, reason: impl ToString) -> Self {
        let wrong = Wrong { path: name.to_owned(), reason: reason.to_string() };
        let problem = Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
            "a parameter of the request is not valid",
        );
        Self { problems: vec![wrong], ..problem }
    }

    pub(super) fn not_found(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing here")
            .detail(format!("there is no such {what}"))
    }

    /// The same of something that may have been there: its identifier was minted then.
    pub(super) fn not_kept(what: &'static str, minted_at: Option<Time>, now: Time) -> Self {
        let missing = Self::not_found(what);
        match minted_at.filter(|at| now.since(*at) >= KEPT_MIN) {
            None => missing,
            Some(at) => missing.detail(format!(
                "there is no such {what}, or no more: its identifier is from {at}, and what has \
                 ended is removed after a time"
            )),
        }
    }

    pub(super) fn unavailable(code: &'static str, title: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title).retry()
    }
}

/// A problem as it is told.
#[derive(Serialize)]
struct Told<'p> {
    #[serde(flatten)]
    problem: &'p Problem,
    /// The request's, for whoever looks into the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Lets one more command of a workspace in.
///
/// # Errors
/// When too many wait already, or the store fails.
pub(super) async fn admit(api: &Api, scope: &Scope) -> Result<(), Problem> {
    Ok(api.admission.admit(scope, 1).await??)
}

impl From<QueueFull> for Problem {
    fn from(full: QueueFull) -> Self {
        let title = "too many commands wait already";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", title).detail(full).retry()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "API request failed");
        Self::unavailable("store_unavailable", "the host cannot reach its store")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Answers that are to be the same are.
        let request_id = self.status.and_then(|_| requests::id());
        let told = Told { problem: &self, request_id };
        let body = serde_json::to_vec(&told).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (self.http_status, [(CONTENT_TYPE, content_type)], body).into_response();
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.tells_codings {
            let codings = HeaderValue::from_static(super::coding::READ);
            response.headers_mut().insert(ACCEPT_ENCODING, codings);
        }
        response
    }
}

pub(super) async fn no_such_path() -> Problem {
    Problem::not_found("path")
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the path is right, the method is not",
    )
}

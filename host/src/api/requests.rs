//! What every request has: an identifier that logs and answers name, and a place in a trace.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Span;
use tracing::field::Empty;

use crate::clock::Clock;
use crate::model::trace::TraceParent;
use crate::trace;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest identifier that is taken from a client, in bytes.
const ID_BYTES_MAX: usize = 128;
/// What is asked every few seconds by machines, and belongs to no trace.
const UNTRACED: [&str; 3] = ["/metrics", "/livez", "/readyz"];

tokio::task_local! {
    static ID: HeaderValue;
}

/// The present request's identifier, if there is a request.
pub(super) fn id() -> Option<String> {
    ID.try_with(|id| id.to_str().ok().map(str::to_owned)).ok().flatten()
}

/// Gives a request its identifier, which is told in the answer, and its place in a trace.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let id = said(request.headers()).unwrap_or_else(made);
    let parent = parent(request.headers());
    let span = span(&request, &id);
    let answered = span.clone();
    let answer = ID.scope(id.clone(), next.run(request));
    let mut response = trace::within(parent.as_ref(), span, Clock, answer).await;
    answered.record("http.response.status_code", response.status().as_u16());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// A client's own identifier, where it is one word that can stand in a log.
fn said(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let plain = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let good = (1..=ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(plain);
    good.then(|| id.clone())
}

fn made() -> HeaderValue {
    let id = format!("req_{}", hex::encode(Clock.random::<16>()));
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("req_"))
}

/// The place in a trace that the client names; anything else than one is none.
fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

fn span(request: &Request, id: &HeaderValue) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    if UNTRACED.contains(&route) {
        return Span::none();
    }
    tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{} {route}", request.method()),
        http.response.status_code = Empty,
        request_id = id.to_str().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_cannot_stand_in_a_log_is_not_taken() {
        let long = "x".repeat(129);
        for (text, taken) in [
            ("7f3c-A_b.1", true),
            ("", false),
            ("two words", false),
            ("a\"b", false),
            (long.as_str(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, text.parse().unwrap());
            assert_eq!(said(&headers).is_some(), taken, "{text}");
        }
        assert_eq!(made().len(), 36);
    }
}

//! What handlers take from a request, with errors as problems.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{body, coding};
use crate::model::json;

/// The largest body that a resource accepts, in bytes.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The variable part of the path.
pub(super) struct Segment(pub(super) String);

/// The body, which is JSON.
pub(super) struct Body<const BYTES_MAX: usize = BODY_BYTES_MAX>(pub(super) Value);

/// The same of a route that takes none as well: an empty one is an empty table.
pub(super) struct BodyIfAny(pub(super) Value);

impl<S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for Body<BYTES_MAX> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let sent = sent(request, BYTES_MAX).await?;
        parsed(&sent).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for BodyIfAny {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let sent = sent(request, BODY_BYTES_MAX).await?;
        if sent.is_empty() { Ok(Self(json!({}))) } else { parsed(&sent).map(Self) }
    }
}

/// The body as it was before it was encoded.
async fn sent(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let sent = body::read(body, bytes_max, |_| Ok(())).await?;
    coding::decoded(&parts.headers, &sent, bytes_max, |_| Ok(()))
}

fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    json::read(bytes).map_err(|error| {
        let title = "the body is not JSON";
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", title).detail(error)
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(_) => Err(Problem::not_found("path")),
        }
    }
}

//! What handlers take from a request, with errors as problems.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::Value;

use super::problem::Problem;
use super::{body, coding};
use crate::model::json;

/// The largest body that a resource accepts, in bytes.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The variable part of the path.
pub(super) struct Segment(pub(super) String);

/// The body, which is JSON.
pub(super) struct Body<const BYTES_MAX: usize = BODY_BYTES_MAX>(pub(super) Value);

impl<S: Send + Sync, const BYTES_MAX: usize> FromRequest<S> for Body<BYTES_MAX> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let sent = body::read(body, BYTES_MAX, |_| Ok(())).await?;
        let bytes = coding::decoded(&parts.headers, &sent, BYTES_MAX, |_| Ok(()))?;
        json::read(&bytes).map(Self).map_err(|error| {
            let title = "the body is not JSON";
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", title).detail(error)
        })
    }
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

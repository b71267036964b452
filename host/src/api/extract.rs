//! What handlers take from a request, with errors as problems.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body;
use super::problem::Problem;
use crate::model::json;

/// The largest body that a resource accepts, in bytes.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The parameters behind the question mark.
pub(super) struct Parameters<T>(pub(super) T);

/// The variable part of the path.
pub(super) struct Segment(pub(super) String);

/// The body, which is JSON.
pub(super) struct Body(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = body::read(request.into_body(), BODY_BYTES_MAX, |_| Ok(())).await?;
        json::read(&bytes).map(Self).map_err(|error| {
            let title = "the body is not JSON";
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", title).detail(error)
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Problem::parameter("(query)", rejection.body_text())),
        }
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

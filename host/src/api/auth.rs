//! Bearer keys.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Api;
use super::problem::Problem;
use crate::store::keys;

/// Lets through who has a key.
pub(super) async fn require_key(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = bearer(request.headers()) else { return unauthorized() };
    match keys::is_known(&api.store, Sha256::digest(key.as_bytes()).into()).await {
        Ok(true) => next.run(request).await,
        Ok(false) => unauthorized(),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn unauthorized() -> Response {
    let title = "this needs a valid API key, as `Authorization: Bearer hlk_…`";
    let mut response =
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", title).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

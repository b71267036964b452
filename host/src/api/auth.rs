//! Bearers: API keys open everything, a worker's credential opens what workers speak by, and a
//! bootstrap token opens registration.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{Api, author, headers};
use crate::model::audit::Actor;
use crate::model::id::{KeyId, WorkerId};
use crate::model::scope::Scope;
use crate::model::worker::{Bearer, Dismissal, Pass};
use crate::store::keys;
use crate::store::workers::{self, Admission};

/// As people write it, and as it is named to them.
const AUTHORIZATION: &str = "Authorization";

/// Lets through who has a key, and notes which.
pub(super) async fn require_key(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    match key(&api, request.headers()).await {
        Ok(key) => next.run(noted(request, Actor::Key(key))).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets workers through, by a key or a credential of their own, and notes which in a [`Pass`].
pub(super) async fn require_worker(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Response {
    match pass(&api, request.headers()).await {
        Ok((pass, actor)) => {
            let mut request = noted(request, actor);
            request.extensions_mut().insert(pass);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn noted(mut request: Request, actor: Actor) -> Request {
    author::note(&mut request, actor);
    request
}

/// By what this worker may be registered, where the administrator means this scope; and by whom:
/// who has a bootstrap token registers itself.
pub(super) async fn admission(
    api: &Api,
    headers: &HeaderMap,
    scope: Scope,
    worker: &WorkerId,
) -> Result<(Admission, Actor), AuthError> {
    match bearer(headers)? {
        Some(token) if token.starts_with(Bearer::BOOTSTRAP) => {
            Ok((Admission::Token(Bearer::hash_of(token)), Actor::Worker(worker.clone())))
        }
        _ => Ok((Admission::Administrator(scope), Actor::Key(key(api, headers).await?))),
    }
}

/// Why a bearer does not let anybody in.
#[derive(Debug)]
pub(super) struct AuthError(Problem);

async fn key(api: &Api, headers: &HeaderMap) -> Result<KeyId, AuthError> {
    let key = bearer(headers)?.ok_or_else(unauthorized)?;
    match keys::find(&api.store, Bearer::hash_of(key)).await {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(unauthorized()),
        Err(error) => Err(AuthError(error.into())),
    }
}

async fn pass(api: &Api, headers: &HeaderMap) -> Result<(Pass, Actor), AuthError> {
    let Some(credential) = bearer(headers)?.filter(|bearer| bearer.starts_with(Bearer::CREDENTIAL))
    else {
        return Ok((Pass::Key, Actor::Key(key(api, headers).await?)));
    };
    match workers::admitted(&api.store, Bearer::hash_of(credential)).await {
        Ok(Some(Ok(pass))) => Ok((pass.clone(), actor(pass))),
        Ok(Some(Err(why))) => Err(AuthError(forbidden(&why))),
        Ok(None) => Err(unauthorized()),
        Err(error) => Err(AuthError(error.into())),
    }
}

fn actor(pass: Pass) -> Actor {
    match pass {
        Pass::Credential { worker_id, .. } => Actor::Worker(worker_id),
        Pass::Key => Actor::Host,
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let value = headers::only(headers, AUTHORIZATION).map_err(AuthError)?;
    Ok(value.and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    }))
}

fn forbidden(why: &Dismissal) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "worker_dismissed", "this worker may not come in")
        .detail(why)
}

/// Whatever is wrong with a bearer, the answer is the same.
pub(super) fn unauthorized() -> AuthError {
    let title = "this needs a valid API key, as `Authorization: Bearer hlk_…`";
    AuthError(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", title))
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

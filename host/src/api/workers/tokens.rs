//! Bootstrap tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Serialize;

use super::asked;
use crate::api::Api;
use crate::api::author::AuditedStore;
use crate::api::extract::{Body, Segment};
use crate::api::json::{InScope, Listing, Paging, ScopeJson};
use crate::api::parameters::{Given, Parameters, Query};
use crate::api::problem::Problem;
use crate::model::id::BootstrapId;
use crate::model::time::Time;
use crate::model::worker::Bearer;
use crate::store::workers::{self, BootstrapToken, NewToken};

/// The routes for who has a key.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/workers/tokens", get(list).post(create))
        .route("/api/v1/workers/tokens/{id}", delete(revoke))
}

#[derive(Debug)]
struct ListQuery {
    scope: InScope,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        Self { scope: InScope::read(given), paging: Paging::read(given) }
    }
}

#[derive(Debug, Serialize)]
struct TokenJson {
    id: BootstrapId,
    prefix: String,
    #[serde(flatten)]
    scope: ScopeJson,
    uses_left: u32,
    approve: bool,
    created_at: Time,
    expires_at: Time,
    revoked_at: Option<Time>,
}

/// The one answer that shows a token.
#[derive(Debug, Serialize)]
struct CreatedJson {
    token: String,
    #[serde(flatten)]
    kept: TokenJson,
}

async fn create(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Parameters(scope): Parameters<InScope>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let asked = asked::token(&body, &scope.scope())?;
    let (token, now) = (Bearer::bootstrap(api.clock.random()), api.clock.now());
    let new = NewToken {
        id: api.clock.bootstrap_id(),
        hash: token.hash(),
        prefix: token.prefix().to_owned(),
        scope: asked.scope,
        uses: asked.uses,
        approves: asked.approves,
        created_at: now,
        expires_at: now + asked.expires_in,
    };
    workers::create_token(&store, new.clone()).await?;
    let made =
        CreatedJson { token: token.expose().to_owned(), kept: BootstrapToken::from(new).into() };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<TokenJson>>, Problem> {
    let (scope, page) = (query.scope.scope(), query.paging.request());
    let page = workers::list_tokens(&api.store, &scope, page).await?;
    Ok(Json(Listing::page(page, TokenJson::from)))
}

async fn revoke(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<TokenJson>, Problem> {
    let missing = || Problem::not_found("bootstrap token");
    let (scope, id) = (scope.scope(), id.parse().map_err(|_| missing())?);
    let revoked = workers::revoke_token(&store, &scope, &id, api.clock.now()).await?;
    Ok(Json(revoked.ok_or_else(missing)?.into()))
}

impl From<BootstrapToken> for TokenJson {
    fn from(token: BootstrapToken) -> Self {
        Self {
            id: token.id,
            prefix: token.prefix,
            scope: ScopeJson::from(&token.scope),
            uses_left: token.uses_left,
            approve: token.approves,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

//! Who asks for something, and from where: made out of a request once, handed down with what it
//! changes, and named by the audit.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use super::Api;
use super::auth::{self, AuthError};
use crate::model::audit::{Actor, Author, Place};
use crate::model::text::shortened;
use crate::store::Store;

const REQUEST_ID: &str = "x-request-id";
/// How much is kept of what a client says of itself, in bytes.
const SAID_BYTES_MAX: usize = 120;

/// The address at the other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The store, in the hands of whoever has the key of this request.
pub(super) struct AuditedStore(pub(super) Store);

/// Where a request came from.
pub(super) struct Sent(pub(super) Place);

/// Notes on a request who asks, for [`AuditedStore`].
pub(super) fn note(request: &mut Request, actor: Actor) {
    let place = place(request.extensions(), request.headers());
    request.extensions_mut().insert(Author { actor, place });
}

fn place(extensions: &Extensions, headers: &HeaderMap) -> Place {
    let said = |name| {
        let text = headers.get(name)?.to_str().ok().filter(|text: &&str| !text.is_empty());
        text.map(|text| shortened(text, SAID_BYTES_MAX))
    };
    Place {
        peer: extensions.get::<Peer>().map(|peer| peer.0.to_canonical().to_string()),
        request_id: said(REQUEST_ID),
        user_agent: said(USER_AGENT.as_str()),
    }
}

impl FromRequestParts<Arc<Api>> for AuditedStore {
    type Rejection = AuthError;
    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, AuthError> {
        let author = parts.extensions.get::<Author>().ok_or_else(auth::unauthorized)?;
        Ok(Self(api.store.acting(author.clone())))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Sent {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(place(&parts.extensions, &parts.headers)))
    }
}

//! Webhooks: no key, but a signature.
//!
//! A sender who has no right to know learns nothing: an unknown endpoint and a wrong signature get
//! the same body, after the same work.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::SemaphorePermit;

use super::places::Place;
use super::problem::Problem;
use super::{Api, body, coding};
use crate::ingress::{Address, Answer, EndpointState, IngressError, OpenEndpoint, WebhookRequest};
use crate::metrics::WebhookOutcome;
use crate::model::definition::BODY_BYTES_MAX;
use crate::model::id::EventId;
use crate::sandbox::Reply;
use crate::trace;

/// How much the bodies at hand may hold altogether, in bytes.
pub(super) const BODY_ROOM_BYTES: usize = 256 * 1024 * 1024;
/// With less room than this, bodies that are long in coming give way.
const BODY_ROOM_SCARCE: usize = BODY_ROOM_BYTES / 4;

pub(super) async fn receive(
    State(api): State<Arc<Api>>,
    last: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let address = last.ok().and_then(|Path(last)| Address::parse(None, &last));
    respond(&api, address, request).await
}

pub(super) async fn receive_in_workspace(
    State(api): State<Arc<Api>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let parse =
        |Path((workspace, last)): Path<(String, String)>| Address::parse(Some(&workspace), &last);
    respond(&api, path.ok().and_then(parse), request).await
}

/// Receives at an address; none is as good as one that nobody has.
async fn respond(api: &Api, address: Option<Address>, request: Request) -> Response {
    let (outcome, response) = take(api, address, request).await;
    api.metrics.inbox().webhook(outcome);
    response
}

async fn take(api: &Api, address: Option<Address>, request: Request) -> (WebhookOutcome, Response) {
    let unavailable = |problem: Problem| (WebhookOutcome::Unavailable, problem.into_response());
    if api.draining.is_cancelled() {
        return unavailable(Problem::unavailable("draining", "the host is stopping"));
    }
    let endpoint = match address.and_then(|address| api.webhooks.find(&address)) {
        Some(EndpointState::Shut) => {
            let title = "the endpoint cannot verify anything at present";
            return unavailable(Problem::unavailable("endpoint_shut", title));
        }
        Some(EndpointState::Open(endpoint)) => Some(endpoint),
        None => None,
    };
    let bytes_max = endpoint.as_deref().map_or(BODY_BYTES_MAX, OpenEndpoint::body_bytes_max);
    let (parts, body) = request.into_parts();
    let body = match read(api, &parts, body, bytes_max).await {
        Ok(body) => body,
        Err(problem) => return (WebhookOutcome::Unreadable, problem.into_response()),
    };
    let request = WebhookRequest {
        method: parts.method.as_str().to_owned(),
        traceparent: trace::present().map(String::from),
        headers: headers(&parts.headers),
        query: Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default(),
        sent: body.sent.clone(),
        body: body.content.clone(),
    };
    let answered = match endpoint {
        Some(endpoint) => {
            let received = api.webhooks.receive(&endpoint, request).await;
            received.map(|said| (outcome_of(&said), answer(said)))
        }
        None => {
            let hidden = |()| (WebhookOutcome::Unknown, hidden(StatusCode::NOT_FOUND));
            api.webhooks.refuse(request).await.map(hidden)
        }
    };
    answered.unwrap_or_else(|error| (WebhookOutcome::Unavailable, failure(error)))
}

fn outcome_of(answer: &Answer) -> WebhookOutcome {
    match answer {
        Answer::Accepted(_) => WebhookOutcome::Accepted,
        Answer::Known(_) => WebhookOutcome::Duplicate,
        Answer::Repeated(_) => WebhookOutcome::Repeated,
        Answer::Nothing => WebhookOutcome::Nothing,
        Answer::Reply(_) => WebhookOutcome::Reply,
        Answer::Unauthorized => WebhookOutcome::Unauthorized,
        Answer::Malformed(_) | Answer::UnsupportedMediaType(_) => WebhookOutcome::Malformed,
    }
}

/// A body, and the room it takes for as long as its request is at hand.
struct Whole<'a> {
    sent: Bytes,
    content: Bytes,
    _room: SemaphorePermit<'a>,
}

/// Takes room as the body arrives and unfolds: what a sender only announces costs nothing.
async fn read<'a>(
    api: &'a Api,
    parts: &Parts,
    body: Body,
    bytes_max: usize,
) -> Result<Whole<'a>, Problem> {
    let mut room = room_for(api, 0)?;
    let place = parts.extensions.get::<Arc<Place>>();
    let mut take = |bytes| {
        room.merge(room_for(api, bytes)?);
        if let Some(place) = place {
            place.took(bytes, api.body_room.available_permits() < BODY_ROOM_SCARCE);
        }
        Ok(())
    };
    let sent = body::read(body, bytes_max, &mut take).await?;
    let content = coding::decoded(&parts.headers, &sent, bytes_max, take)?;
    Ok(Whole { sent, content, _room: room })
}

fn room_for(api: &Api, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    api.body_room.try_acquire_many(permits).map_err(|_| {
        Problem::unavailable("overloaded", "the host has as many requests as it can hold")
    })
}

/// The headers that say something of what the source reads: the content has no coding any more.
fn headers(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let owned = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().filter(|(name, _)| *name != CONTENT_ENCODING).map(owned).collect()
}

#[derive(Debug, Serialize)]
struct Receipt {
    event_id: Option<EventId>,
    /// All events of the request, where there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    event_ids: Vec<EventId>,
}

impl From<Vec<EventId>> for Receipt {
    fn from(ids: Vec<EventId>) -> Self {
        let event_id = ids.first().cloned();
        Self { event_id, event_ids: if ids.len() > 1 { ids } else { Vec::new() } }
    }
}

fn answer(answer: Answer) -> Response {
    match answer {
        Answer::Accepted(ids) => (StatusCode::ACCEPTED, Json(Receipt::from(ids))).into_response(),
        Answer::Known(ids) => (StatusCode::OK, Json(Receipt::from(ids))).into_response(),
        Answer::Repeated(ids) => repeated(&ids),
        Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
        Answer::Reply(reply) => reply_of(reply),
        Answer::Unauthorized => hidden(StatusCode::UNAUTHORIZED),
        Answer::Malformed(why) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "malformed",
            "the request is not what this endpoint's source sends",
        )
        .detail(why)
        .into_response(),
        Answer::UnsupportedMediaType(wanted) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "this endpoint does not read this content type",
        )
        .detail(format!("it reads {wanted}"))
        .into_response(),
    }
}

/// Said aloud, since the sender may have meant it.
fn repeated(ids: &[EventId]) -> Response {
    let ids: Vec<&str> = ids.iter().map(EventId::as_str).collect();
    let title = "the same body has come before, and this endpoint takes it once a day";
    Problem::new(StatusCode::CONFLICT, "repeated", title)
        .detail(format!("it came as {}", ids.join(", ")))
        .into_response()
}

fn reply_of(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    (status, [(CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}

/// The same body whatever the status.
fn hidden(status: StatusCode) -> Response {
    Problem::new(status, "not_accepted", "the request was not accepted")
        .without_status()
        .into_response()
}

fn failure(error: IngressError) -> Response {
    match error {
        IngressError::Component(error) => {
            tracing::error!(%error, "failed to receive a webhook");
            Problem::unavailable("component_error", "the request could not be read").into_response()
        }
        IngressError::Store(error) => Problem::from(error).into_response(),
    }
}

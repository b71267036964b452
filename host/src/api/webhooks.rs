//! Webhooks: no key, but a signature.
//!
//! A sender who has no right to know learns nothing: an unknown endpoint and a wrong signature get
//! the same body, after the same work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::Api;
use super::problem::{self, Problem};
use crate::ingress::{Address, Answer, IngressError, OpenEndpoint, WebhookRequest};
use crate::model::definition::BODY_BYTES_MAX;
use crate::model::id::EventId;
use crate::sandbox::Reply;

/// How long a sender may take over a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How much the bodies at hand may hold altogether, in bytes.
pub(super) const BODY_ROOM_BYTES: usize = 256 * 1024 * 1024;
/// How much more than the limit is read of a body that is too large, and for how long.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

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
    if request.method() != Method::POST {
        return problem::method_not_allowed().await.into_response();
    }
    if api.draining.is_cancelled() {
        return Problem::unavailable("draining", "the host is stopping").into_response();
    }
    let endpoint = address.and_then(|address| api.webhooks.endpoints().find(&address).cloned());
    let bytes_max = endpoint.as_deref().map_or(BODY_BYTES_MAX, OpenEndpoint::body_bytes_max);
    let (parts, body) = request.into_parts();
    let body = match read(api, body, bytes_max).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let request = WebhookRequest {
        method: parts.method.as_str().to_owned(),
        traceparent: traceparent(&parts.headers),
        headers: headers(&parts.headers),
        query: Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default(),
        body: body.bytes.clone(),
    };
    let answered = match endpoint {
        Some(endpoint) => api.webhooks.receive(&endpoint, request).await.map(answer),
        None => api.webhooks.refuse(request).await.map(|()| hidden(StatusCode::NOT_FOUND)),
    };
    answered.unwrap_or_else(failure)
}

/// A body, and the room it takes for as long as its request is at hand.
struct Whole<'a> {
    bytes: Bytes,
    _room: SemaphorePermit<'a>,
}

async fn read<'a>(api: &'a Api, body: Body, bytes_max: usize) -> Result<Whole<'a>, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(body).await);
    }
    let read = timeout(BODY_TIMEOUT, gather(api, body, bytes_max)).await;
    read.unwrap_or_else(|_| {
        let title = "the body took too long to arrive";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", title))
    })
}

/// Takes room as the body arrives: what a sender only announces costs nothing.
async fn gather<'a>(api: &'a Api, mut body: Body, bytes_max: usize) -> Result<Whole<'a>, Problem> {
    let mut bytes = BytesMut::new();
    let mut room = room_for(api, 0)?;
    while let Some(frame) = body.frame().await {
        let title = "the body did not arrive whole";
        let incomplete = |_| Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", title);
        let Ok(data) = frame.map_err(incomplete)?.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large(body).await);
        }
        room.merge(room_for(api, data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok(Whole { bytes: bytes.freeze(), _room: room })
}

fn room_for(api: &Api, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    api.body_room.try_acquire_many(permits).map_err(|_| {
        Problem::unavailable("overloaded", "the host has as many requests as it can hold")
    })
}

/// The sender is still writing: one that is answered too early sees its connection break and not
/// the answer. So some of what is too much is read, and thrown away.
async fn too_large(body: Body) -> Problem {
    let rest = Limited::new(body, DISCARDED_BYTES_MAX);
    let _ = timeout(DISCARD_TIMEOUT, rest.into_data_stream().for_each(|_| async {})).await;
    let title = "the body is larger than this endpoint accepts";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", title)
}

fn headers(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let owned = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(owned).collect()
}

/// A `traceparent` of W3C Trace Context, version 00; anything else is no trace.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    };
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { return None };
    (version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2)).then(|| text.to_owned())
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
            tracing::error!(%error, "a webhook could not be read");
            Problem::unavailable("component_error", "the request could not be read").into_response()
        }
        IngressError::Store(error) => Problem::from(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_is_kept() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (text, kept) in [
            (trace, true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            assert_eq!(traceparent(&headers).is_some(), kept, "{text}");
        }
    }
}

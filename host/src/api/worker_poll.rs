//! Workers that poll: the same messages as on the socket, in batches; what they mean is
//! `dispatch::link`'s.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;

use super::Api;
use super::author::AuditedStore;
use super::parameters::Parameters;
use super::problem::Problem;
use super::{body, coding};
use crate::dispatch::link::{Link, LinkError};
use crate::dispatch::poll::PollError;
use crate::dispatch::protocol::{MESSAGE_BYTES_MAX, Poll, Polled, ToHost, WAIT_MS_MAX};
use crate::dispatch::schema;
use crate::model::json;
use crate::model::worker::{Dismissal, Pass};
use crate::store::Store;

pub(super) async fn poll(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(pass): Extension<Pass>,
    _: Parameters<()>,
    request: Request,
) -> Result<Json<Polled>, Problem> {
    let Poll { place, messages, wait_ms } = read(request).await?;
    let (place, messages) = match place {
        Some(place) => (place, messages),
        None => open(&api, store, pass, messages).await?,
    };
    let said = api.polls.poll(&place, messages, Duration::from_millis(wait_ms)).await;
    let messages = said.map_err(refused)?;
    Ok(Json(Polled { place, messages }))
}

/// What both sides say, as a JSON Schema.
pub(super) async fn schema(_: Parameters<()>) -> Json<serde_json::Value> {
    Json(schema::schema())
}

async fn read(request: Request) -> Result<Poll, Problem> {
    let (parts, body) = request.into_parts();
    let sent = body::read(body, MESSAGE_BYTES_MAX, |_| Ok(())).await?;
    let bytes = coding::decoded(&parts.headers, &sent, MESSAGE_BYTES_MAX, |_| Ok(()))?;
    let poll: Poll = json::read(&bytes).map_err(|error| {
        let title = "the body is not a poll of the worker protocol";
        Problem::new(StatusCode::BAD_REQUEST, "malformed_poll", title).detail(error)
    })?;
    if poll.wait_ms > WAIT_MS_MAX {
        return Err(Problem::parameter("wait_ms", format!("at most {WAIT_MS_MAX}")));
    }
    Ok(poll)
}

/// Gives a worker that says hello a place, and what it says beside.
async fn open(
    api: &Api,
    store: Store,
    pass: Pass,
    messages: Vec<ToHost>,
) -> Result<(String, Vec<ToHost>), Problem> {
    let mut messages = messages.into_iter();
    let hello = messages.next().filter(|first| matches!(first, ToHost::Hello { .. }));
    let hello = hello.ok_or_else(|| refused(PollError::HelloNeeded))?;
    let opened = Link::open(store, api.hub.clone(), api.clock, pass, hello).await;
    let (link, outbox) = opened.map_err(|error| refused(PollError::Link(error)))?;
    Ok((api.polls.keep(link, outbox), messages.collect()))
}

fn refused(error: PollError) -> Problem {
    let problem = |status, code, error: LinkError| {
        Problem::new(status, code, "the host does not go on with this worker").detail(error)
    };
    match error {
        PollError::HelloNeeded => {
            let title = "this worker has no place here, or not any more: begin with hello";
            Problem::new(StatusCode::CONFLICT, "hello_needed", title)
        }
        PollError::Link(LinkError::Store(error)) => error.into(),
        PollError::Link(LinkError::Dismissed(Dismissal::Replaced)) => {
            refused(PollError::HelloNeeded)
        }
        PollError::Link(error @ LinkError::Dismissed(_)) => {
            problem(StatusCode::FORBIDDEN, "worker_dismissed", error)
        }
        PollError::Link(error @ LinkError::Version(_)) => {
            problem(StatusCode::BAD_REQUEST, "unsupported_version", error)
        }
        PollError::Link(error) => problem(StatusCode::BAD_REQUEST, "protocol_violated", error),
    }
}

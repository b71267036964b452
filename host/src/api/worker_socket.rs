//! The workers' WebSocket: frames to messages and back; what they mean is `dispatch::link`'s.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{interval, timeout};

use super::Api;
use super::author::Acting;
use super::problem::Problem;
use crate::dispatch::link::{Link, LinkError};
use crate::dispatch::outbox::Outbox;
use crate::dispatch::protocol::{
    HEARTBEAT_MS, HELLO_TIMEOUT, MESSAGE_BYTES_MAX, SILENCE_MAX, ToHost, ToWorker, VERSION,
};
use crate::model::json;
use crate::model::text::shortened;
use crate::model::worker::{Dismissal, Pass};
use crate::store::Store;

/// How often a worker is asked whether it is there.
const PING: Duration = Duration::from_secs(20);
/// How long a worker may take to read a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How much a connection reads at once and keeps before it writes, in bytes. Most messages are
/// smaller, and an idle worker keeps no more.
const BUFFER_BYTES: usize = 4 * 1024;
/// How much of a reason a close frame holds, in bytes, and a mark where it is cut.
const REASON_BYTES_MAX: usize = 120;

pub(super) async fn connect(
    State(api): State<Arc<Api>>,
    Acting(store): Acting,
    Extension(pass): Extension<Pass>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let title = "workers connect here by WebSocket";
        return Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", title)
            .into_response();
    };
    // Held until the connection has said its last word to the store.
    let held = api.links.token();
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .on_upgrade(move |socket| async move {
            attend(&api, store, pass, socket).await;
            drop(held);
        })
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the connection was lost")]
    Lost,
    #[error("a message could not be read: {0}")]
    Unreadable(String),
    #[error("the host is stopping")]
    Stopping,
    #[error("another connection of the same worker took over")]
    Replaced,
    #[error(transparent)]
    Link(#[from] LinkError),
}

async fn attend(api: &Api, store: Store, pass: Pass, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let end = match converse(api, store, pass, &mut sink, &mut stream).await {
        Ok(()) => return,
        Err(end) => end,
    };
    tracing::debug!(%end, "a worker's connection ends");
    let code = match &end {
        End::Lost => return,
        End::Stopping
        | End::Replaced
        | End::Link(LinkError::Store(_) | LinkError::Dismissed(Dismissal::Replaced)) => {
            close_code::AWAY
        }
        End::Unreadable(_) | End::Link(_) => close_code::POLICY,
    };
    let reason = shortened(&end.to_string(), REASON_BYTES_MAX);
    let frame = CloseFrame { code, reason: reason.into() };
    let _ = timeout(SEND_TIMEOUT, sink.send(Message::Close(Some(frame)))).await;
}

async fn converse(
    api: &Api,
    store: Store,
    pass: Pass,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Result<(), End> {
    let hello = timeout(HELLO_TIMEOUT, next(stream)).await.map_err(|_| End::Lost)??;
    let Frame::Said(hello) = hello else { return Ok(()) };
    let opened = Link::open(store, api.hub.clone(), api.clock, pass, *hello).await;
    if let Err(LinkError::Version(_)) = &opened {
        // The worker learns which version it would have to speak.
        let welcome = ToWorker::Welcome { version: VERSION, heartbeat_ms: HEARTBEAT_MS };
        let _ = timeout(SEND_TIMEOUT, sink.send(text(&welcome))).await;
    }
    let (link, mut outbox) = opened?;
    let end = tokio::select! {
        biased;
        why = link.dismissed() => Err(LinkError::Dismissed(why).into()),
        // Reading and writing apart: a worker that waits for an answer still gets its commands.
        end = hear(&link, stream) => end,
        end = say(&mut outbox, sink) => end,
        () = api.stop.cancelled() => Err(End::Stopping),
    };
    link.close(outbox).await;
    end
}

async fn hear(link: &Link, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
    loop {
        match timeout(SILENCE_MAX, next(stream)).await.map_err(|_| End::Lost)?? {
            Frame::Said(message) => link.hear(*message).await?,
            Frame::Alive => {}
            Frame::Closed => return Ok(()),
        }
    }
}

/// What a worker sends.
enum Frame {
    Said(Box<ToHost>),
    /// A ping or a pong.
    Alive,
    Closed,
}

async fn next(stream: &mut SplitStream<WebSocket>) -> Result<Frame, End> {
    match stream.next().await {
        Some(Ok(Message::Text(text))) => json::read(text.as_bytes())
            .map(|message| Frame::Said(Box::new(message)))
            .map_err(|error| End::Unreadable(error.to_string())),
        Some(Ok(Message::Binary(_))) => Err(End::Unreadable("not text".to_owned())),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Frame::Alive),
        Some(Ok(Message::Close(_))) | None => Ok(Frame::Closed),
        Some(Err(_)) => Err(End::Lost),
    }
}

async fn say(outbox: &mut Outbox, sink: &mut SplitSink<WebSocket, Message>) -> Result<(), End> {
    let mut ping = interval(PING);
    loop {
        let frame = tokio::select! {
            message = outbox.next() => match message {
                Some(message) => text(&message),
                None => return Err(End::Replaced),
            },
            _ = ping.tick() => Message::Ping(axum::body::Bytes::new()),
        };
        let sent = timeout(SEND_TIMEOUT, sink.send(frame)).await;
        sent.map_err(|_| End::Lost)?.map_err(|_| End::Lost)?;
    }
}

fn text(message: &ToWorker) -> Message {
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

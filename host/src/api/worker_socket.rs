//! The workers' WebSocket: frames to messages and back; what they mean is `dispatch::link`'s.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Api;
use super::author::AuditedStore;
use super::parameters::Parameters;
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
/// How much is read, and thrown away, of a worker that has been told why its connection ends, and how
/// long that may take.
const DISCARDED_BYTES_MAX: u64 = 4 * 1024 * 1024;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) async fn connect(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(pass): Extension<Pass>,
    _: Parameters<()>,
    mut request: Request,
) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let answer = match create_response(&request.map(drop)) {
        Ok(answer) => answer,
        Err(error) => return refused(&error),
    };
    // Host and store wait until it has said its last word.
    api.links.clone().spawn(async move {
        if let Ok(socket) = open(upgrade).await {
            attend(&api, store, pass, socket).await;
        }
    });
    answer.map(|()| Body::empty())
}

fn refused(error: &tungstenite::Error) -> Response {
    let title = "workers connect here by WebSocket";
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", title);
    let mut response = problem.detail(error).into_response();
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

async fn open(upgrade: OnUpgrade) -> hyper::Result<Socket> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES);
    let connection = TokioIo::new(upgrade.await?);
    Ok(Socket::from_raw_socket(connection, Role::Server, Some(config)).await)
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the connection was lost")]
    Lost,
    #[error("no hello within {} s", HELLO_TIMEOUT.as_secs())]
    NoHello,
    #[error("nothing was heard for {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error("a message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    #[error("the WebSocket protocol was broken: {0}")]
    Broken(ProtocolError),
    #[error("a message is not text in UTF-8")]
    NotUtf8,
    #[error("a message is not text")]
    NotText,
    #[error("a message could not be read: {0}")]
    Unreadable(String),
    #[error("the host is stopping")]
    Stopping,
    #[error("another connection of the same worker took over")]
    Replaced,
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl End {
    /// The status that says it (RFC 6455, section 7.4.1); none when nobody is there to hear it.
    fn code(&self) -> Option<CloseCode> {
        Some(match self {
            Self::Lost => return None,
            Self::Stopping
            | Self::Replaced
            | Self::Link(LinkError::Store(_) | LinkError::Dismissed(Dismissal::Replaced)) => {
                CloseCode::Away
            }
            Self::TooLong => CloseCode::Size,
            Self::Broken(_) => CloseCode::Protocol,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::NotText => CloseCode::Unsupported,
            Self::NoHello | Self::Silent | Self::Unreadable(_) | Self::Link(_) => CloseCode::Policy,
        })
    }
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
            ) => Self::Lost,
            Error::Protocol(error) => Self::Broken(error),
            Error::Capacity(_) => Self::TooLong,
            Error::Utf8(_) => Self::NotUtf8,
            _ => Self::Lost,
        }
    }
}

async fn attend(api: &Api, store: Store, pass: Pass, socket: Socket) {
    let (mut sink, mut stream) = socket.split();
    let ended = converse(api, store, pass, &mut sink, &mut stream).await;
    let code = match &ended {
        Ok(()) => None,
        Err(end) => {
            tracing::debug!(%end, "worker connection closed");
            end.code()
        }
    };
    let told = match (&ended, code) {
        (Err(end), Some(code)) => {
            let reason = shortened(&end.to_string(), REASON_BYTES_MAX);
            let frame = CloseFrame { code, reason: reason.into() };
            timeout(SEND_TIMEOUT, sink.send(Message::Close(Some(frame)))).await
        }
        // Who says goodbye hears it.
        (Ok(()), _) => timeout(SEND_TIMEOUT, sink.close()).await,
        (Err(_), None) => return,
    };
    if let (Ok(Ok(())), Ok(socket)) = (told, sink.reunite(stream)) {
        let _ = timeout(DISCARD_TIME_MAX, linger(socket.into_inner())).await;
    }
}

/// Reads what a worker is still saying: one whose connection is closed before would see it break, and
/// not why.
async fn linger(mut connection: TokioIo<Upgraded>) -> io::Result<()> {
    connection.shutdown().await?;
    let mut rest = connection.take(DISCARDED_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn converse(
    api: &Api,
    store: Store,
    pass: Pass,
    sink: &mut SplitSink<Socket, Message>,
    stream: &mut SplitStream<Socket>,
) -> Result<(), End> {
    let hello = timeout(HELLO_TIMEOUT, first(stream)).await.map_err(|_| End::NoHello)??;
    let Some(hello) = hello else { return Ok(()) };
    let opened = Link::open(store, api.hub.clone(), api.clock, pass, hello).await;
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

/// The first message, whatever pings come before it; none when the worker closes without a word.
async fn first(stream: &mut SplitStream<Socket>) -> Result<Option<ToHost>, End> {
    loop {
        match next(stream).await? {
            Frame::Said(hello) => return Ok(Some(*hello)),
            Frame::Alive => {}
            Frame::Closed => return Ok(None),
        }
    }
}

async fn hear(link: &Link, stream: &mut SplitStream<Socket>) -> Result<(), End> {
    loop {
        match timeout(SILENCE_MAX, next(stream)).await.map_err(|_| End::Silent)?? {
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

async fn next(stream: &mut SplitStream<Socket>) -> Result<Frame, End> {
    match stream.next().await {
        Some(Ok(Message::Text(text))) => json::read(text.as_bytes())
            .map(|message| Frame::Said(Box::new(message)))
            .map_err(|error| End::Unreadable(error.to_string())),
        Some(Ok(Message::Binary(_))) => Err(End::NotText),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Frame::Alive),
        Some(Ok(Message::Close(_))) | None => Ok(Frame::Closed),
        Some(Err(error)) => Err(error.into()),
    }
}

async fn say(outbox: &mut Outbox, sink: &mut SplitSink<Socket, Message>) -> Result<(), End> {
    let mut ping = interval(PING);
    loop {
        let frame = tokio::select! {
            message = outbox.next() => match message {
                Some(message) => text(&message),
                None => return Err(End::Replaced),
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        let sent = timeout(SEND_TIMEOUT, sink.send(frame)).await;
        sent.map_err(|_| End::Lost)?.map_err(|_| End::Lost)?;
    }
}

fn text(message: &ToWorker) -> Message {
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

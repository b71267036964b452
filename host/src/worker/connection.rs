//! One WebSocket to the host: opens it and pumps messages both ways. It knows nothing of what they
//! mean, and does not try again.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::WorkerError;
use super::event::EventSender;
use crate::dispatch::protocol::{PATH, RUN_BYTES_MAX, ToHost};

/// How long a connection may take to open.
const OPEN_MAX: Duration = Duration::from_secs(20);
/// How often the host is made to say something.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A connection on which nothing was heard for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the host has to answer a goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// An open connection.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where the host is, and what opens its door.
#[derive(Debug)]
pub(super) struct Address {
    uri: Uri,
    name: String,
    port: u16,
    authorization: HeaderValue,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The host does not accept the key.
    #[error("the host answered {0}")]
    Unauthorized(StatusCode),
    /// The host is not there, or is no host.
    #[error(transparent)]
    Failed(#[from] Error),
    /// It took too long.
    #[error("no answer within {OPEN_MAX:?}")]
    TimedOut,
}

/// Why a connection ended before the worker ended it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The host said goodbye.
    #[error("the host closed it: {0}")]
    Closed(String),
    /// Nothing was heard of the host.
    #[error("nothing was heard for {SILENCE_MAX:?}")]
    Silent,
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] Error),
    /// A message could not be written as JSON.
    #[error("a message could not be written")]
    Unwritable(#[from] serde_json::Error),
}

impl Address {
    /// The address below the base URL `host`, opened with the API key `key`.
    pub(super) fn parse(host: &str, key: &str) -> Result<Self, WorkerError> {
        let invalid = || WorkerError::InvalidHost { host: host.to_owned() };
        let (secure, rest) = match (host.strip_prefix("http://"), host.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err(invalid()),
        };
        let scheme = if secure { "wss" } else { "ws" };
        let text = format!("{scheme}://{}{PATH}", rest.trim_end_matches('/'));
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let name = uri.host().filter(|name| !name.is_empty()).ok_or_else(invalid)?;
        // An IPv6 address has brackets in a URL, and none where a socket is opened.
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bearer = HeaderValue::from_str(&format!("Bearer {key}"));
        let mut authorization = bearer.map_err(|_| WorkerError::InvalidKey)?;
        authorization.set_sensitive(true);
        Ok(Self { uri, name, port, authorization })
    }
}

/// Opens a connection.
pub(super) async fn open(address: &Address) -> Result<Socket, OpenError> {
    let mut request = address.uri.clone().into_client_request()?;
    request.headers_mut().insert(AUTHORIZATION, address.authorization.clone());
    let limits = WebSocketConfig::default()
        .max_message_size(Some(RUN_BYTES_MAX))
        .max_frame_size(Some(RUN_BYTES_MAX));
    let opening = async {
        let stream = TcpStream::connect((address.name.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        client_async_tls_with_config(request, stream, Some(limits), None).await
    };
    match timeout(OPEN_MAX, opening).await.map_err(|_| OpenError::TimedOut)? {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) if is_refusal(answer.status()) => {
            Err(OpenError::Unauthorized(answer.status()))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Sends what comes in at `words` and passes what the host says to `ear`, both at once, so that
/// neither side's full buffers can stop the other. When `words` ends, says goodbye and returns.
pub(super) async fn pump(
    socket: Socket,
    words: mpsc::Receiver<ToHost>,
    ear: &mut EventSender,
) -> Result<(), Lost> {
    let (sink, stream) = socket.split();
    let mut listening = std::pin::pin!(listen(stream, ear));
    tokio::select! {
        lost = &mut listening => Err(lost),
        said = say(sink, words) => {
            said?;
            let _ = timeout(GOODBYE_WAIT, listening).await;
            Ok(())
        }
    }
}

async fn say(
    mut sink: SplitSink<Socket, Message>,
    mut words: mpsc::Receiver<ToHost>,
) -> Result<(), Lost> {
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let message = tokio::select! {
            word = words.recv() => match word {
                Some(word) => Message::text(serde_json::to_string(&word)?),
                None => return Ok(sink.close().await?),
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        sink.send(message).await?;
    }
}

async fn listen(mut stream: SplitStream<Socket>, ear: &mut EventSender) -> Lost {
    loop {
        match timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => return Lost::Silent,
            Ok(None) => return Lost::Closed("without a word".to_owned()),
            Ok(Some(Err(error))) => return error.into(),
            Ok(Some(Ok(Message::Close(frame)))) => {
                let why = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                return Lost::Closed(why.unwrap_or_else(|| "without a reason".to_owned()));
            }
            Ok(Some(Ok(Message::Text(text)))) => match serde_json::from_str(&text) {
                Ok(message) => ear.hear(message).await,
                // What the host wants done and hears nothing of goes back to its queue. The error's
                // own text may quote a prompt.
                Err(error) => tracing::warn!(
                    column = error.column(),
                    kind = ?error.classify(),
                    "ignored an unknown message from the host"
                ),
            },
            Ok(Some(Ok(_))) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_url_becomes_an_address() {
        for (host, uri, name, port) in [
            ("http://localhost:7070", "ws://localhost:7070", "localhost", 7070),
            ("https://hillock.example/", "wss://hillock.example", "hillock.example", 443),
            ("http://10.0.0.1/base", "ws://10.0.0.1/base", "10.0.0.1", 80),
            ("http://[::1]:7070", "ws://[::1]:7070", "::1", 7070),
        ] {
            let address = Address::parse(host, "hlk_key").unwrap();
            assert_eq!(address.uri.to_string(), format!("{uri}{PATH}"));
            assert_eq!((address.name.as_str(), address.port), (name, port));
        }
    }

    #[test]
    fn what_is_no_host_or_no_key_is_refused() {
        for host in ["localhost:7070", "ftp://localhost", "http://", "http://a b", ""] {
            let error = Address::parse(host, "hlk_key").unwrap_err();
            assert!(matches!(error, WorkerError::InvalidHost { .. }), "{host}");
        }
        let error = Address::parse("http://localhost", "hlk\nkey").unwrap_err();
        assert!(matches!(error, WorkerError::InvalidKey));
    }

    #[test]
    fn the_key_is_in_no_log() {
        let address = Address::parse("http://localhost", "hlk_key").unwrap();
        assert!(!format!("{address:?}").contains("hlk_key"));
    }
}

//! A worker's end of a connection, over which words may go out late.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::dispatch::protocol::{PATH, ToHost, ToWorker};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(super) struct Line {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// In order; none goes out before those before it.
    words: VecDeque<(Instant, ToHost)>,
}

impl Line {
    /// A connection; none while the host is not there.
    pub(super) async fn open(address: &str, key: &str) -> Option<Self> {
        let mut request = format!("ws://{address}{PATH}").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let (socket, _) = connect_async(request).await.ok()?;
        Some(Self { socket, words: VecDeque::new() })
    }

    /// Says this, so much later.
    pub(super) fn say(&mut self, word: ToHost, late: Duration) {
        self.words.push_back((Instant::now() + late, word));
    }

    /// Sends what is due until the host says something; none when the connection is gone or the
    /// time is up.
    pub(super) async fn hear(&mut self, until: Instant) -> Result<Option<ToWorker>, Gone> {
        loop {
            let due = self.words.front().map_or(until, |(due, _)| (*due).min(until));
            tokio::select! {
                biased;
                () = sleep_until(due) => match self.words.pop_front() {
                    Some((due, word)) if due <= Instant::now() => self.send(&word).await?,
                    Some(word) => {
                        self.words.push_front(word);
                        return Ok(None);
                    }
                    None => return Ok(None),
                },
                frame = self.socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(Some(serde_json::from_str(&text).unwrap()));
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                    Some(Ok(_)) => {}
                },
            }
        }
    }

    async fn send(&mut self, word: &ToHost) -> Result<(), Gone> {
        let text = serde_json::to_string(word).unwrap();
        self.socket.send(Message::text(text)).await.map_err(|_| Gone)
    }
}

/// The connection is gone.
pub(super) struct Gone;

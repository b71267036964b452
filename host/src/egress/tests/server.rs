//! A server on loopback that answers in so many words, and remembers what it was asked.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) body: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// The path and query.
    pub(super) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// Reads one request, by its content length.
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines().map(str::to_owned);
        let line = lines.next().unwrap();
        let split = |line: String| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let mut asked = Self { line, headers: lines.map(split).collect(), body: String::new() };
        let length = asked.values("content-length").first().map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        asked.body = String::from_utf8(body).unwrap();
        Some(asked)
    }
}

/// A server, until it is dropped.
pub(super) struct Server {
    port: u16,
    seen: mpsc::UnboundedReceiver<Asked>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// A server on any port.
    pub(super) async fn start(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", 0, answer).await.unwrap()
    }

    /// A server at an address of this machine; none when it has no such address.
    pub(super) async fn start_at(
        ip: &str,
        port: u16,
        answer: impl Fn(&Asked) -> String + Send + Sync + 'static,
    ) -> Option<Self> {
        let listener = TcpListener::bind((ip, port)).await.ok()?;
        Some(Self::serve(listener, None, answer))
    }

    /// A server that speaks TLS.
    pub(super) async fn start_tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&Asked) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, Some(acceptor), answer)
    }

    /// A server that sends the beginning of an answer, and never the rest.
    pub(super) async fn start_and_stall(beginning: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = Asked::read(&mut stream).await.unwrap();
            stream.write_all(beginning.as_bytes()).await.unwrap();
            sender.send(asked).unwrap();
            std::future::pending::<()>().await;
        });
        Self { port, seen, _tasks: tasks }
    }

    fn serve(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Asked) -> String + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => converse(stream, &sender, &*answer).await,
                    // A client that does not trust the certificate leaves.
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => converse(stream, &sender, &*answer).await,
                        Err(_) => continue,
                    },
                }
            }
        });
        Self { port, seen, _tasks: tasks }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `name:port`.
    pub(super) fn host(&self, name: &str) -> String {
        format!("{name}:{}", self.port)
    }

    pub(super) fn url(&self, name: &str, path: &str) -> String {
        format!("http://{}{path}", self.host(name))
    }

    /// What was asked since the last time.
    pub(super) fn seen(&mut self) -> Vec<Asked> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    sender: &mpsc::UnboundedSender<Asked>,
    answer: &(impl Fn(&Asked) -> String + ?Sized),
) {
    let Some(asked) = Asked::read(&mut stream).await else { return };
    let words = answer(&asked);
    // Before the answer, so that whoever has that can count on finding this.
    let _ = sender.send(asked);
    // A client that has read enough closes its end.
    let _ = stream.write_all(words.as_bytes()).await;
    let _ = stream.shutdown().await;
}

//! Connections: accepted at once, bounded in number and in patience, and ended in good order.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::author::Peer;
use super::places::{Place, Places};
use super::problem::Problem;
use crate::dispatch::protocol;

/// How many requests are served at once, workers' and health checks apart.
const SERVED_MAX: usize = 4096;
/// How many files the host asks the system for, where it gives fewer by itself, and how many of them
/// are for other things than connections.
const FILES: u64 = 65_536;
const FILES_APART: u64 = 1024;
/// How long a client may take over the headers of a request, or leave a connection idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a request's headers is read, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// How long requests in hand may take once connections are to end.
const CLOSING_GRACE: Duration = Duration::from_secs(5);
/// What a service manager asks, and a scraper.
const HEALTH: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Serves until `stop` is called, then ends every connection after the request it is at. Of the
/// connections, `waiting_max` at most wait for their clients.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    waiting_max: usize,
    stop: CancellationToken,
) {
    let places = Places::new(waiting_max.min(file_places()), SERVED_MAX);
    let connections = TaskTracker::new();
    while let Some((stream, peer)) = accept(&listener, &places, &stop).await {
        let (place, router, stop) = (places.enter(peer), router.clone(), stop.clone());
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = place.cut() => tracing::debug!(
                    %peer,
                    "closed the connection of a slow client"
                ),
                () = converse(stream, Peer(peer), &place, router, stop) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    if timeout(CLOSING_GRACE, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "connections did not close in time");
    }
}

/// How many connections may wait by the number of files that this process may have open, once it has
/// asked for more.
fn file_places() -> usize {
    let limit = Resource::RLIMIT_NOFILE;
    let Ok((soft, hard)) = getrlimit(limit) else { return usize::MAX };
    let wanted = FILES.min(hard).max(soft);
    let files = match setrlimit(limit, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::debug!(%error, soft, "failed to raise the limit of open files");
            soft
        }
    };
    usize::try_from(files.saturating_sub(FILES_APART).max(files / 2)).unwrap_or(usize::MAX)
}

async fn accept(
    listener: &TcpListener,
    places: &Places,
    stop: &CancellationToken,
) -> Option<(TcpStream, IpAddr)> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer.ip())),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                // Out of files, as a rule. Trying at once would only spin.
                places.cut_one();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    peer: Peer,
    place: &Arc<Place>,
    router: Router,
    stop: CancellationToken,
) {
    // Who says nothing costs no buffers.
    let spoken = tokio::select! {
        readable = timeout(HEADER_TIMEOUT, stream.readable()) => matches!(readable, Ok(Ok(()))),
        () = stop.cancelled() => false,
    };
    if !spoken {
        return;
    }
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let place = Arc::clone(place);
    let service =
        service_fn(move |request| answer(router.clone(), Arc::clone(&place), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection closed with an error");
    }
}

async fn answer(
    router: Router,
    place: Arc<Place>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<Answering>, std::convert::Infallible> {
    let path = request.uri().path();
    let apart = HEALTH.contains(&path) || path.starts_with(protocol::WORKERS_PATH);
    let response = if apart || place.has_room() {
        let mut request = request.map(|body| Arriving::new(body, Arc::clone(&place), apart));
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::clone(&place));
        TowerToHyperService::new(router).call(request).await?
    } else {
        let title = "the host serves as many requests as it can";
        Problem::unavailable("overloaded", title).into_response()
    };
    // It is served, whether or not somebody has read its body.
    place.served(apart);
    Ok(response.map(|body| Answering { body, place }))
}

/// A request's body on its way in. Once it is whole, nobody waits for the client any more.
struct Arriving {
    body: Incoming,
    place: Arc<Place>,
    apart: bool,
}

impl Arriving {
    fn new(body: Incoming, place: Arc<Place>, apart: bool) -> Self {
        let arriving = Self { body, place, apart };
        arriving.look();
        arriving
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.place.served(self.apart);
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match frame {
            None => self.place.served(self.apart),
            Some(_) => self.look(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body on its way out.
struct Answering {
    body: Body,
    place: Arc<Place>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.waits();
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

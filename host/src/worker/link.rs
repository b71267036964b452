//! Keeps a worker connected: opens a connection, pumps it to its end, waits, and opens the next.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::backoff::Backoff;
use super::connection::{Address, OpenError, Socket, open, pump};
use super::event::{Event, EventSender};

/// A connection that was welcomed and lasted so long was a good one: the next try comes soon.
const GOOD: Duration = Duration::from_secs(10);
/// The longest wait between two tries of a worker that is to stop.
const STOPPING_WAIT: Duration = Duration::from_millis(500);
/// How many messages wait on their way to the socket.
const WORDS: usize = 8;

/// Keeps the link until the worker says goodbye.
///
/// # Errors
/// When the host refuses the key.
pub(super) async fn keep(
    host: &str,
    address: &Address,
    events: mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Result<(), WorkerError> {
    let mut backoff = Backoff::default();
    loop {
        match open(address).await {
            Ok(socket) => {
                tracing::info!(host, "connected to the host");
                match serve(socket, &events).await {
                    Served::Left => return Ok(()),
                    Served::Well => backoff.reset(),
                    Served::Badly => {}
                }
            }
            Err(OpenError::Unauthorized(status)) => {
                let (host, status) = (host.to_owned(), status.as_u16());
                return Err(WorkerError::Unauthorized { host, status });
            }
            Err(error) => tracing::warn!(host, %error, "cannot connect; trying again"),
        }
        if events.is_closed() {
            return Ok(());
        }
        pause(backoff.next(rand::random()), stop).await;
    }
}

/// Waits for so long; for less when the worker is to stop: what it owes has to be said in time.
async fn pause(wait: Duration, stop: &CancellationToken) {
    if stop.run_until_cancelled(sleep(wait)).await.is_none() {
        sleep(wait.min(STOPPING_WAIT)).await;
    }
}

enum Served {
    Left,
    Well,
    Badly,
}

async fn serve(socket: Socket, events: &mpsc::Sender<Event>) -> Served {
    let opened_at = Instant::now();
    let (sender, words) = mpsc::channel(WORDS);
    let mut ear = EventSender::new(events.clone());
    // Nobody listens any more when the worker is leaving.
    let _ = events.send(Event::Opened(sender)).await;
    match pump(socket, words, &mut ear).await {
        Ok(()) => return Served::Left,
        Err(lost) => tracing::info!(%lost, "disconnected"),
    }
    let _ = events.send(Event::Lost).await;
    if ear.welcomed && opened_at.elapsed() >= GOOD { Served::Well } else { Served::Badly }
}

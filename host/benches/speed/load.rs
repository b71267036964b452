//! Load: connections that each send a delivery, wait for its answer, and send the next.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::payload::Push;

const CONNECTIONS: usize = 32;
static DELIVERIES: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(rand::random()));

/// How many deliveries per second a server accepts.
pub(crate) async fn rate(address: &str, path: &str, time: Duration) -> f64 {
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(send(address.to_owned(), path.to_owned(), begin + time));
    }
    let accepted: u64 = connections.join_all().await.iter().sum();
    accepted as f64 / begin.elapsed().as_secs_f64()
}

async fn send(address: String, path: String, end: Instant) -> u64 {
    let push = Push::new();
    let mut stream = TcpStream::connect(&address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut answer, mut accepted) = (vec![0; 4096], 0);
    while Instant::now() < end {
        let n = DELIVERIES.fetch_add(1, Ordering::Relaxed);
        stream.write_all(&push.request(&path, n)).await.expect("the server reads");
        let read = stream.read(&mut answer).await.expect("the server answers");
        // Answers are small: they come in one piece.
        assert!(
            answer[..read].starts_with(b"HTTP/1.1 202"),
            "not accepted: {}",
            String::from_utf8_lossy(&answer[..read])
        );
        accepted += 1;
    }
    accepted
}

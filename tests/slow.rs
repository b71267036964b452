//! Clients that take their time: they are cut off, and nobody waits for them.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::contract;
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::payloads::{Payload, issue};
use crate::harness::senders::{github, github_signed};
use crate::harness::{folder::SECRET, wait};

/// How long the host may put up with a client that does not get to the end of its request.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn idle_connections_keep_nobody_waiting() {
    let folder = contract::folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut idle = vec![];
    for _ in 0..200 {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        stream.write_all(b"POST /webhooks/github HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        idle.push(stream);
    }
    let begin = Instant::now();
    for number in 0..10 {
        let delivery = github_signed(SECRET, "issues", &number.to_string(), &issue(number));
        host.deliver("github", delivery).await.event_id(202);
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    assert_eq!(idle.len(), 200);
}

#[tokio::test]
async fn headers_that_never_end_are_cut() {
    let folder = contract::folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let answer =
        trickle(&host, "POST /webhooks/github HTTP/1.1\r\nhost: x\r\n", "x-a: b\r\n").await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    host.deliver("github", github(Payload::Ping, "d-1")).await.event_id(202);
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut() {
    let folder = contract::folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let head = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    let answer = trickle(&host, head, "x").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(folder.database.count("events").await, 0);
    host.deliver("github", github(Payload::Ping, "d-1")).await.event_id(202);
}

/// Sends `head`, and then `drop` again and again until the host has enough; gives its answer.
async fn trickle(host: &Host, head: &str, drop: &str) -> String {
    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![];
    wait::within(PATIENCE, "the host to have enough", async || {
        let _ = stream.write_all(drop.as_bytes()).await;
        let mut part = [0; 1024];
        let reading = stream.read(&mut part);
        match tokio::time::timeout(Duration::from_millis(200), reading).await {
            Ok(Ok(0) | Err(_)) => Some(()),
            Ok(Ok(read)) => {
                answer.extend_from_slice(&part[..read]);
                None
            }
            Err(_) => None,
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

//! Clients that take their time: they are cut off, and nobody waits for them.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::contract;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::host::Host;
use crate::harness::payloads::{Payload, issue};
use crate::harness::senders::{github, github_signed};
use crate::harness::wait;

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

/// However many slow clients of one address there are, and however often they come again, quick ones
/// are heard at once, of the same address or another; and another's that is slow stays.
#[tokio::test]
async fn slow_clients_push_out_each_other() {
    let config = contract::CONFIG.replace("[server]\n", "[server]\nconnections_max = 64\n");
    let folder = Folder::new(Database::sqlite(), &config).await;
    let host = folder.serve().await;
    let elsewhere = connect(&host, "127.0.0.3").await;
    let mut slow = vec![];
    for number in 0..500 {
        let mut stream = connect(&host, "127.0.0.1").await;
        let head = match number % 3 {
            0 => "",
            1 => "POST /webhooks/github HTTP/1.1\r\nhost: x\r\n",
            _ => "POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        };
        // Some have been cut before they get to it.
        let _ = stream.write_all(head.as_bytes()).await;
        slow.push(stream);
    }
    let mut longest = Duration::ZERO;
    for address in ["127.0.0.1", "127.0.0.2"].repeat(20) {
        let begin = Instant::now();
        let mut quick = connect(&host, address).await;
        quick
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        quick.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        longest = longest.max(begin.elapsed());
        // One of those that were cut comes again.
        slow.push(connect(&host, "127.0.0.1").await);
    }
    assert!(longest < Duration::from_millis(250), "{longest:?}");
    let mut open = 0;
    for stream in &slow {
        open += usize::from(!is_closed(stream));
    }
    assert!((40..=64).contains(&open), "{open} slow ones are left");
    assert!(!is_closed(&elsewhere));
}

async fn connect(host: &Host, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(host.address().parse().unwrap()).await.unwrap()
}

fn is_closed(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Bodies that are long in coming fill no room that others need.
#[tokio::test]
async fn bodies_that_stand_still_make_room() {
    let config =
        contract::CONFIG.replace("source = \"github\"", "source = \"github\"\nbody_max = 16000000");
    let folder = Folder::new(Database::sqlite(), &config).await;
    let host = folder.serve().await;
    let head = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 16000000\r\n\r\n";
    let filling = vec![b' '; 15_000_000];
    let mut standing = vec![];
    for _ in 0..20 {
        let mut stream = connect(&host, "127.0.0.1").await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&filling).await;
        standing.push(stream);
    }
    for number in 0..5 {
        let delivery = github_signed(SECRET, "issues", &number.to_string(), &issue(number));
        host.deliver("github", delivery).await.event_id(202);
    }
    assert!(standing.iter().any(is_closed) && !standing.iter().all(is_closed));
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

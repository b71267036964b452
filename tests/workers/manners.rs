//! Connections that break the rules of WebSocket or of the workers' protocol: each is told by which
//! rule it ends, in frames that are written by hand.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hillock::dispatch::protocol::{HELLO_TIMEOUT, MESSAGE_BYTES_MAX, PATH, POLL_PATH, VERSION};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::link::Introduction;
use super::{folder, run};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::host::Host;

const DEADLINE: Duration = Duration::from_secs(20);
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A connection that has been upgraded.
struct Raw(TcpStream);

impl Raw {
    async fn open(host: &Host) -> Self {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let key = STANDARD.encode([7; 16]);
        let head = format!(
            "GET {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n",
            host.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        Self(stream)
    }

    /// One that was welcome.
    async fn greeted(host: &Host) -> Self {
        let mut raw = Self::open(host).await;
        raw.send(&frame(TEXT, hello().to_string().as_bytes())).await;
        assert_eq!(raw.message().await["type"], "welcome");
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        // The host may have had enough before all of it is out.
        let _ = timeout(DEADLINE, self.0.write_all(bytes)).await;
    }

    /// The next frame that the host sends: its first byte, and what it holds.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let reading = async {
            let head = self.0.read_u8().await.unwrap();
            let length = match self.0.read_u8().await.unwrap() {
                126 => self.0.read_u16().await.unwrap().into(),
                127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                length => length.into(),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            (head, payload)
        };
        timeout(DEADLINE, reading).await.expect("the host says something")
    }

    async fn message(&mut self) -> Value {
        loop {
            match self.frame().await {
                (TEXT, payload) => return serde_json::from_slice(&payload).unwrap(),
                (PING, _) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// By which code and for which reason the host ends the connection.
    async fn end(mut self) -> (u16, String) {
        let (code, reason) = loop {
            match self.frame().await {
                (CLOSE, payload) => {
                    break payload.split_first_chunk().map_or_else(
                        || (0, String::new()),
                        |(code, reason)| {
                            (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).unwrap())
                        },
                    );
                }
                (PING, _) => {}
                other => panic!("{other:?}"),
            }
        };
        let mut rest = vec![];
        timeout(DEADLINE, self.0.read_to_end(&mut rest)).await.expect("it ends").unwrap();
        assert!(rest.is_empty(), "{rest:?}");
        (code, reason)
    }
}

/// A frame as a client has to mask it, by a mask that changes nothing.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    [&announced(head, payload.len() as u64)[..], payload].concat()
}

fn announced(head: u8, length: u64) -> Vec<u8> {
    let length = match length {
        0..126 => vec![0x80 | length as u8],
        126..0x1_0000 => [&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[0x80 | 127][..], &length.to_be_bytes()].concat(),
    };
    [&[head][..], &length, &[0; 4]].concat()
}

fn hello() -> Value {
    let Introduction { id, agents, .. } = Introduction::new("agent");
    json!({ "type": "hello", "version": VERSION, "worker_id": id, "name": "by hand",
            "agents": agents, "capacity": 1, "offer": {}, "active": [] })
}

#[tokio::test]
async fn whoever_breaks_a_rule_is_told_which() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let too_long = frame(TEXT, &vec![b'x'; MESSAGE_BYTES_MAX + 1]);
    let far_too_long = frame(TEXT, &vec![b'x'; 2 * 1024 * 1024]);
    let breaches: [(&str, Vec<u8>, u16, &str); 15] = [
        ("no JSON", frame(TEXT, b"hello"), 1008, "a message could not be read: expected value"),
        (
            "no message",
            frame(TEXT, b"{\"type\":\"x\"}"),
            1008,
            "a message could not be read: unknown",
        ),
        ("nothing", frame(TEXT, b""), 1008, "a message could not be read"),
        ("binary", frame(0x82, b"{}"), 1003, "a message is not text"),
        ("not UTF-8", frame(TEXT, b"\xff\xfe"), 1007, "a message is not text in UTF-8"),
        ("too long", too_long, 1009, "a message is longer than 524288 bytes"),
        ("far too long", far_too_long, 1009, "a message is longer than 524288 bytes"),
        ("said to be too long", announced(TEXT, 1 << 40), 1009, "a message is longer than"),
        ("in too many pieces", pieces(), 1009, "a message is longer than 524288 bytes"),
        ("unmasked", vec![TEXT, 2, b'{', b'}'], 1002, "the WebSocket protocol was broken"),
        ("reserved opcode", frame(0x83, b"{}"), 1002, "the WebSocket protocol was broken"),
        ("reserved bit", frame(0xc1, b"{}"), 1002, "the WebSocket protocol was broken"),
        ("goes on with nothing", frame(0x80, b"{}"), 1002, "the WebSocket protocol was broken"),
        ("a ping in pieces", frame(0x09, b"x"), 1002, "the WebSocket protocol was broken"),
        ("a long ping", frame(PING, &[b'x'; 200]), 1002, "the WebSocket protocol was broken"),
    ];
    for (what, bytes, code, reason) in &breaches {
        for greeted in [false, true] {
            let mut raw = if greeted { Raw::greeted(&host).await } else { Raw::open(&host).await };
            raw.send(bytes).await;
            let (said, why) = raw.end().await;
            assert_eq!(said, *code, "{what}, greeted: {greeted}: {why}");
            assert!(why.starts_with(reason), "{what}: {why}");
        }
    }
    let mut early = Raw::open(&host).await;
    early.send(&frame(TEXT, b"{\"type\":\"heartbeat\",\"active\":[]}")).await;
    assert_eq!(early.end().await.0, 1008);
    assert!(!folder.read("serve.log").unwrap().contains("ERROR"));
}

/// A message that is within bounds piece by piece, and not as a whole.
fn pieces() -> Vec<u8> {
    let piece = vec![b'x'; MESSAGE_BYTES_MAX / 2];
    [frame(0x01, &piece), frame(0x00, &piece), frame(0x80, &piece)].concat()
}

#[tokio::test]
async fn a_ping_may_come_before_hello() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut raw = Raw::open(&host).await;
    for ping in [&b"one"[..], b""] {
        raw.send(&frame(PING, ping)).await;
        assert_eq!(raw.frame().await, (PONG, ping.to_vec()));
    }
    raw.send(&frame(PONG, b"unasked")).await;
    raw.send(&frame(TEXT, hello().to_string().as_bytes())).await;
    assert_eq!(raw.message().await["type"], "welcome");
    run(&host, "agent").await;
    assert_eq!(raw.message().await["type"], "run");
}

/// Pings are no introduction.
#[tokio::test]
async fn whoever_does_not_introduce_itself_is_sent_away() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let (begun, mut talks) = (Instant::now(), Raw::open(&host).await);
    let silent = Raw::open(&host).await;
    talks.send(&frame(PING, b"")).await;
    assert_eq!(talks.frame().await.0, PONG);
    let wanted = (1008, "no hello within 10 s".to_owned());
    let (silent, talks) = tokio::join!(silent.end(), talks.end());
    assert_eq!((silent, talks), (wanted.clone(), wanted));
    assert!(begun.elapsed() >= HELLO_TIMEOUT);
}

#[tokio::test]
async fn whoever_says_goodbye_hears_it() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for greeted in [false, true] {
        let mut raw = if greeted { Raw::greeted(&host).await } else { Raw::open(&host).await };
        raw.send(&frame(CLOSE, &[&1000_u16.to_be_bytes()[..], b"done"].concat())).await;
        assert_eq!(raw.end().await, (1000, "done".to_owned()), "greeted: {greeted}");
    }
}

/// Which of two bearers would count is a guess, and a proxy in front might guess otherwise.
#[tokio::test]
async fn two_bearers_are_none() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for (method, path) in [
        (Method::GET, "/api/v1/events"),
        (Method::POST, "/api/v1/agents"),
        (Method::GET, PATH),
        (Method::POST, POLL_PATH),
        (Method::POST, "/api/v1/workers/register"),
    ] {
        let request = host.http.request(method, format!("{}{path}", host.url));
        let request = request.bearer_auth(&host.key).bearer_auth(&host.key);
        let answer = Answer::of(request.json(&json!({ "name": "x" }))).await;
        assert_eq!(answer.problem(400), "invalid_parameter", "{path}");
        let wanted = json!([{ "path": "Authorization", "reason": "stands there more than once" }]);
        assert_eq!(answer.json()["problems"], wanted, "{path}");
    }
    let request =
        host.request(Method::POST, "tasks").json(&json!({ "message": "x", "agent": "agent" }));
    let twice = request.header("idempotency-key", "a").header("idempotency-key", "b");
    let answer = Answer::of(twice).await;
    assert_eq!(answer.json()["problems"][0]["path"], "idempotency-key", "{answer:?}");
    let run = run(&host, "agent").await;
    let request = host.request(Method::GET, &format!("runs/{run}/stream"));
    let twice = request.header("last-event-id", "l1-e1").header("last-event-id", "l2-e2");
    let answer = Answer::of(twice).await;
    assert_eq!(answer.json()["problems"][0]["path"], "Last-Event-ID", "{answer:?}");
}

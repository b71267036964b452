//! What accepting costs at the least: a bare axum handler that verifies the HMAC and commits the
//! raw body, with whatever else waits, to SQLite under the host's own settings.

use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::payload::SECRET;

const GROUP_MAX: usize = 256;

type Waiting = (Bytes, oneshot::Sender<()>);

/// Serves on a free port, which it prints.
pub(crate) async fn serve(folder: &Path) {
    let (queue, waiting) = mpsc::channel(1024);
    let router = Router::new().route("/hook", post(accept)).with_state(queue);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    tokio::join!(commit(open(folder).await, waiting), async {
        axum::serve(listener, router).await.expect("a server");
    });
}

async fn open(folder: &Path) -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .filename(folder.join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "8000")
        .pragma("cache_size", "-32768")
        .disable_statement_logging()
        .connect()
        .await
        .expect("a database");
    let table = "CREATE TABLE IF NOT EXISTS bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)";
    sqlx::query(table).execute(&mut connection).await.expect("a table");
    connection
}

async fn accept(
    State(queue): State<mpsc::Sender<Waiting>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|text| hex::decode(text.strip_prefix("sha256=")?).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(&body);
    if mac.verify_slice(&signature.unwrap_or_default()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let (committed, done) = oneshot::channel();
    queue.send((body, committed)).await.expect("the writer lives");
    done.await.expect("the writer answers");
    StatusCode::ACCEPTED
}

async fn commit(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("BEGIN");
        for (body, _) in &group {
            let insert = sqlx::query("INSERT INTO bodies (body) VALUES ($1)").bind(body.to_vec());
            insert.execute(&mut connection).await.expect("INSERT");
        }
        sqlx::query("COMMIT").execute(&mut connection).await.expect("COMMIT");
        for (_, committed) in group.drain(..) {
            let _ = committed.send(());
        }
    }
}

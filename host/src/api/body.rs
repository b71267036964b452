//! Bodies, as they arrive: how long they may take, and what becomes of one that is too large.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use super::problem::Problem;

/// How long a body may take to arrive.
const TIME_MAX: Duration = Duration::from_secs(20);
/// How much of a body that is too large is read and thrown away, and how long that may take.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// Reads a body of at most `bytes_max`. `room` is asked with the size of each piece before it is
/// kept, and may refuse it.
pub(super) async fn read(
    body: Body,
    bytes_max: usize,
    room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(body).await);
    }
    timeout(TIME_MAX, gather(body, bytes_max, room)).await.unwrap_or_else(|_| {
        let title = "the body took too long to arrive";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", title))
    })
}

async fn gather(
    mut body: Body,
    bytes_max: usize,
    mut room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let title = "the body did not arrive whole";
        let incomplete = |_| Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", title);
        let Ok(data) = frame.map_err(incomplete)?.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large(body).await);
        }
        room(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// The sender is still writing: one that is answered too early sees its connection break and not
/// the answer. So some of what is too much is read, and thrown away.
async fn too_large(body: Body) -> Problem {
    let rest = Limited::new(body, DISCARDED_BYTES_MAX);
    let _ = timeout(DISCARD_TIME_MAX, rest.into_data_stream().for_each(|_| async {})).await;
    let title = "the body is larger than is accepted here";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", title)
}

//! `Idempotency-Key`: what makes asking twice harmless.

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::headers::REPEATED;
use super::problem::Problem;
use crate::model::json;
use crate::model::problem::Problems;
use crate::model::task::Idempotency;

/// Requests under the same key, one after the other: of those that come together to this host, one
/// is the first, and the others are its repeats. Keys share places, so that there are few.
#[derive(Debug)]
pub struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for those that came before under the same key; what has none waits for nobody.
    pub(super) async fn take(&self, asked: Option<&Idempotency>) -> Option<MutexGuard<'_, ()>> {
        let place = usize::from(Sha256::digest(&asked?.key)[0]) % self.0.len();
        Some(self.0[place].lock().await)
    }
}

const HEADER: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

/// The key of a request: of its header, or of the body's field at `path`, which says the same when
/// it stands beside the header.
pub(super) fn key(
    headers: &HeaderMap,
    field: Option<String>,
    path: &str,
    problems: &mut Problems,
) -> Option<String> {
    if headers.get_all(HEADER).iter().count() > 1 {
        problems.add(HEADER, REPEATED);
        return None;
    }
    let header = headers.get(HEADER).map(|value| value.to_str().map(str::to_owned));
    let key = match (header, field) {
        (Some(Err(_)), _) => {
            problems.add(HEADER, "is not text");
            return None;
        }
        (Some(Ok(header)), Some(field)) if header != field => {
            problems.add(path, format!("is not what the header {HEADER} says"));
            return None;
        }
        (Some(Ok(header)), _) => (HEADER, header),
        (None, Some(field)) => (path, field),
        (None, None) => return None,
    };
    let (place, key) = key;
    let printable = !key.chars().any(char::is_control) && key.trim() == key;
    if !printable || !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        problems.add(place, format!("has to have 1 to {KEY_BYTES_MAX} printable characters"));
        return None;
    }
    Some(key)
}

/// A key with the hash of all that is asked under it.
pub(super) fn of(key: String, asked: &Value) -> Idempotency {
    let asked = json::sorted(asked.clone()).to_string();
    Idempotency { key, body_hash: Sha256::digest(asked).into() }
}

/// Something else was asked under the same key.
pub(super) fn mismatch() -> Problem {
    let title = "something else was asked under the same idempotency key";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", title)
}

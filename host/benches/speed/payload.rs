//! Deliveries shaped as GitHub's pushes, 8 KiB each, every one another.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
const BYTES: usize = 8 * 1024;

/// A push of about 8 KiB that holds a place for a number.
pub(crate) struct Push {
    before: String,
    after: String,
}

impl Push {
    pub(crate) fn new() -> Self {
        let commit = |n: usize| {
            json!({
                "id": object(n),
                "tree_id": object(n + 1000),
                "distinct": true,
                "message": "store: commit waiting writes together\n\nOne flush for all that wait.",
                "timestamp": "2026-03-29T03:30:00+02:00",
                "author": { "name": "Octo Cat", "email": "octocat@example.org" },
                "added": ["host/src/store/writer.rs"],
                "removed": [],
                "modified": ["host/src/store/mod.rs", "README.md"],
            })
        };
        let whole = json!({
            "ref": "refs/heads/main",
            "after": "{number}",
            "repository": { "id": 35129377, "full_name": "octocat/hillock", "private": false },
            "pusher": { "name": "octocat", "email": "octocat@example.org" },
            "commits": (0..19).map(commit).collect::<Vec<_>>(),
        });
        let text = whole.to_string();
        assert!(text.len().abs_diff(BYTES) < 512, "{} bytes", text.len());
        let (before, after) = text.split_once("{number}").expect("a place for the number");
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// The whole request for the `n`th delivery, ready for the wire.
    pub(crate) fn request(&self, path: &str, n: u64) -> Vec<u8> {
        let body = format!("{}{n:040x}{}", self.before, self.after);
        let signature = sign(body.as_bytes());
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             X-GitHub-Event: push\r\nX-GitHub-Delivery: {n:032x}\r\n\
             X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// The name of a git object: incompressible, as those are.
fn object(n: usize) -> String {
    hex::encode(&Sha256::digest(n.to_be_bytes())[..20])
}

pub(crate) fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

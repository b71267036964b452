//! How senders sign, written from their documentation and apart from the host's own code.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderMap;
use sha2::Sha256;

use super::client::headers;
use super::folder::SECRET;
use super::payloads::Payload;

/// The Standard Webhooks secret of the tests, and its key.
pub(crate) const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The seed of the Ed25519 key of the tests.
const SEED: [u8; 32] = [7; 32];

/// One request as a sender makes it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    pub(crate) fn new(list: &[(&str, &str)], body: &[u8]) -> Self {
        let mut all = vec![("content-type", "application/json")];
        all.extend(list);
        Self { headers: headers(&all), body: body.to_vec() }
    }

    /// The same with another value for a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// The same with a header once more.
    pub(crate) fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// The same without a header.
    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }
}

/// GitHub's delivery of one of its payloads, signed with [`SECRET`].
pub(crate) fn github(payload: Payload, id: &str) -> Delivery {
    github_signed(SECRET, payload.event(), id, &payload.body())
}

/// GitHub's delivery of any body.
pub(crate) fn github_signed(secret: &str, event: &str, id: &str, body: &[u8]) -> Delivery {
    let signature = format!("sha256={}", hex::encode(hmac(secret.as_bytes(), &[body])));
    Delivery::new(
        &[
            ("user-agent", "GitHub-Hookshot/044aadd"),
            ("x-github-delivery", id),
            ("x-github-event", event),
            ("x-github-hook-id", "510000001"),
            ("x-github-hook-installation-target-id", "900000001"),
            ("x-github-hook-installation-target-type", "repository"),
            ("x-hub-signature-256", &signature),
        ],
        body,
    )
}

/// A delivery of Hillock's own scheme, signed with [`SECRET`] at `timestamp`.
pub(crate) fn generic(id: &str, timestamp: u64, body: &[u8]) -> Delivery {
    let timestamp = timestamp.to_string();
    let message = format!("{timestamp}.{id}.");
    let mac = hmac(SECRET.as_bytes(), &[message.as_bytes(), body]);
    Delivery::new(
        &[
            ("hillock-delivery", id),
            ("hillock-timestamp", &timestamp),
            ("hillock-signature", &format!("v1={}", hex::encode(mac))),
        ],
        body,
    )
}

/// A delivery of Standard Webhooks, signed with [`STANDARD_SECRET`]; `prefix` is `webhook` or
/// `svix`.
pub(crate) fn standard(prefix: &str, id: &str, timestamp: u64, body: &[u8]) -> Delivery {
    let key = STANDARD.decode(STANDARD_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = hmac(&key, &[&standard_message(id, timestamp), body]);
    standard_signed(prefix, id, timestamp, &format!("v1,{}", STANDARD.encode(mac)), body)
}

/// The same, signed with the private key of [`public_key`].
pub(crate) fn standard_ed25519(id: &str, timestamp: u64, body: &[u8]) -> Delivery {
    let message = [&standard_message(id, timestamp), body].concat();
    let signature = SigningKey::from_bytes(&SEED).sign(&message).to_bytes();
    standard_signed("webhook", id, timestamp, &format!("v1a,{}", STANDARD.encode(signature)), body)
}

/// The public key of the tests, as Standard Webhooks writes it.
pub(crate) fn public_key() -> String {
    format!("whpk_{}", STANDARD.encode(SigningKey::from_bytes(&SEED).verifying_key().as_bytes()))
}

fn standard_message(id: &str, timestamp: u64) -> Vec<u8> {
    format!("{id}.{timestamp}.").into_bytes()
}

fn standard_signed(
    prefix: &str,
    id: &str,
    timestamp: u64,
    signature: &str,
    body: &[u8],
) -> Delivery {
    let name = |part: &str| format!("{prefix}-{part}");
    Delivery::new(
        &[
            (&name("id"), id),
            (&name("timestamp"), &timestamp.to_string()),
            (&name("signature"), signature),
        ],
        body,
    )
}

/// A delivery for `tests/guests/hostile-source`, signed with [`SECRET`].
pub(crate) fn hostile(body: &[u8]) -> Delivery {
    let signature = hex::encode(hmac(SECRET.as_bytes(), &[body]));
    Delivery::new(&[("x-signature", &signature)], body)
}

/// HMAC-SHA256 over the parts.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The present, in seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a sender has a clock of its own")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

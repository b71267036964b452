//! Signatures of webhooks: what a sender claims, held against the secrets an endpoint has.
//!
//! All comparison of secrets and signatures is constant-time. HMAC is RFC 2104, Ed25519 RFC 8032.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::secret::Secret;
use super::time::Time;

/// How far a signed timestamp may be from the host's clock, in either direction.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// How many signatures of a request are looked at: the senders' schemes allow several, for the time
/// of a rotation.
pub const SIGNATURES_MAX: usize = 16;
/// How many pieces a signed message may have.
pub const PARTS_MAX: usize = 16;

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-1.
    HmacSha1,
    /// Ed25519, where the secret is the public key.
    Ed25519,
    /// The secret itself, repeated; the message is not signed.
    Equal,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal, either case.
    Hex,
    /// Base64 of RFC 4648.
    Base64,
    /// The bytes of the text.
    Plain,
}

/// A sender's claim.
#[derive(Clone, Debug)]
pub struct Claim<'m> {
    /// How the signatures are made.
    pub algorithm: Algorithm,
    /// The signed message, in pieces.
    pub message: Vec<&'m [u8]>,
    /// The signatures given; one right one is enough.
    pub signatures: &'m [String],
    /// How they are written.
    pub encoding: Encoding,
    /// When the sender signed, in seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// The tolerance the scheme asks for; [`TOLERANCE`] bounds it.
    pub tolerance: Option<Duration>,
    /// How the scheme writes its secrets.
    pub key_form: KeyForm,
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// Its own bytes are the key.
    Plain,
    /// `whsec_` and the key in base64.
    Whsec,
    /// `whpk_` and the public key in base64.
    Whpk,
}

impl KeyForm {
    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Whsec => Some("whsec_"),
            Self::Whpk => Some("whpk_"),
        }
    }
}

/// Why a claim does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No signature fits any secret.
    #[error("no signature fits an active secret")]
    Mismatch,
    /// The timestamp is out of tolerance.
    #[error("the signed timestamp is too far from this host's clock")]
    Stale,
    /// There is no secret of the scheme's form.
    #[error("the endpoint has no secret of this scheme's form")]
    NoSecret,
    /// No signature is written in its encoding, or no secret is a key.
    #[error("the signature, or the endpoint's secret, is not written as the scheme writes it")]
    Malformed,
}

/// The index of the secret that the claim holds for.
///
/// # Errors
/// The [`Failure`] when it holds for none.
pub fn check(claim: &Claim<'_>, secrets: &[Secret], now: Time) -> Result<usize, Failure> {
    let fitting: Vec<(usize, &[u8])> = secrets
        .iter()
        .enumerate()
        .filter_map(|(i, secret)| Some((i, strip(secret.expose(), claim.key_form.prefix())?)))
        .collect();
    if fitting.is_empty() {
        return Err(Failure::NoSecret);
    }
    if let Some(signed_at) = claim.timestamp {
        fresh(signed_at, claim.tolerance, now)?;
    }
    if claim.signatures.is_empty() {
        return Err(Failure::Mismatch);
    }
    if claim.message.len() > PARTS_MAX {
        return Err(Failure::Malformed);
    }
    let decoded = |text: &String| decode(text, claim.encoding);
    let given = claim.signatures.iter().take(SIGNATURES_MAX);
    let signatures: Vec<Vec<u8>> = given.filter_map(decoded).collect();
    let keys: Vec<(usize, Vec<u8>)> = fitting
        .into_iter()
        .filter_map(|(i, key)| Some((i, key_bytes(key, claim.key_form.prefix())?)))
        .collect();
    if signatures.is_empty() || keys.is_empty() {
        return Err(Failure::Malformed);
    }
    keys.iter()
        .find(|(_, key)| any_holds(claim, key, &signatures))
        .map(|(i, _)| *i)
        .ok_or(Failure::Mismatch)
}

/// The length of the key that a secret is in this form, in bytes; none when it is no such key.
pub fn key_length(secret: &Secret, form: KeyForm, algorithm: Algorithm) -> Option<usize> {
    let key = key_bytes(strip(secret.expose(), form.prefix())?, form.prefix())?;
    let fits = match algorithm {
        Algorithm::Ed25519 => {
            let key: Option<&[u8; 32]> = key.as_slice().try_into().ok();
            key.is_some_and(|key| VerifyingKey::from_bytes(key).is_ok())
        }
        Algorithm::HmacSha256 | Algorithm::HmacSha1 | Algorithm::Equal => true,
    };
    fits.then_some(key.len())
}

fn strip<'s>(secret: &'s [u8], prefix: Option<&str>) -> Option<&'s [u8]> {
    match prefix {
        Some(prefix) => secret.strip_prefix(prefix.as_bytes()),
        None => Some(secret),
    }
}

fn key_bytes(key: &[u8], prefix: Option<&str>) -> Option<Vec<u8>> {
    let key = match prefix {
        Some(_) => decode(std::str::from_utf8(key).ok()?, Encoding::Base64)?,
        None => key.to_vec(),
    };
    (!key.is_empty()).then_some(key)
}

fn fresh(signed_at: u64, tolerance: Option<Duration>, now: Time) -> Result<(), Failure> {
    let tolerance = tolerance.unwrap_or(TOLERANCE).min(TOLERANCE);
    let now = u64::try_from(now.as_secs()).unwrap_or(0);
    if now.abs_diff(signed_at) > tolerance.as_secs() { Err(Failure::Stale) } else { Ok(()) }
}

fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok(),
        Encoding::Plain => Some(text.as_bytes().to_vec()),
    }
}

/// Whether one of the signatures is the key's. A MAC is computed once, whatever is given.
fn any_holds(claim: &Claim<'_>, key: &[u8], signatures: &[Vec<u8>]) -> bool {
    let is_any = |wanted: &[u8]| signatures.iter().any(|given| wanted.ct_eq(given).into());
    match claim.algorithm {
        Algorithm::HmacSha256 => mac::<Hmac<Sha256>>(claim, key).is_some_and(|mac| is_any(&mac)),
        Algorithm::HmacSha1 => mac::<Hmac<Sha1>>(claim, key).is_some_and(|mac| is_any(&mac)),
        Algorithm::Ed25519 => {
            let message = claim.message.concat();
            signatures.iter().any(|given| ed25519_holds(&message, key, given).unwrap_or(false))
        }
        Algorithm::Equal => is_any(key),
    }
}

fn mac<M: Mac + KeyInit>(claim: &Claim<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in &claim.message {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

fn ed25519_holds(message: &[u8], key: &[u8], signature: &[u8]) -> Option<bool> {
    let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    Some(key.verify_strict(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec()).unwrap()
    }

    fn at(secs: i64) -> Time {
        Time::from_millis(secs * 1000).unwrap()
    }

    /// GitHub's own example, from its documentation on validating webhook deliveries.
    #[test]
    fn githubs_example_holds() {
        let signatures =
            ["757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned()];
        let mut claim = Claim {
            algorithm: Algorithm::HmacSha256,
            message: vec![b"Hello, World!"],
            signatures: &signatures,
            encoding: Encoding::Hex,
            timestamp: None,
            tolerance: None,
            key_form: KeyForm::Plain,
        };
        let right = secret("It's a Secret to Everybody");
        let rotated = [secret("another"), right.clone()];
        assert_eq!(check(&claim, &rotated, at(0)), Ok(1));
        assert_eq!(check(&claim, &[secret("another")], at(0)), Err(Failure::Mismatch));
        assert_eq!(check(&claim, &[], at(0)), Err(Failure::NoSecret));
        claim.message = vec![b"Hello, ", b"World?"];
        assert_eq!(check(&claim, std::slice::from_ref(&right), at(0)), Err(Failure::Mismatch));
        claim.signatures = &[];
        assert_eq!(check(&claim, std::slice::from_ref(&right), at(0)), Err(Failure::Mismatch));
    }

    /// The Standard Webhooks specification's example.
    #[test]
    fn standard_webhooks_example_holds_within_its_tolerance() {
        let signatures =
            ["broken".to_owned(), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()];
        let claim = Claim {
            algorithm: Algorithm::HmacSha256,
            message: vec![
                b"msg_p5jXN8AQM9LWM0D4loKWxJek",
                b".",
                b"1614265330",
                b".",
                b"{\"test\": 2432232314}",
            ],
            signatures: &signatures,
            encoding: Encoding::Base64,
            timestamp: Some(1_614_265_330),
            tolerance: None,
            key_form: KeyForm::Whsec,
        };
        let key = [secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        for (now, wanted) in [
            (1_614_265_330, Ok(0)),
            (1_614_265_630, Ok(0)),
            (1_614_265_030, Ok(0)),
            (1_614_265_631, Err(Failure::Stale)),
            (1_614_265_029, Err(Failure::Stale)),
        ] {
            assert_eq!(check(&claim, &key, at(now)), wanted, "at {now}");
        }
        let unprefixed = [secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        assert_eq!(check(&claim, &unprefixed, at(1_614_265_330)), Err(Failure::NoSecret));
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn ed25519_holds_for_the_rfcs_example() {
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let public = STANDARD.encode(hex::decode(public).unwrap());
        let signatures = ["92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            .to_owned()];
        let mut claim = Claim {
            algorithm: Algorithm::Ed25519,
            message: vec![&[0x72]],
            signatures: &signatures,
            encoding: Encoding::Hex,
            timestamp: None,
            tolerance: None,
            key_form: KeyForm::Whpk,
        };
        let key = [secret(&format!("whpk_{public}"))];
        assert_eq!(check(&claim, &key, at(0)), Ok(0));
        claim.message = vec![&[0x73]];
        assert_eq!(check(&claim, &key, at(0)), Err(Failure::Mismatch));
        assert_eq!(check(&claim, &[secret("whpk_AAAA")], at(0)), Err(Failure::Mismatch));
        assert_eq!(check(&claim, &[secret("whpk_*")], at(0)), Err(Failure::Malformed));
    }

    #[test]
    fn a_repeated_secret_must_be_whole() {
        let token = ["token".to_owned()];
        let claim = Claim {
            algorithm: Algorithm::Equal,
            message: vec![],
            signatures: &token,
            encoding: Encoding::Plain,
            timestamp: None,
            tolerance: None,
            key_form: KeyForm::Plain,
        };
        assert_eq!(check(&claim, &[secret("token")], at(0)), Ok(0));
        assert_eq!(check(&claim, &[secret("tokens")], at(0)), Err(Failure::Mismatch));
    }

    #[test]
    fn only_the_first_few_signatures_count() {
        let mut many = vec!["00".to_owned(); SIGNATURES_MAX];
        many.push("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned());
        let claim = |signatures| Claim {
            algorithm: Algorithm::HmacSha256,
            message: vec![b"Hello, World!"],
            signatures,
            encoding: Encoding::Hex,
            timestamp: None,
            tolerance: None,
            key_form: KeyForm::Plain,
        };
        let key = [secret("It's a Secret to Everybody")];
        assert_eq!(check(&claim(&many), &key, at(0)), Err(Failure::Mismatch));
        assert_eq!(check(&claim(&many[1..]), &key, at(0)), Ok(0));
    }
}

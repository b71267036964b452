//! How senders sign: the headers that a delivery of each scheme carries.
//!
//! The counterpart of [`crate::model::signature`], which checks. Nothing here reads a clock, a file
//! or the environment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::secret::Secret;
use crate::model::time::Time;

/// A scheme that deliveries can be signed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scheme {
    /// Hillock's own scheme.
    Generic,
    /// GitHub's: <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>.
    Github,
    /// Standard Webhooks: <https://www.standardwebhooks.com>.
    StandardWebhooks,
}

/// What is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'d> {
    /// What the receiver recognises it by.
    pub id: &'d str,
    /// When it is sent.
    pub at: Time,
    /// What happened, for the schemes that say it in a header.
    pub event: &'d str,
    /// The raw body.
    pub body: &'d [u8],
}

/// Lower-case names and values.
pub type Headers = Vec<(&'static str, String)>;

/// The secret is not one of the scheme's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not one of Standard Webhooks: `whsec_` and a key in base64")]
pub struct NotAStandardSecret;

impl Scheme {
    /// The scheme that the built-in source component of this name reads.
    pub fn of_source(component: &str) -> Option<Self> {
        match component {
            "generic" => Some(Self::Generic),
            "github" => Some(Self::Github),
            "standard-webhooks" => Some(Self::StandardWebhooks),
            _ => None,
        }
    }

    /// The headers of a delivery; without a secret, all but the signature.
    ///
    /// # Errors
    /// When the secret is not written as the scheme writes them.
    pub fn headers(
        self,
        secret: Option<&Secret>,
        delivery: &Delivery<'_>,
    ) -> Result<Headers, NotAStandardSecret> {
        match self {
            Self::Generic => Ok(generic(secret, delivery)),
            Self::Github => Ok(github(secret, delivery)),
            Self::StandardWebhooks => standard_webhooks(secret, delivery),
        }
    }
}

fn generic(secret: Option<&Secret>, delivery: &Delivery<'_>) -> Headers {
    let Delivery { id, at, body, .. } = delivery;
    let timestamp = at.as_secs().to_string();
    let signature = secret.map(|secret| {
        let message = [timestamp.as_bytes(), b".", id.as_bytes(), b".", body];
        format!("v1={}", hex::encode(mac(secret.expose(), &message)))
    });
    let mut headers =
        vec![("hillock-timestamp", timestamp), ("hillock-delivery", (*id).to_owned())];
    headers.extend(signature.map(|signature| ("hillock-signature", signature)));
    headers
}

fn github(secret: Option<&Secret>, delivery: &Delivery<'_>) -> Headers {
    let Delivery { id, event, body, .. } = delivery;
    let signature =
        secret.map(|secret| format!("sha256={}", hex::encode(mac(secret.expose(), &[body]))));
    let mut headers =
        vec![("x-github-event", (*event).to_owned()), ("x-github-delivery", (*id).to_owned())];
    headers.extend(signature.map(|signature| ("x-hub-signature-256", signature)));
    headers
}

fn standard_webhooks(
    secret: Option<&Secret>,
    delivery: &Delivery<'_>,
) -> Result<Headers, NotAStandardSecret> {
    let Delivery { id, at, body, .. } = delivery;
    let timestamp = at.as_secs().to_string();
    let key = secret.map(standard_key).transpose()?;
    let signature = key.map(|key| {
        let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        format!("v1,{}", STANDARD.encode(mac(&key, &message)))
    });
    let mut headers = vec![("webhook-id", (*id).to_owned()), ("webhook-timestamp", timestamp)];
    headers.extend(signature.map(|signature| ("webhook-signature", signature)));
    Ok(headers)
}

fn standard_key(secret: &Secret) -> Result<Vec<u8>, NotAStandardSecret> {
    let key = secret.expose().strip_prefix(b"whsec_").ok_or(NotAStandardSecret)?;
    STANDARD.decode(key).map_err(|_| NotAStandardSecret)
}

fn mac(key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key);
    let mut mac = mac.expect("HMAC takes keys of any length (RFC 2104)");
    message.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signature::{Algorithm, Claim, Encoding, KeyForm, check};

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec()).unwrap()
    }

    fn delivery<'d>(id: &'d str, secs: i64, body: &'d str) -> Delivery<'d> {
        let at = Time::from_millis(secs * 1000).unwrap();
        Delivery { id, at, event: "push", body: body.as_bytes() }
    }

    #[test]
    fn githubs_example() {
        let headers = github(
            Some(&secret("It's a Secret to Everybody")),
            &delivery("7f0d", 0, "Hello, World!"),
        );
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(
            headers,
            [
                ("x-github-event", "push".to_owned()),
                ("x-github-delivery", "7f0d".to_owned()),
                ("x-hub-signature-256", signature.to_owned()),
            ]
        );
    }

    #[test]
    fn standard_webhooks_example() {
        let key = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let sent =
            delivery("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            standard_webhooks(Some(&key), &sent).unwrap(),
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                ("webhook-signature", signature.to_owned()),
            ]
        );
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*"] {
            let signed = standard_webhooks(Some(&secret(bad)), &sent);
            assert_eq!(signed, Err(NotAStandardSecret), "{bad}");
        }
    }

    /// There is no vector from elsewhere: the host's own check is the measure.
    #[test]
    fn the_host_accepts_generic_signatures() {
        let sent = delivery("d-1", 1_700_000_000, "{}");
        let headers = generic(Some(&secret("s3cret")), &sent);
        let signature = headers[2].1.strip_prefix("v1=").unwrap().to_owned();
        assert_eq!(headers[0], ("hillock-timestamp", "1700000000".to_owned()));
        assert_eq!(headers[1], ("hillock-delivery", "d-1".to_owned()));
        let claim = Claim {
            algorithm: Algorithm::HmacSha256,
            message: vec![b"1700000000", b".", b"d-1", b".", b"{}"],
            signatures: &[signature],
            encoding: Encoding::Hex,
            timestamp: Some(1_700_000_000),
            tolerance: None,
            key_form: KeyForm::Plain,
        };
        assert_eq!(check(&claim, &[secret("s3cret")], sent.at), Ok(0));
    }

    #[test]
    fn without_a_secret_there_is_no_signature() {
        for scheme in [Scheme::Generic, Scheme::Github, Scheme::StandardWebhooks] {
            let headers = scheme.headers(None, &delivery("d-1", 0, "{}")).unwrap();
            assert_eq!(headers.len(), 2, "{scheme:?}");
            assert!(headers.iter().all(|(name, _)| !name.contains("signature")), "{scheme:?}");
        }
    }
}

//! Source `standard-webhooks`: senders that follow the Standard Webhooks specification.
//!
//! `webhook-signature` (or `svix-signature`) holds one or several signatures, separated by spaces,
//! over `{webhook-id}.{webhook-timestamp}.{raw body}`: `v1,<base64>` is an HMAC-SHA256 for secrets
//! `whsec_…`, `v1a,<base64>` an Ed25519 signature for public keys `whpk_…`. The timestamp may be
//! 300 s away from the host's clock in either direction. The id is signed and is what an event is
//! recognised by. The body is JSON; its `type` makes the kind.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

mod kind;

use hillock_plugin_sdk::export_source;
use hillock_plugin_sdk::source::{
    Activation, Algorithm, Claim, Encoding, Failure, Identity, Incoming, KeyForm, Outcome, Part,
    Payload, Rejection, Source, check, json_text, signature_header, signatures, unix_seconds,
    verified,
};

const TOLERANCE_S: u32 = 300;

struct StandardWebhooks;

export_source!(StandardWebhooks);

impl Source for StandardWebhooks {
    fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
        let headers = Headers::of(request)?;
        headers.verify(request)?;
        Ok(Outcome::Activations(vec![Activation {
            kind: kind::of(json_text(request, "type")?.as_deref()),
            data: Payload::Body,
            dedupe: headers.id.map(Identity::Id).into_iter().collect(),
            occurred_at: None,
        }]))
    }
}

struct Headers {
    id: Option<String>,
    timestamp: Option<String>,
    signature: Option<String>,
}

impl Headers {
    /// The `webhook-*` headers, or the `svix-*` ones when there is none of the former. The two are
    /// never mixed.
    fn of(request: &Incoming) -> Result<Self, Rejection> {
        let standard = Self::named(request, "webhook")?;
        if standard.id.is_some() || standard.timestamp.is_some() || standard.signature.is_some() {
            return Ok(standard);
        }
        Self::named(request, "svix")
    }

    fn named(request: &Incoming, prefix: &str) -> Result<Self, Rejection> {
        Ok(Self {
            id: signature_header(request, &format!("{prefix}-id"))?,
            timestamp: signature_header(request, &format!("{prefix}-timestamp"))?,
            signature: signature_header(request, &format!("{prefix}-signature"))?,
        })
    }

    /// Tries the scheme that the request has signatures of, the symmetric one where it has both,
    /// and then the other where the endpoint has no secret of the first. A wrong signature is
    /// final: the host verifies nothing after it.
    fn verify(&self, request: &Incoming) -> Result<(), Rejection> {
        let mut claims = [
            self.claim(Algorithm::HmacSha256, "v1,", KeyForm::Whsec),
            self.claim(Algorithm::Ed25519, "v1a,", KeyForm::Whpk),
        ];
        if claims[0].signatures.is_empty() {
            claims.reverse();
        }
        match check(request, &claims[0]) {
            Err(Failure::NoSecret) => verified(request, &claims[1]),
            Ok(()) => Ok(()),
            Err(_) => Err(Rejection::Unauthorized),
        }
    }

    /// What the headers claim; without signatures when one of the three is missing.
    fn claim(&self, algorithm: Algorithm, version: &str, key_form: KeyForm) -> Claim {
        let unsigned =
            Claim { key_form, ..Claim::new("standard-webhooks", algorithm, Encoding::Base64) };
        let (Some(id), Some(timestamp), Some(signature)) =
            (&self.id, &self.timestamp, &self.signature)
        else {
            return unsigned;
        };
        let Some(seconds) = unix_seconds(timestamp) else {
            return unsigned;
        };
        Claim {
            message: vec![Part::Text(format!("{id}.{timestamp}.")), Part::Body],
            signatures: signatures(signature, version),
            timestamp: Some(seconds),
            tolerance: Some(TOLERANCE_S),
            ..unsigned
        }
    }
}

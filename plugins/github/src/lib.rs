//! Source `github`: webhooks of GitHub.
//!
//! `X-Hub-Signature-256: sha256=<hex>` is an HMAC-SHA256 over the raw body. Nothing else is signed,
//! the delivery's id included, and there is no timestamp: an event is recognised by its id and by
//! its body. The kind is `github.` and the value of `X-GitHub-Event`; `ping` is an event like any
//! other. Refuses form-encoded deliveries: choose `application/json` in the webhook's settings.
//!
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use hillock_plugin_sdk::export_source;
use hillock_plugin_sdk::source::{
    Activation, Algorithm, Claim, Encoding, Identity, Incoming, Outcome, Part, Rejection, Source,
    header, json_body, signature_header, signatures, verified,
};

struct Github;

export_source!(Github);

impl Source for Github {
    fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
        verified(request, &claim(request)?)?;
        require_json(request)?;
        Ok(Outcome::Activations(vec![Activation {
            kind: kind(header(request, "X-GitHub-Event")?)?,
            data: json_body(request)?,
            dedupe: identities(header(request, "X-GitHub-Delivery")?),
            occurred_at: None,
        }]))
    }
}

fn claim(request: &Incoming) -> Result<Claim, Rejection> {
    let signature = signature_header(request, "X-Hub-Signature-256")?.unwrap_or_default();
    Ok(Claim {
        message: vec![Part::Body],
        signatures: signatures(&signature, "sha256="),
        ..Claim::new("github", Algorithm::HmacSha256, Encoding::Hex)
    })
}

fn require_json(request: &Incoming) -> Result<(), Rejection> {
    match request.content_type() {
        Some(other) if other != "application/json" => {
            Err(Rejection::UnsupportedMediaType("application/json".to_owned()))
        }
        _ => Ok(()),
    }
}

fn kind(event: Option<String>) -> Result<String, Rejection> {
    let event = event
        .ok_or_else(|| Rejection::Malformed("the header `X-GitHub-Event` is missing".to_owned()))?;
    if !event.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
        return Err(Rejection::Malformed(
            "the header `X-GitHub-Event` may hold a-z, 0-9 and _ only".to_owned(),
        ));
    }
    Ok(format!("github.{event}"))
}

fn identities(delivery: Option<String>) -> Vec<Identity> {
    delivery.map(Identity::Id).into_iter().chain([Identity::BodyHash]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_the_event_header() {
        assert_eq!(kind(Some("pull_request".to_owned())).unwrap(), "github.pull_request");
        for bad in [None, Some("Push".to_owned()), Some("a.b".to_owned())] {
            assert!(matches!(kind(bad), Err(Rejection::Malformed(_))));
        }
    }
}

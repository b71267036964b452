//! Source `github`: webhooks of GitHub.
//!
//! `X-Hub-Signature-256: sha256=<hex>` is an HMAC-SHA256 over the raw body. Nothing else is signed,
//! the delivery's id included, and there is no timestamp. An event is recognised by the delivery's
//! id, and by its body where there is none: GitHub sends equal bodies that are not the same event,
//! so that the host only marks them. The kind is `github.` and the value of `X-GitHub-Event`; `ping`
//! is an event like any other. Of a form (the other content type in the webhook's settings), the
//! field `payload` is the data.
//!
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use hillock_plugin_sdk::export_source;
use hillock_plugin_sdk::source::{
    Activation, Algorithm, Claim, Encoding, FORM, Identity, Incoming, Outcome, Part, Payload,
    Rejection, Source, form_fields, header, json_body, signature_header, signatures, verified,
};

const JSON: &str = "application/json";

struct Github;

export_source!(Github);

impl Source for Github {
    fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
        verified(request, &claim(request)?)?;
        let data = data(request)?;
        Ok(Outcome::Activations(vec![Activation {
            kind: kind(header(request, "X-GitHub-Event")?)?,
            data,
            dedupe: vec![identity(header(request, "X-GitHub-Delivery")?)],
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

fn data(request: &Incoming) -> Result<Payload, Rejection> {
    match request.content_type().as_deref() {
        None | Some(JSON) => json_body(request),
        Some(FORM) => payload(form_fields(request)?).map(Payload::Json),
        Some(_) => Err(Rejection::UnsupportedMediaType(format!("{JSON} and {FORM}"))),
    }
}

fn payload(fields: Vec<(String, String)>) -> Result<String, Rejection> {
    let mut payloads = fields.into_iter().filter(|(name, _)| name == "payload");
    match (payloads.next(), payloads.next()) {
        (Some((_, payload)), None) => Ok(payload),
        (None, _) => Err(Rejection::Malformed("the form has no field `payload`".to_owned())),
        (Some(_), Some(_)) => {
            Err(Rejection::Malformed("the form has the field `payload` twice".to_owned()))
        }
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

fn identity(delivery: Option<String>) -> Identity {
    delivery.map_or(Identity::BodyHash, Identity::Id)
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

    #[test]
    fn a_form_has_one_payload() {
        let fields = |names: &[&str]| -> Vec<(String, String)> {
            names.iter().map(|name| ((*name).to_owned(), "{}".to_owned())).collect()
        };
        assert_eq!(payload(fields(&["a", "payload"])).unwrap(), "{}");
        for bad in [&[][..], &["Payload"], &["payload", "payload"]] {
            assert!(matches!(payload(fields(bad)), Err(Rejection::Malformed(_))), "{bad:?}");
        }
    }
}

//! Source `generic`: senders that speak Hillock's own scheme, and endpoints without a secret.
//!
//! `Hillock-Signature` holds one or several `v1=<hex>`, separated by spaces, each an HMAC-SHA256
//! over `{Hillock-Timestamp}.{Hillock-Delivery}.{raw body}`. The timestamp is in Unix seconds and
//! may be 300 s away from the host's clock in either direction. The delivery id is signed and is
//! what an event is recognised by. The body is JSON, whatever its content type says, or a form, whose
//! fields become the data; the kind is `webhook`.
//!
//! On an endpoint without a secret no header is needed, and events without a delivery id are never
//! duplicates.

mod form;

use hillock_plugin_sdk::export_source;
use hillock_plugin_sdk::source::{
    Activation, Algorithm, Claim, Encoding, FORM, Identity, Incoming, Outcome, Part, Payload,
    Rejection, Source, form_fields, json_body, signature_header, signatures, unix_seconds,
    verified,
};

const TOLERANCE_S: u32 = 300;

struct Generic;

export_source!(Generic);

impl Source for Generic {
    fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
        let delivery = signature_header(request, "Hillock-Delivery")?;
        verified(request, &claim(request, delivery.as_deref())?)?;
        Ok(Outcome::Activations(vec![Activation {
            kind: "webhook".to_owned(),
            data: data(request)?,
            dedupe: delivery.map(Identity::Id).into_iter().collect(),
            occurred_at: None,
        }]))
    }
}

/// JSON is often sent by the name of a form, as `curl -d` does unless it is told otherwise.
fn data(request: &Incoming) -> Result<Payload, Rejection> {
    match request.content_type().as_deref() {
        Some(FORM) if !form::is_json(&request.body()) => {
            form::json(form_fields(request)?).map(Payload::Json)
        }
        Some(files) if files.starts_with("multipart/") => {
            Err(Rejection::UnsupportedMediaType(format!("application/json and {FORM}")))
        }
        _ => json_body(request),
    }
}

/// What the headers claim; without signatures when one of the three is missing.
fn claim(request: &Incoming, delivery: Option<&str>) -> Result<Claim, Rejection> {
    let timestamp = signature_header(request, "Hillock-Timestamp")?;
    let signature = signature_header(request, "Hillock-Signature")?;
    let unsigned = Claim::new("generic", Algorithm::HmacSha256, Encoding::Hex);

    let (Some(timestamp), Some(delivery), Some(signature)) = (timestamp, delivery, signature)
    else {
        return Ok(unsigned);
    };
    let Some(seconds) = unix_seconds(&timestamp) else {
        return Ok(unsigned);
    };
    Ok(Claim {
        message: vec![Part::Text(format!("{timestamp}.{delivery}.")), Part::Body],
        signatures: signatures(&signature, "v1="),
        timestamp: Some(seconds),
        tolerance: Some(TOLERANCE_S),
        ..unsigned
    })
}

//! A source that does what its endpoint's `{"mode": "…"}` says, on endpoints of any kind.
//!
//! `ok` verifies `X-Signature: <hex>` (HMAC-SHA256 over the raw body) and makes one event `webhook`
//! of the body; reports come as its data, `{"report": "…"}`, after the same verification.
//! `unverified` makes the same event as `ok` without asking for verification. The forgeries verify
//! too and answer with what a source may not: `forge` a host's kind, `forge-kind` a malformed kind,
//! `forge-kind-long` one of 300 characters, `forge-data` data that is not JSON, `forge-reply` a status
//! that is no reply's, `forge-more` 1001 events, `forge-many` 100 000, `forge-identities` nine things
//! to recognise one by, `forge-unnamed` an empty one, `forge-name` one of 1 KiB, `forge-time` an
//! instant long after all calendars.

use hillock_plugin_sdk::export_source;
use hillock_plugin_sdk::source::{
    Activation, Algorithm, Claim, Encoding, Identity, Incoming, Outcome, Part, Payload, Rejection,
    Reply, Source, signature_header, verified,
};
use misdeeds::Mode;

struct Hostile;

export_source!(Hostile);

impl Source for Hostile {
    fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
        let mode = mode(request);
        if mode != Mode::Other("unverified".to_owned()) {
            verify(request)?;
        }
        let report = mode.commit(|| drop(request.header("content-type")));
        match (report, mode) {
            (Some(report), _) => Ok(one("webhook", reported(&report))),
            (None, Mode::Other(name)) => forged(&name),
            (None, _) => Ok(one("webhook", Payload::Body)),
        }
    }
}

fn mode(request: &Incoming) -> Mode {
    let config: serde_json::Value = serde_json::from_str(&request.config()).unwrap_or_default();
    Mode::named(config["mode"].as_str().unwrap_or("ok"))
}

fn verify(request: &Incoming) -> Result<(), Rejection> {
    let signature = signature_header(request, "X-Signature")?;
    verified(
        request,
        &Claim {
            message: vec![Part::Body],
            signatures: signature.into_iter().collect(),
            ..Claim::new("hostile", Algorithm::HmacSha256, Encoding::Hex)
        },
    )
}

fn forged(mode: &str) -> Result<Outcome, Rejection> {
    Ok(match mode {
        "unverified" => one("webhook", Payload::Body),
        "forge" => one("hook.run.completed", Payload::Body),
        "forge-kind" => one("Not A..kind", Payload::Body),
        "forge-kind-long" => one(&"k".repeat(300), Payload::Body),
        "forge-more" => many(1001),
        "forge-many" => many(100_000),
        "forge-identities" => known_by(vec![Identity::BodyHash; 9]),
        "forge-unnamed" => known_by(vec![Identity::Id(String::new())]),
        "forge-name" => known_by(vec![Identity::Id("n".repeat(1024))]),
        "forge-time" => Outcome::Activations(vec![Activation {
            occurred_at: Some(u64::MAX),
            ..event("webhook", Payload::Body)
        }]),
        "forge-data" => one("webhook", Payload::Json("{not json".to_owned())),
        "forge-reply" => Outcome::Reply(Reply {
            status: 503,
            content_type: "text/plain\r\nSet-Cookie: forged=1".to_owned(),
            body: vec![b'x'; 512 * 1024],
        }),
        _ => return Err(Rejection::Malformed(format!("no mode `{mode}`"))),
    })
}

fn reported(report: &str) -> Payload {
    Payload::Json(serde_json::json!({ "report": report }).to_string())
}

fn many(events: u32) -> Outcome {
    Outcome::Activations((0..events).map(|_| event("webhook", Payload::Body)).collect())
}

fn known_by(dedupe: Vec<Identity>) -> Outcome {
    Outcome::Activations(vec![Activation { dedupe, ..event("webhook", Payload::Body) }])
}

fn one(kind: &str, data: Payload) -> Outcome {
    Outcome::Activations(vec![event(kind, data)])
}

fn event(kind: &str, data: Payload) -> Activation {
    Activation { kind: kind.to_owned(), data, dedupe: vec![Identity::BodyHash], occurred_at: None }
}

//! `[[endpoints]]`.

use std::path::Path;

use serde_json::{Map, Value};

use super::fields::{Fields, count, flag, list, table, text, word};
use super::scope;
use crate::model::definition::{BODY_BYTES_MAX, Endpoint, Replay};
use crate::model::id::WebhookId;
use crate::model::name::{Name, Slug};
use crate::model::secret::SecretRef;

/// The greatest `body_max` an endpoint may ask for, in bytes: a body is held in memory.
const BODY_BYTES_CEILING: u32 = 16 * 1024 * 1024;

pub(super) fn parse(
    mut fields: Fields<'_>,
    id: Option<WebhookId>,
    folder: &Path,
) -> Option<Endpoint> {
    let slug = fields.required("slug", parse_slug);
    let scope = scope(&mut fields);
    let source = fields.or("source", "generic".to_owned(), text);
    let source = source.and_then(|text| fields.parsed("source", &text.into(), word));
    let secrets = secrets(&mut fields);
    let default = u32::try_from(BODY_BYTES_MAX).unwrap_or(BODY_BYTES_CEILING);
    let body_max = fields.or("body_max", default, count(1, BODY_BYTES_CEILING));
    let table = fields.or("config", Value::Object(Map::new()), table);
    let has_secret = secrets.as_ref().is_some_and(|secrets| !secrets.is_empty());
    let replay =
        table.as_ref().and_then(|table| replay(&mut fields, source.as_ref(), has_secret, table));
    let enabled = fields.or("enabled", true, flag);
    fields.close();
    let (scope, slug) = (scope?, slug?);
    Some(Endpoint {
        id: id.unwrap_or_else(|| WebhookId::derive(&scope, slug.as_str())),
        scope,
        slug,
        source: source?,
        secrets: secrets?.into_iter().map(|secret| below(folder, secret)).collect(),
        body_bytes_max: body_max? as usize,
        enabled: enabled?,
        config: table?.to_string(),
        replay: replay?,
        owner: None,
    })
}

/// The one word of a source's configuration that is the host's. A component of somebody else's may
/// mean anything by it but `refuse`.
fn replay(
    fields: &mut Fields<'_>,
    source: Option<&Name>,
    has_secret: bool,
    config: &Value,
) -> Option<Replay> {
    let Some(said) = config.get("replay") else { return Some(Replay::default()) };
    match source.map(Name::as_str) {
        Some(known @ ("generic" | "standard-webhooks")) if has_secret => {
            let reason =
                format!("has no effect: `{known}` knows deliveries by an id that is signed");
            fields.problem("config.replay", reason);
            None
        }
        Some("generic" | "github" | "standard-webhooks") => {
            fields.parsed("config.replay", said, word)
        }
        _ => Some(word(said).unwrap_or_default()),
    }
}

fn secrets(fields: &mut Fields<'_>) -> Option<Vec<SecretRef>> {
    if fields.has("secret_ref") && fields.has("secret_refs") {
        fields.problem("secret_refs", "stands beside secret_ref: give one of them");
    }
    let one = fields.optional("secret_ref", word::<SecretRef>);
    let many = fields.or("secret_refs", Vec::new(), list(word::<SecretRef>));
    let verification = fields.optional("verification", text);
    let (one, many, verification) = (one?, many?, verification?);
    let refs: Vec<SecretRef> = one.into_iter().chain(many).collect();
    match (verification.as_deref(), refs.is_empty()) {
        (None, false) | (Some("none"), true) => return Some(refs),
        (None, true) => fields.problem(
            "secret_ref",
            "is missing: name a secret, or say verification = \"none\" to accept anything",
        ),
        (Some("none"), false) => fields
            .problem("verification", "is \"none\" beside a secret: a secret is never optional"),
        (Some(other), _) => fields.problem(
            "verification",
            format!("`{other}` is not known: only \"none\" is, for an endpoint without a secret"),
        ),
    }
    None
}

/// A secret's file, below `folder` when its path is relative.
pub(super) fn below(folder: &Path, secret: SecretRef) -> SecretRef {
    match secret {
        SecretRef::File(path) => SecretRef::File(folder.join(path)),
        SecretRef::Env(_) => secret,
        SecretRef::Trimmed(rest) => SecretRef::Trimmed(Box::new(below(folder, *rest))),
    }
}

/// A slug that cannot be taken for an endpoint's identifier, which stands in the same place.
pub(super) fn parse_slug(value: &Value) -> Result<Slug, String> {
    let text = text(value)?;
    if text.parse::<WebhookId>().is_ok() {
        return Err(format!("`{text}` has the form of a webhook's identifier"));
    }
    word(value)
}

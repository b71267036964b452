//! `[[triggers]]`.

use std::path::Path;

use serde_json::{Map, Value};

use super::endpoint::{below, parse_slug};
use super::fields::{Fields, flag, text, word};
use super::{demands, firing, prompt, scope};
use crate::model::definition::{
    BODY_BYTES_MAX, Demands, Endpoint, Filter, Replay, Trigger, Untrusted,
};
use crate::model::id::TriggerId;
use crate::model::name::{Name, Slug};
use crate::model::scope::Scope;
use crate::model::secret::SecretRef;

pub(super) fn parse(
    mut fields: Fields<'_>,
    id: Option<TriggerId>,
    folder: &Path,
) -> Option<(Trigger, Option<Endpoint>)> {
    let name: Option<Name> = fields.required("name", word);
    let scope = scope(&mut fields);
    let event = fields.required("event", word);
    let endpoint = fields.optional("endpoint", word);
    let own = own_endpoint(&mut fields, scope.as_ref(), folder);
    let filter = filter(&mut fields);
    let template = fields.or("template", "handlebars".to_owned(), text);
    let template = template.and_then(|text| fields.parsed("template", &text.into(), word));
    let prompt = fields.required("prompt", prompt);
    let agent = fields.required("agent", word);
    let fire_limit = firing::fire_limit(&mut fields);
    let priority = firing::priority(&mut fields);
    let demands = demands::parse(&mut fields);
    let policy = demands.as_ref().and_then(|demands| demands.policy.as_ref());
    let retry = firing::retry_or_policys(&mut fields, policy);
    let policy_untrusted = demands::policy(&mut fields, "policy_untrusted");
    let untrusted = fields.or("untrusted", Untrusted::default(), word);
    let allow_self = fields.or("allow_self", false, flag);
    let gather = firing::gather(&mut fields);
    let enabled = fields.or("enabled", true, flag);
    if matches!((&endpoint, &own), (Some(Some(_)), Some(Some(_)))) {
        fields.problem("endpoint_slug", "stands beside endpoint: give one of them");
    }
    fields.close();
    let (scope, name, own) = (scope?, name?, own?);
    let id = id.unwrap_or_else(|| TriggerId::derive(&scope, name.as_str()));
    let own = own.map(|endpoint| Endpoint {
        id: Trigger::own_endpoint_id(&scope, &id),
        owner: Some(id.clone()),
        ..endpoint
    });
    let trigger = Trigger {
        id,
        scope,
        name,
        event: event?,
        endpoint: own.as_ref().map(|own| own.slug.clone()).or(endpoint?),
        filter: filter?,
        template: template?,
        prompt: prompt?,
        agent: agent?,
        retry: retry?,
        fire_limit: fire_limit?,
        priority: priority?,
        demands: Demands { policy_untrusted: policy_untrusted?, ..demands? },
        untrusted: untrusted?,
        allow_self: allow_self?,
        gather: gather?,
        enabled: enabled?,
    };
    Some((trigger, own))
}

/// The endpoint that a trigger declares for itself: `endpoint_slug`, `webhook_secret_ref`,
/// `source`.
fn own_endpoint(
    fields: &mut Fields<'_>,
    scope: Option<&Scope>,
    folder: &Path,
) -> Option<Option<Endpoint>> {
    let slug: Option<Option<Slug>> = fields.optional("endpoint_slug", parse_slug);
    let secret = fields.optional("webhook_secret_ref", word::<SecretRef>);
    let source = fields.optional("source", word);
    let (slug, secret, source) = (slug?, secret?, source?);
    let Some(slug) = slug else {
        for (name, given) in
            [("webhook_secret_ref", secret.is_some()), ("source", source.is_some())]
        {
            if given {
                fields.problem(name, "belongs to an endpoint_slug, which is missing");
            }
        }
        return Some(None);
    };
    let Some(secret) = secret else {
        fields.problem("webhook_secret_ref", "is missing: the endpoint needs a secret");
        return None;
    };
    let scope = scope?;
    Some(Some(Endpoint {
        // Its trigger's, which is not known here.
        id: Trigger::own_endpoint_id_of_slug(scope, &slug),
        scope: scope.clone(),
        slug,
        source: match source {
            Some(source) => source,
            None => "generic".parse().ok()?,
        },
        secrets: vec![below(folder, secret)],
        body_bytes_max: BODY_BYTES_MAX,
        enabled: true,
        config: "{}".to_owned(),
        replay: Replay::default(),
        owner: None,
    }))
}

/// `{ component = "…", config = … }` names a component, `{ cel = "…" }` is an expression, and any
/// other table is for `match`.
fn filter(fields: &mut Fields<'_>) -> Option<Option<Filter>> {
    let Some(value) = fields.raw("filter") else { return Some(None) };
    let path = fields.path("filter");
    let Value::Object(mut table) = value else {
        Fields::open(&path, value, fields.problems());
        return None;
    };
    let is_cel = table.len() == 1 && table.get("cel").is_some_and(Value::is_string);
    let (component, config) = if is_cel {
        ("cel".into(), table.remove("cel").unwrap_or_default())
    } else if let Some(component) = table.remove("component") {
        let config = table.remove("config").unwrap_or_else(|| Map::new().into());
        if let Some(key) = table.keys().next() {
            let path = format!("{path}.{key}");
            fields.problems().add(path, "only `component` and `config` stand here");
        }
        (component, config)
    } else {
        ("match".into(), Value::Object(flat(table)))
    };
    let component = fields.problems().take(&format!("{path}.component"), word(&component))?;
    Some(Some(Filter { component, config: config.to_string() }))
}

/// Tables within a table as dotted keys, so that `data.action = "opened"` says what it seems to.
fn flat(table: Map<String, Value>) -> Map<String, Value> {
    let mut paths = Map::new();
    for (key, value) in table {
        match value {
            Value::Object(inner) => {
                paths.extend(flat(inner).into_iter().map(|(rest, v)| (format!("{key}.{rest}"), v)));
            }
            scalar => {
                paths.insert(key, scalar);
            }
        }
    }
    paths
}

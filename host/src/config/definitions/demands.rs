//! The fields that say how the runs of triggers and jobs are to be carried out.

use serde_json::Value;

use super::fields::{Fields, described, duration, list, some_text, text, word};
use crate::model::definition::Demands;
use crate::model::policy::PolicyDraft;
use crate::model::routing::Routing;

/// The most entries of a list or a table of demands.
const ENTRIES_MAX: usize = 64;
/// The longest of them, in bytes.
const ENTRY_BYTES_MAX: usize = 256;

/// What triggers and jobs have in common. What a job's prompt holds is its author's own.
pub(super) fn parse(fields: &mut Fields<'_>) -> Option<Demands> {
    let lane = fields.optional("lane", word);
    let policy = policy(fields, "policy");
    let routing = routing(fields);
    let session = fields.optional("session", word);
    let on_lost = fields.optional("on_lost", word);
    let queue_timeout = fields.optional("queue_timeout", duration);
    let timeout = fields.optional("timeout", duration);
    Some(Demands {
        lane: lane?,
        policy: policy?,
        policy_untrusted: None,
        routing: routing?,
        session: session?,
        on_lost: on_lost?,
        queue_timeout: queue_timeout?,
        timeout: timeout?,
    })
}

/// A policy, as far as it is said.
pub(super) fn policy(fields: &mut Fields<'_>, name: &'static str) -> Option<Option<PolicyDraft>> {
    let Some(value) = fields.raw(name) else { return Some(None) };
    let path = fields.path(name);
    PolicyDraft::read(&value, &path, fields.problems()).map(Some)
}

/// `routing = { capabilities, tools, labels, cluster, region, platform }`.
fn routing(fields: &mut Fields<'_>) -> Option<Routing> {
    if !fields.has("routing") {
        let _ = fields.raw("routing");
        return Some(Routing::default());
    }
    let mut inner = fields.table("routing")?;
    let capabilities = inner.or("capabilities", Vec::new(), entries);
    let tools = inner.or("tools", Vec::new(), entries);
    let labels = inner.or("labels", Vec::new(), labels);
    let cluster = inner.optional("cluster", entry);
    let region = inner.optional("region", entry);
    let platform = inner.optional("platform", entry);
    inner.close();
    Some(Routing {
        capabilities: capabilities?.into_iter().collect(),
        tools: tools?.into_iter().collect(),
        labels: labels?.into_iter().collect(),
        cluster: cluster?,
        region: region?,
        platform: platform?,
    })
}

fn entry(value: &Value) -> Result<String, String> {
    let entry = some_text(value)?;
    let long = entry.len() > ENTRY_BYTES_MAX;
    if long { Err(format!("has more than {ENTRY_BYTES_MAX} bytes")) } else { Ok(entry) }
}

fn entries(value: &Value) -> Result<Vec<String>, String> {
    few(list(entry)(value)?)
}

fn labels(value: &Value) -> Result<Vec<(String, String)>, String> {
    let table = value.as_object();
    let table = table.ok_or_else(|| format!("is {}, not a table", described(value)))?;
    let label = |(key, value): (&String, &Value)| match text(value) {
        Ok(text) if text.len() <= ENTRY_BYTES_MAX => Ok((key.clone(), text)),
        Ok(_) => Err(format!("`{key}` has more than {ENTRY_BYTES_MAX} bytes")),
        Err(reason) => Err(format!("`{key}` {reason}")),
    };
    few(table.iter().map(label).collect::<Result<_, _>>()?)
}

fn few<T>(entries: Vec<T>) -> Result<Vec<T>, String> {
    let many = entries.len() > ENTRIES_MAX;
    if many { Err(format!("has more than {ENTRIES_MAX} entries")) } else { Ok(entries) }
}

//! The fields that say how jobs and triggers fire.

use serde_json::Value;

use super::fields::{Fields, count, described, duration, some_text, text, word};
use crate::model::definition::{Batching, FireLimit, Priority, Retry};
use crate::model::policy::PolicyDraft;

/// The most runs that a fire limit may allow.
const LIMIT_MAX: u32 = 1_000_000;
/// The most retries.
const RETRIES_MAX: u32 = 100;
/// The largest batch: its events are held in memory when it fires.
const BATCH_MAX: u32 = 1000;

/// `retry`: `"none"`, `"backoff"`, or a table with `max_retries` and `base_delay`.
fn retry(fields: &mut Fields<'_>) -> Option<Retry> {
    match fields.raw("retry") {
        None => Some(Retry::None),
        Some(Value::String(word)) => match word.as_str() {
            "none" => Some(Retry::None),
            "backoff" => Some(backoff(Retry::MAX_RETRIES, Retry::BASE_DELAY)),
            other => {
                fields.problem("retry", format!("`{other}` is neither `none` nor `backoff`"));
                None
            }
        },
        Some(table) => {
            let path = fields.path("retry");
            let mut inner = Fields::open(&path, table, fields.problems())?;
            let mode = inner.or("mode", "backoff".to_owned(), |value| {
                Some(text(value)?)
                    .filter(|mode| mode == "backoff" || mode == "none")
                    .ok_or_else(|| "is neither `none` nor `backoff`".to_owned())
            });
            let sets_more = inner.has("max_retries") || inner.has("base_delay");
            let max_retries = inner.or("max_retries", Retry::MAX_RETRIES, count(1, RETRIES_MAX));
            let base_delay = inner.or("base_delay", Retry::BASE_DELAY, duration);
            let is_none = mode.as_deref() == Some("none");
            if is_none && sets_more {
                inner.problem("mode", "is `none` beside what belongs to `backoff`");
            }
            inner.close();
            mode?;
            if is_none { Some(Retry::None) } else { Some(backoff(max_retries?, base_delay?)) }
        }
    }
}

/// What a rule's own `retry` says; where it says nothing, its `policy.retry` does.
pub(super) fn retry_or_policys(
    fields: &mut Fields<'_>,
    policy: Option<&PolicyDraft>,
) -> Option<Retry> {
    let says = fields.has("retry");
    let own = retry(fields)?;
    let attempts = policy.and_then(|policy| policy.retry).filter(|_| !says);
    Some(attempts.map_or(own, Retry::from))
}

fn backoff(max_retries: u32, base_delay: std::time::Duration) -> Retry {
    let base_delay_ms = u64::try_from(base_delay.as_millis()).unwrap_or(u64::MAX);
    Retry::Backoff { max_retries, base_delay_ms }
}

/// `fire_limit`: `"none"`, or a table with `max`, `window` and `over`.
pub(super) fn fire_limit(fields: &mut Fields<'_>) -> Option<Option<FireLimit>> {
    let default = FireLimit::default();
    match fields.raw("fire_limit") {
        None => Some(Some(default)),
        Some(Value::String(word)) if word == "none" => Some(None),
        Some(table @ Value::Object(_)) => {
            let path = fields.path("fire_limit");
            let mut inner = Fields::open(&path, table, fields.problems())?;
            let max = inner.or("max", default.max, count(1, LIMIT_MAX));
            let window = inner.or("window", default.window, duration);
            let over = inner.or("over", default.over, word);
            inner.close();
            Some(Some(FireLimit { max: max?, window: window?, over: over? }))
        }
        Some(other) => {
            let what = described(&other);
            fields.problem("fire_limit", format!("is {what}: `none`, or {{ max, window, over }}"));
            None
        }
    }
}

/// `priority`.
pub(super) fn priority(fields: &mut Fields<'_>) -> Option<Priority> {
    fields.or("priority", Priority::default(), word)
}

/// `debounce` or `batch`, not both.
pub(super) fn gather(fields: &mut Fields<'_>) -> Option<Option<Batching>> {
    if fields.has("debounce") && fields.has("batch") {
        fields.problem("batch", "stands beside debounce: give one of them");
    }
    let debounce = fields.has("debounce").then(|| debounce(fields));
    let batch = fields.has("batch").then(|| batch(fields));
    match debounce.or(batch) {
        Some(gather) => gather.map(Some),
        None => {
            // Known, though not there.
            let _ = (fields.raw("debounce"), fields.raw("batch"));
            Some(None)
        }
    }
}

fn debounce(fields: &mut Fields<'_>) -> Option<Batching> {
    let mut inner = fields.table("debounce")?;
    let key = inner.optional("key", path);
    let window = inner.required("window", duration);
    let max_wait = inner.optional("max_wait", duration);
    if let (Some(window), Some(Some(max_wait))) = (window, max_wait)
        && max_wait < window
    {
        inner.problem("max_wait", "is shorter than the window");
    }
    inner.close();
    Some(Batching::Debounce { key: key?, window: window?, max_wait: max_wait? })
}

fn batch(fields: &mut Fields<'_>) -> Option<Batching> {
    let mut inner = fields.table("batch")?;
    let key = inner.optional("key", path);
    let size = inner.required("size", count(2, BATCH_MAX));
    let wait = inner.required("wait", duration);
    inner.close();
    Some(Batching::Batch { key: key?, size: size?, wait: wait? })
}

/// A path into the envelope.
fn path(value: &Value) -> Result<String, String> {
    let path = some_text(value)?;
    let known = ["kind", "source", "endpoint.slug", "producer.name"].contains(&path.as_str());
    let segments = hillock_path::segments(&path)
        .map_err(|error| format!("`{path}` is not a path into the envelope: {error}"))?;
    if known || segments.len() > 1 && segments[0] == "data" && path.starts_with("data") {
        return Ok(path);
    }
    Err(format!("`{path}` is not a path into the envelope such as `data.issue.number`"))
}

//! `[[hooks]]`, `[[observers]]` and `[[extensions]]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::endpoint::below;
use super::fields::{Fields, duration, flag, json_table, list, some_text, text, word};
use super::scope;
use crate::model::definition::{Extension, Hook, Observer, Point, Watch};
use crate::model::egress::{Credential, Grant, GrantDraft};
use crate::model::id::{ExtensionId, HookId, ObserverId};
use crate::model::name::Name;

/// How long a file has to be left alone, unless it is said otherwise.
const FILE_DEBOUNCE: Duration = Duration::from_millis(500);
/// How often queues are looked at, unless it is said otherwise.
const QUEUE_INTERVAL: Duration = Duration::from_secs(10);
/// How often an extension polls, unless it is said otherwise.
const POLL_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Nothing is looked at more often.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

pub(super) fn hook(mut fields: Fields<'_>, id: Option<HookId>) -> Option<Hook> {
    let name: Option<Name> = fields.required("name", word);
    let scope = scope(&mut fields);
    let points = fields.required("points", list(word::<Point>));
    let component = fields.required("component", word);
    let config = fields.or("config", "{}".to_owned(), json_table);
    let on_error = fields.optional("on_error", word);
    let enabled = fields.or("enabled", true, flag);
    match points.as_deref() {
        Some([]) => fields.problem("points", "is empty: name at least one point"),
        Some(points) => {
            let synchronous = points.iter().filter(|point| point.is_pre_fire()).count();
            if synchronous != 0 && synchronous != points.len() {
                fields.problem("points", "mixes pre_fire with others: make two hooks of it");
            }
            if synchronous == 0 && matches!(on_error, Some(Some(_))) {
                fields.problem("on_error", "belongs to pre_fire points");
            }
        }
        None => {}
    }
    fields.close();
    let (scope, name) = (scope?, name?);
    Some(Hook {
        id: id.unwrap_or_else(|| HookId::derive(&scope, name.as_str())),
        scope,
        name,
        points: points?,
        component: component?,
        config: config?,
        on_error: on_error?.unwrap_or_default(),
        enabled: enabled?,
    })
}

pub(super) fn observer(
    mut fields: Fields<'_>,
    id: Option<ObserverId>,
    folder: &Path,
) -> Option<Observer> {
    let name: Option<Name> = fields.required("name", word);
    let scope = scope(&mut fields);
    let watch = watch(&mut fields, folder);
    let component = fields.or("component", "watch".to_owned(), text);
    let component = component.and_then(|text| fields.parsed("component", &text.into(), word));
    let config = fields.or("config", "{}".to_owned(), json_table);
    let enabled = fields.or("enabled", true, flag);
    fields.close();
    let (scope, name) = (scope?, name?);
    Some(Observer {
        id: id.unwrap_or_else(|| ObserverId::derive(&scope, name.as_str())),
        scope,
        name,
        watch: watch?,
        component: component?,
        config: config?,
        enabled: enabled?,
    })
}

/// `watch = "files" | "queue" | "runs"`, with the fields that belong to it.
fn watch(fields: &mut Fields<'_>, folder: &Path) -> Option<Watch> {
    let subject = fields.required("watch", text);
    match subject.as_deref().unwrap_or_default() {
        "files" => {
            let folders = fields.required("folders", list(some_text));
            let debounce = fields.or("debounce", FILE_DEBOUNCE, duration);
            let folders = folders?;
            if folders.is_empty() {
                fields.problem("folders", "is empty: grant at least one folder");
                return None;
            }
            let folders: Vec<PathBuf> = folders.iter().map(|path| folder.join(path)).collect();
            Some(Watch::Files { folders, debounce: debounce? })
        }
        "queue" => {
            let agent = fields.optional("agent", word);
            let interval = fields.or("interval", QUEUE_INTERVAL, interval_of);
            Some(Watch::Queue { agent: agent?, interval: interval? })
        }
        "runs" => Some(Watch::Runs),
        other => {
            // What belongs to something that can be watched is no mistake beside this one.
            for field in ["folders", "debounce", "agent", "interval"] {
                let _ = fields.raw(field);
            }
            if subject.is_some() {
                let reason = format!("`{other}` cannot be watched: files, queue or runs can");
                fields.problem("watch", reason);
            }
            None
        }
    }
}

pub(super) fn extension(
    mut fields: Fields<'_>,
    id: Option<ExtensionId>,
    folder: &Path,
) -> Option<Extension> {
    let name: Option<Name> = fields.required("name", |value| {
        let name: Name = word(value)?;
        // The kinds of its events are made of it: with a dot, they could be another's.
        if name.as_str().contains('.') {
            return Err(format!("`{name}` has a dot, which no extension's name may have"));
        }
        Ok(name)
    });
    let scope = scope(&mut fields);
    let component = fields.optional("component", text);
    let component = component.and_then(|text| match (text, &name) {
        (Some(text), _) => fields.parsed("component", &text.into(), word),
        (None, name) => name.clone(),
    });
    let config = fields.or("config", "{}".to_owned(), json_table);
    let interval = fields.or("interval", POLL_INTERVAL, interval_of);
    let grants = grants(&mut fields, folder);
    let enabled = fields.or("enabled", true, flag);
    fields.close();
    let (scope, name) = (scope?, name?);
    Some(Extension {
        id: id.unwrap_or_else(|| ExtensionId::derive(&scope, name.as_str())),
        scope,
        name,
        component: component?,
        config: config?,
        interval: interval?,
        grants: grants?,
        enabled: enabled?,
    })
}

fn interval_of(value: &Value) -> Result<Duration, String> {
    match duration(value)? {
        span if span < INTERVAL_MIN => Err("is shorter than a second".to_owned()),
        span => Ok(span),
    }
}

/// What the extension may reach. Each grant is wrong in its own places.
fn grants(fields: &mut Fields<'_>, folder: &Path) -> Option<Vec<Grant>> {
    let drafts: Vec<Value> = fields.or("grants", Vec::new(), list(|value| Ok(value.clone())))?;
    let mut grants = Vec::new();
    for (i, draft) in drafts.into_iter().enumerate() {
        let path = fields.path(&format!("grants[{i}]"));
        let draft = serde_json::from_value::<GrantDraft>(draft).map_err(without_value);
        let Some(draft) = fields.problems().take(&path, draft) else { continue };
        match draft.parse() {
            Ok(grant) => grants.push(at_folder(grant, folder)),
            Err(problems) => problems.iter().for_each(|problem| {
                fields.problems().add(format!("{path}.{}", problem.path), &problem.reason);
            }),
        }
    }
    Some(grants)
}

/// What is wrong with a grant's shape, without the value: somebody may have put a secret there.
fn without_value(error: serde_json::Error) -> String {
    let reason = error.to_string();
    match reason.split_once(", expected ") {
        Some((_, wanted)) if reason.starts_with("invalid") => {
            format!("holds something else than {wanted}")
        }
        _ => reason,
    }
}

fn at_folder(grant: Grant, folder: &Path) -> Grant {
    let credential = grant.credential.map(|credential| Credential {
        secret_ref: below(folder, credential.secret_ref),
        ..credential
    });
    Grant { credential, ..grant }
}

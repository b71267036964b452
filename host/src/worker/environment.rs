//! What a program learns from its environment: a few variables of the worker's own, those that its
//! configuration names, and which run this is. Nothing else of the worker's environment, where the
//! worker's own secrets are, reaches a program.
//!
//! What a run brings with it may be too long for a variable ([`VALUE_BYTES_MAX`]); then there is
//! none: all of it is in the run's folder, whose path is one (`context`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::Serialize;

use super::program::Order;
use crate::environment;
use crate::model::redaction::Redaction;
use crate::model::text::storable;
use crate::trace;

/// What every program gets, where the worker has it.
const USUAL: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL"];
/// The longest value, in bytes: Linux takes 128 KiB for a variable, its name included
/// (`MAX_ARG_STRLEN`).
const VALUE_BYTES_MAX: usize = 128 * 1024 - 64;

/// A program's environment.
pub(super) type Variables = Vec<(String, OsString)>;

/// The environment of an order's program, which is passed the worker's variables called `named` too,
/// and finds what comes with the run in the folder `context`.
pub(super) fn of(order: &Order, named: &[String], context: &Path) -> Variables {
    let passed_on = USUAL.into_iter().chain(named.iter().map(String::as_str));
    let mut variables: Variables =
        passed_on.filter_map(|name| Some((name.to_owned(), environment::var_os(name)?))).collect();
    variables.push(("HILLOCK_CONTEXT_DIR".to_owned(), context.into()));
    for (name, value) in identity(order).into_iter().chain(brought(order)) {
        let value = storable(value);
        if value.len() <= VALUE_BYTES_MAX {
            variables.push((name.to_owned(), value.into()));
        }
    }
    variables
}

/// Puts these variables in the place of those of the same names.
pub(super) fn replace(variables: &mut Variables, instead: &Variables) {
    variables.retain(|(name, _)| instead.iter().all(|(other, _)| other != name));
    variables.extend(instead.iter().cloned());
}

/// Which run this is, and where in a trace.
fn identity(order: &Order) -> Vec<(&'static str, String)> {
    let mut known = vec![
        ("HILLOCK_RUN_ID", order.run_id.to_string()),
        ("HILLOCK_COMMAND_ID", order.held.command_id.to_string()),
        ("HILLOCK_ATTEMPT", order.attempt.to_string()),
        ("HILLOCK_DISPATCH", order.dispatch.to_string()),
        ("HILLOCK_AGENT", order.agent.name.to_string()),
    ];
    if let Some(place) = trace::present().or_else(|| order.terms.traceparent.clone()) {
        known.push(("TRACEPARENT", place.to_string()));
    }
    if let Some(session) = &order.terms.session {
        known.push(("HILLOCK_SESSION_ID", session.id.to_string()));
        known.push(("HILLOCK_SESSION", session.key.to_string()));
    }
    if let Some(task_id) = &order.task_id {
        known.push(("HILLOCK_TASK_ID", task_id.to_string()));
    }
    if !order.agent.workspace_id.is_empty() {
        known.push(("HILLOCK_WORKSPACE_ID", order.agent.workspace_id.clone()));
    }
    known
}

/// What comes with it beside the prompt.
fn brought(order: &Order) -> Vec<(&'static str, String)> {
    let terms = &order.terms;
    let attachments = Some(&terms.attachments).filter(|list| !list.is_empty());
    [
        ("HILLOCK_SYSTEM_PROMPT", terms.system_prompt.clone()),
        ("HILLOCK_ATTACHMENTS", attachments.map(json)),
        ("HILLOCK_SPAWNED_BY", terms.spawned_by.as_ref().map(json)),
        ("HILLOCK_POLICY", terms.policy.as_ref().map(json)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// What is kept out of what an order's program says: the values of the variables called `named`.
///
/// # Errors
/// When they are too many to look for.
pub(super) fn redaction(named: &[String]) -> Result<Redaction, String> {
    let value = |name: &String| Some((name.clone(), environment::var_os(name)?));
    let values: Vec<(String, OsString)> = named.iter().filter_map(value).collect();
    let known = values.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Redaction::named(known).map_err(|error| error.to_string())
}

fn json(value: &impl Serialize) -> String {
    // None of these has a key that JSON could refuse.
    serde_json::to_string(value).unwrap_or_default()
}

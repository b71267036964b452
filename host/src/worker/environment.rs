//! What a program learns from its environment: a few variables of the worker's own, those that its
//! configuration names, and which run this is. Nothing else of the worker's environment, where the
//! worker's own secrets are, reaches a program.

use std::env;
use std::ffi::OsString;

use super::program::Order;

/// What every program gets, where the worker has it.
const USUAL: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL"];

/// The environment of an order's program, which is passed the worker's variables called `named` too.
pub(super) fn of(order: &Order, named: &[String]) -> Vec<(String, OsString)> {
    let passed_on = USUAL.into_iter().chain(named.iter().map(String::as_str));
    let mut variables: Vec<(String, OsString)> =
        passed_on.filter_map(|name| Some((name.to_owned(), env::var_os(name)?))).collect();
    let mut tell = |name: &str, value: &str| variables.push((name.to_owned(), value.into()));
    tell("HILLOCK_RUN_ID", order.run_id.as_str());
    tell("HILLOCK_COMMAND_ID", order.held.command_id.as_str());
    tell("HILLOCK_ATTEMPT", &order.attempt.to_string());
    tell("HILLOCK_AGENT", order.agent.name.as_str());
    if !order.agent.workspace_id.is_empty() {
        tell("HILLOCK_WORKSPACE_ID", &order.agent.workspace_id);
    }
    variables
}

//! `hillock stats`: how many commands a workspace has, state by state.

use std::process::ExitCode;

use serde::Deserialize;

use super::Globals;
use super::client::Client;
use super::output::{self, fields};

#[derive(Debug, Deserialize)]
struct Stats {
    total: u64,
    blocked: u64,
    pending: u64,
    running: u64,
    completed: u64,
    failed: u64,
    canceled: u64,
    expired: u64,
}

/// Prints them.
///
/// # Errors
/// When the host does not answer.
pub async fn run(globals: &Globals) -> anyhow::Result<ExitCode> {
    let answer = Client::open(globals)?.get(&["stats"], &()).await?;
    if globals.json {
        answer.print()?;
    } else {
        output::print(&shown(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(stats: &Stats) -> String {
    fields([
        ("commands", stats.total.to_string()),
        ("blocked", stats.blocked.to_string()),
        ("pending", stats.pending.to_string()),
        ("running", stats.running.to_string()),
        ("completed", stats.completed.to_string()),
        ("failed", stats.failed.to_string()),
        ("canceled", stats.canceled.to_string()),
        ("expired", stats.expired.to_string()),
    ])
}

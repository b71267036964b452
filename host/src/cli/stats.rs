//! `hillock stats`: how many commands a workspace has, state by state.

use std::process::ExitCode;

use serde::Deserialize;

use super::Globals;
use super::client::Client;
use super::listing::Reach;
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
    /// An earlier host does not say.
    #[serde(default)]
    pending_max: Option<u64>,
}

/// Prints them.
///
/// # Errors
/// When the host does not answer.
pub async fn run(globals: &Globals, reach: Reach) -> anyhow::Result<ExitCode> {
    let answer = Client::open(globals)?.get(&["stats"], &reach).await?;
    if globals.json {
        answer.print()?;
    } else {
        output::print(&shown(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(stats: &Stats) -> String {
    let room = stats.pending_max.map(|max| {
        let waiting = stats.blocked + stats.pending;
        format!(" ({waiting} of {max} that may wait, blocked ones included)")
    });
    let pending = format!("{}{}", stats.pending, room.unwrap_or_default());
    fields([
        ("commands", stats.total.to_string()),
        ("blocked", stats.blocked.to_string()),
        ("pending", pending),
        ("running", stats.running.to_string()),
        ("completed", stats.completed.to_string()),
        ("failed", stats.failed.to_string()),
        ("canceled", stats.canceled.to_string()),
        ("expired", stats.expired.to_string()),
    ])
}

//! `hillock protocol`: what workers and hosts say to each other, for who writes a worker.

use std::process::ExitCode;

use super::output;
use crate::dispatch::schema;

/// Prints the JSON Schema.
///
/// # Errors
/// When standard output does not take it.
pub fn run() -> anyhow::Result<ExitCode> {
    output::print(&format!("{:#}\n", schema::schema()))?;
    Ok(ExitCode::SUCCESS)
}

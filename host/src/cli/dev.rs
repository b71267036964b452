//! `hillock dev`.

use std::process::ExitCode;

use super::Globals;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {}

// LEAD: to be replaced.
/// Runs a host and a worker to try things out.
///
/// # Errors
/// Always, until it is written.
pub async fn run(_globals: &Globals, _args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`hillock dev` is not written yet")
}

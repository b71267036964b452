//! `hillock systemd`: a unit for this program.

use std::process::ExitCode;

use anyhow::Context;

use super::output;

const UNIT: &str = include_str!("../../systemd/hillock.service");
/// What stands for the program in it.
const PROGRAM: &str = "@program@";

/// Prints it.
///
/// # Errors
/// When this program does not know where it is.
pub fn run() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    output::print(&UNIT.replace(PROGRAM, &program.display().to_string()))?;
    Ok(ExitCode::SUCCESS)
}

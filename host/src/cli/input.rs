//! What commands read: a file, or standard input where it is called `-`.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;

/// Whether standard input is meant.
pub fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// All of it.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if !is_stdin(file) {
        return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut bytes = vec![];
    io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
    Ok(bytes)
}

/// What it is called in a message.
pub fn name(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() }
}

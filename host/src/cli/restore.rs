//! `hillock restore`: a backup in the store's place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;

use super::Globals;
use super::backup::{ELSEWHERE, shown};
use super::output::{self, fields};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::backup::{self, Restored};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup file.
    file: PathBuf,
}

/// Restores it.
///
/// # Errors
/// When a host has the store open, or the file is no backup that this program can work with; then
/// nothing has changed.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(globals.config.as_deref(), &globals.overrides())?;
    let Args { file } = args;
    let Some(store) = backup::file(&config.store_url) else {
        bail!(
            "the store is on PostgreSQL, which has a tool for this: \
             pg_restore --clean --if-exists --dbname=DATABASE {}",
            file.display()
        )
    };
    let restored = backup::restore(store, &file, Clock.now()).await?;
    say(store, &restored, globals.json)?;
    Ok(ExitCode::SUCCESS)
}

fn say(store: &Path, restored: &Restored, as_json: bool) -> anyhow::Result<()> {
    let Restored { holds, kept } = restored;
    if as_json {
        let mut said = serde_json::to_value(holds)?;
        said["store"] = json!(store);
        said["kept"] = json!(kept);
        output::print_value(&said)?;
        return Ok(());
    }
    let kept = kept.as_ref().map_or("there was none".to_owned(), |kept| kept.display().to_string());
    let top = [("store", store.display().to_string()), ("before", kept)];
    output::print(&fields([&top[..], &shown(holds)].concat()))?;
    output::remark(ELSEWHERE);
    Ok(())
}

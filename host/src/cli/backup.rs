//! `hillock backup`: a copy of the store, while the host goes on.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::HumanBytes;
use serde_json::json;
use tempfile::NamedTempFile;
use url::Url;

use super::Globals;
use super::output::{self, fields};
use crate::config::Config;
use crate::store::backup::{self, Inspected};

/// How often the progress is shown.
const INTERVAL: Duration = Duration::from_millis(200);
/// What no backup of a store holds.
pub(super) const ELSEWHERE: &str = "not in it: hillock.toml and automations.d, the data folder with \
    admin.key, and secrets, which the store knows by their names only";

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write.
    file: PathBuf,
    /// Overwrite the file if it exists.
    #[arg(long)]
    force: bool,
}

/// Writes the backup and looks at it.
///
/// # Errors
/// When it cannot be written, or is not whole.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(globals.config.as_deref(), &globals.overrides())?;
    let Args { file, force } = args;
    let Some(store) = backup::file(&config.store_url) else { bail!(elsewhere(&config, &file)) };
    ensure!(store.exists(), "there is no store at {}", store.display());
    ensure!(force || !file.exists(), "{} exists: --force replaces it", file.display());
    ensure!(!same(store, &file), "{} is the store itself", file.display());
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let cannot_write = || format!("cannot write to {}", folder.display());
    // Of its owner's only, from its first byte on.
    let partial = NamedTempFile::new_in(folder).with_context(cannot_write)?;
    copy(store, partial.path()).await?;
    let holds = backup::inspect(partial.path()).await.context("the copy is not sound")?;
    let kept = match force {
        true => partial.persist(&file),
        false => partial.persist_noclobber(&file),
    };
    kept.with_context(|| format!("cannot write {}", file.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot_write)?;
    say(&file, &holds, globals.json)?;
    Ok(ExitCode::SUCCESS)
}

fn same(store: &Path, file: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(store).is_some() && real(store) == real(file)
}

/// What to do about a store on PostgreSQL. Its password is not repeated.
fn elsewhere(config: &Config, file: &Path) -> String {
    let mut url = Url::parse(&config.store_url).ok();
    if let Some(url) = &mut url {
        let _ = url.set_password(None);
    }
    let url = url.map_or_else(|| "URL".to_owned(), String::from);
    format!(
        "the store is on PostgreSQL, which has a tool for this: \
         pg_dump --format=custom --file={} '{url}'",
        file.display()
    )
}

/// Copies, and tells a terminal how far it is.
async fn copy(store: &Path, into: &Path) -> anyhow::Result<()> {
    let copying = backup::copy(store, into);
    tokio::pin!(copying);
    let shown = io::stderr().is_terminal();
    loop {
        tokio::select! {
            copied = &mut copying => {
                if shown {
                    progress("");
                }
                return Ok(copied?);
            }
            () = tokio::time::sleep(INTERVAL), if shown => {
                let bytes = |path: &Path| path.metadata().map_or(0, |file| file.len());
                let (done, all) = (HumanBytes(bytes(into)), HumanBytes(bytes(store)));
                progress(&format!("copied {done} of at most {all}"));
            }
        }
    }
}

/// Replaces what a terminal was told of the progress before.
fn progress(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

fn say(file: &Path, holds: &Inspected, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut said = serde_json::to_value(holds)?;
        said["file"] = json!(file);
        output::print_value(&said)?;
        return Ok(());
    }
    let top = [("backup", file.display().to_string())];
    output::print(&fields([&top[..], &shown(holds)].concat()))?;
    output::remark(ELSEWHERE);
    Ok(())
}

/// What a store holds.
pub(super) fn shown(holds: &Inspected) -> [(&'static str, String); 7] {
    [
        ("size", HumanBytes(holds.bytes).to_string()),
        ("tables", format!("version {}", holds.version)),
        ("events", holds.events.to_string()),
        ("runs", holds.runs.to_string()),
        ("tasks", holds.tasks.to_string()),
        ("sessions", holds.sessions.to_string()),
        ("definitions", holds.definitions.to_string()),
    ]
}

//! What filters and templates are tried with: an event from a file, and components without a host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use tempfile::TempDir;

use super::{Globals, input};
use crate::app::DataDir;
use crate::clock::Clock;
use crate::config::{Limits, default_data_dir};
use crate::model::definition::Plugin;
use crate::model::envelope::Envelope;
use crate::model::json;
use crate::model::problem::Problem;
use crate::model::prompts::Prompts;
use crate::model::sample::{self, Defaults};
use crate::sandbox::{LoadError, Sandbox};

/// Which event.
#[derive(Debug, clap::Args)]
pub struct Sample {
    /// The event, as a JSON file: an envelope, or the output of `hillock event show --json`; `-` is
    /// standard input.
    ///
    /// An envelope needs `kind`; `data` is what the sender sent. Its other fields (`scope`,
    /// `workspace_id`, `source`, `id`, `occurred_at`, `received_at`, `depth` …) have defaults.
    #[arg(long, value_name = "FILE")]
    envelope: PathBuf,
}

impl Sample {
    /// Whether it comes from standard input.
    pub fn is_stdin(&self) -> bool {
        input::is_stdin(&self.envelope)
    }

    /// The event.
    ///
    /// # Errors
    /// When the file cannot be read, or anything in it is wrong.
    pub fn read(&self, globals: &Globals) -> anyhow::Result<Envelope> {
        let (envelope, above) = envelope_in(&self.envelope)?;
        let defaults = Defaults { scope: globals.scope.clone(), now: Clock.now() };
        sample::envelope(&envelope, defaults)
            .map_err(|problems| invalid(&input::name(&self.envelope), above, problems.iter()))
    }
}

/// The envelope in a file, which may be the file or a part of it, and what stands before the paths
/// in it.
///
/// # Errors
/// When the file cannot be read, or is not JSON.
pub fn envelope_in(file: &Path) -> anyhow::Result<(Value, &'static str)> {
    let bytes = input::read(file)?;
    let parsed = json::parse(&bytes);
    let mut json = parsed.map_err(|error| anyhow!("{} is {error}", input::name(file)))?;
    Ok(match json.get_mut("envelope") {
        Some(within) => (within.take(), "envelope."),
        None => (json, ""),
    })
}

/// Everything that is wrong with something, by paths below `above`; an empty path is the whole.
pub fn invalid<'p>(
    what: &str,
    above: &str,
    problems: impl IntoIterator<Item = &'p Problem>,
) -> anyhow::Error {
    let line = |Problem { path, reason }: &Problem| match path.as_str() {
        "" => reason.clone(),
        path => format!("{above}{path}: {reason}"),
    };
    let lines: Vec<String> = problems.into_iter().map(line).collect();
    anyhow!("{what} has errors:\n{}", lines.join("\n"))
}

/// The built-in components, and the plugins of hillock.toml if there is one.
///
/// # Errors
/// When hillock.toml is wrong, or a component cannot be loaded.
pub async fn components(globals: &Globals) -> anyhow::Result<Sandbox> {
    let (limits, plugins, data_dir, prompts) = match globals.found_config()? {
        Some(config) => (config.limits, config.plugins, config.data_dir, config.prompts),
        None => {
            let data_dir = globals.data_dir.clone().unwrap_or_else(default_data_dir);
            (Limits::default(), vec![], data_dir, Prompts::default())
        }
    };
    // Compiling takes its time.
    let sandbox = tokio::task::spawn_blocking(move || open(limits, &plugins, &data_dir)).await??;
    sandbox.replace_prompts(prompts);
    Ok(sandbox)
}

/// Keeps what is compiled in the data folder, unless that is somebody else's.
fn open(limits: Limits, plugins: &[Plugin], data_dir: &Path) -> anyhow::Result<Sandbox> {
    if let Ok(data_dir) = DataDir::open(data_dir) {
        match Sandbox::open(limits, plugins, &data_dir.component_cache()) {
            Err(LoadError::Cache { .. }) => {}
            opened => return Ok(opened?),
        }
    }
    let cache = TempDir::new().context("cannot make a temporary folder")?;
    Ok(Sandbox::open(limits, plugins, cache.path())?)
}

//! `hillock worker`: carries out runs for a host, here or elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::flags::Flags;
use super::pass::{self, Pass};
use super::ticket::Ticket;
use crate::app::DataDir;
use crate::cli::{Globals, signals};
use crate::clock::Clock;
use crate::config::{Config, Private, default_data_dir, programs};
use crate::telemetry;
use crate::worker::{self, Settings, WorkerError};

/// Its flags; `--url` says where the host is.
#[derive(Debug, clap::Args)]
#[group(id = "run")]
pub struct Args {
    /// What it is.
    #[command(flatten)]
    flags: Flags,
    /// What lets it join.
    #[command(flatten)]
    ticket: Ticket,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When neither hillock.toml nor the flags say what to run, or the host refuses the worker.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    let config = globals.found_config()?;
    let telemetry = config.as_ref().map(|config| config.telemetry.clone()).unwrap_or_default();
    let spans = telemetry::start("info", &telemetry)?;
    let named = config.as_ref().map(|config| config.path.clone());
    let worker =
        args.flags.over(config.as_ref(), &globals.scope)?.with_context(|| match named {
            Some(path) => format!(
                "{} has no [worker], and no --agent NAME=PROGRAM says what to run",
                path.display()
            ),
            None => {
                "there is no hillock.toml with a [worker], and no --agent NAME=PROGRAM says what \
                 to run"
                    .to_owned()
            }
        })?;
    let key_file = globals.key_file.clone();
    let private = private(config.as_ref(), key_file.into_iter().chain(args.ticket.file()));
    programs::warn_of_missing(&worker.programs);
    let data_dir = config.map(|config| config.data_dir).or_else(|| globals.data_dir.clone());
    let data_dir = DataDir::open(&data_dir.unwrap_or_else(default_data_dir))?;
    let token = args.ticket.read()?;
    let pass = pass::obtain(globals, data_dir.path(), token, &worker).await?;
    let settings = Settings {
        host: globals.host_url()?.to_string(),
        key: pass.key.clone(),
        id: pass.id.clone(),
        worker,
        changes: None,
        data_dir: data_dir.path().to_owned(),
        private: Arc::new(move || private.clone()),
        now: || Clock.now(),
        stop: signals::stop()?,
    };
    let worked = worker::run(settings).await;
    spans.flush().await;
    worked.map_err(|error| explained(error, &pass))?;
    Ok(ExitCode::SUCCESS)
}

/// What is not for programs: what a host's configuration here would keep from them, and the keys.
fn private(config: Option<&Config>, keys: impl Iterator<Item = PathBuf>) -> Private {
    let mut private = match config {
        Some(config) => config.private(&config.definitions()),
        None => Private::of_this_user(),
    };
    private.files.extend(keys);
    private
}

/// A credential that is refused is another matter than a key is.
fn explained(error: WorkerError, pass: &Pass) -> anyhow::Error {
    match (&error, &pass.kept_in) {
        (WorkerError::Unauthorized { host, status }, Some(path)) => anyhow!(
            "the host {host} refused this worker's credential ({status}): the worker was revoked \
             or rejected, or has another by now. Say --join with the other one; or, to join as \
             another worker, remove {} and use a new token",
            path.display()
        ),
        _ => error.into(),
    }
}

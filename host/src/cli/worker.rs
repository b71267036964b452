//! `hillock worker`: carries out runs for a host, here or elsewhere.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{Globals, signals};
use crate::app::DataDir;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry;
use crate::worker::{self, Settings};

/// Its flags; `--url` says where the host is.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Serves until it is told to stop.
///
/// # Errors
/// When hillock.toml has no [worker], or the host refuses it.
pub async fn run(globals: &Globals, _args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init("info");
    let config = Config::load(globals.config.as_deref(), &globals.overrides())?;
    let path = config.path.display();
    let worker = config.worker.clone().with_context(|| format!("{path} has no [worker]"))?;
    let key = globals.key()?.value;
    let key = String::from_utf8(key.expose().to_vec()).context("the API key is not text")?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let identity = worker::identity::claim(data_dir.path(), || Clock.worker_id())?;
    let settings = Settings {
        host: globals.host_url()?.to_string(),
        key,
        id: identity.id.clone(),
        worker,
        now: || Clock.now(),
        stop: signals::stop()?,
    };
    worker::run(settings).await?;
    Ok(ExitCode::SUCCESS)
}

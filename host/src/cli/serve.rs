//! `hillock serve`: the host, and its worker if hillock.toml gives it one.

use std::process::ExitCode;

use super::{Globals, signals};
use crate::app::Host;
use crate::config::{Config, Overrides};
use crate::environment;
use crate::telemetry;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on, instead of server.listen in hillock.toml.
    #[arg(long, env = "HILLOCK_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The database URL, instead of $HILLOCK_STORE_URL or store.url in hillock.toml.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
}

/// Runs the host until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    let overrides = Overrides {
        listen: args.listen,
        // Not read by the parser, which looks where a password could be seen.
        store_url: args.store_url.or_else(|| environment::var("HILLOCK_STORE_URL")),
        data_dir: globals.data_dir.clone(),
    };
    let stop = signals::stop()?;
    let mut reload = signals::reload()?;
    signals::withstand_file_limits()?;
    let config = Config::load(globals.config.as_deref(), &overrides)?;
    let spans = telemetry::start("info", &config.telemetry)?;
    let host = tokio::select! {
        host = Host::start(config) => host?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = reload.asked() => host.reload().await,
        }
    }
    let stopped = host.stop().await;
    spans.flush().await;
    stopped?;
    Ok(ExitCode::SUCCESS)
}

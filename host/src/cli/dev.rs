//! `hillock dev`: the whole way on one screen, in a folder of its own, on loopback.
//!
//! The first time, it writes a configuration to look at and to change, and a secret. Then it starts
//! that host, sends it one signed delivery as GitHub would, and shows what comes of it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::target::DEV_DIR;
use super::{Globals, output, signals, webhook};
use crate::app::Host;
use crate::clock::Clock;
use crate::config::{Config, FILE_NAME, Overrides};
use crate::model::scope::Scope;
use crate::telemetry;

const SAMPLE_CONFIG: &str = include_str!("dev/hillock.toml");
const SAMPLE_ISSUE: &str = include_str!("dev/issue.json");
const ISSUE: &str = "issue.json";
const SECRET: &str = "webhook.secret";

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder for configuration and data.
    #[arg(long, default_value = DEV_DIR, value_name = "DIR")]
    dir: PathBuf,
    /// The address to listen on, instead of the one in the folder's hillock.toml; port 0 takes any
    /// free port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Exit after the run of the sample delivery, with 0 if it completed.
    #[arg(long)]
    once: bool,
}

/// Shows the whole way, then serves until it is told to stop.
///
/// # Errors
/// When the host cannot start, or the sample does not come through.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    telemetry::init("warn");
    let stop = signals::stop()?;
    prepare(&args.dir).with_context(|| format!("cannot prepare {}", args.dir.display()))?;
    let file = args.dir.join(FILE_NAME);
    let overrides = Overrides { listen: args.listen, ..Overrides::default() };
    let config = Config::load(Some(&file), &overrides)?;
    output::remark("Starting. The first start compiles the built-in components.");
    let host = tokio::select! {
        host = Host::start(config) => host?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let client = Globals {
        config: Some(file),
        data_dir: None,
        url: Some(format!("http://{}", host.address).parse()?),
        key_file: None,
        scope: Scope::Global,
        json: globals.json,
    };
    let shown = show(&client, &args.dir, &stop).await;
    match (&shown, args.once) {
        (Err(_), _) => {}
        (Ok(_), true) => output::remark(next_steps(&args.dir)),
        (Ok(_), false) => {
            output::remark(hints(&host, &args.dir));
            stop.cancelled().await;
        }
    }
    host.stop().await.and(shown)
}

/// Writes what is not there yet.
fn prepare(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    unless_there(&dir.join(FILE_NAME), SAMPLE_CONFIG)?;
    unless_there(&dir.join(SECRET), &hex::encode(Clock.random::<16>()))?;
    // Another issue each time: the same one again would be known already.
    fs::write(dir.join(ISSUE), SAMPLE_ISSUE.replace("{now}", &Clock.now().to_string()))
}

fn unless_there(file: &Path, text: &str) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn show(client: &Globals, dir: &Path, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    output::remark("Sending a signed `issues` delivery, as GitHub would:");
    let send = webhook::Send::as_defined("github".parse()?, dir.join(ISSUE), "issues");
    tokio::select! {
        shown = webhook::run(client, webhook::Command::Send(send)) => shown,
        () = stop.cancelled() => Ok(ExitCode::SUCCESS),
    }
}

/// What to do once the sample has come through and the host has ended.
fn next_steps(dir: &Path) -> String {
    let (program, config) = (program(), dir.join(FILE_NAME));
    let dev = match dir == Path::new(DEV_DIR) {
        true => format!("{program} dev"),
        false => format!("{program} dev --dir {}", dir.display()),
    };
    format!(
        "\nThat was the whole way: delivery, event, trigger, run, agent. Next, put your own agent \
         and triggers into {}, and\n  {dev}\ngoes on serving as it says.",
        config.display()
    )
}

fn hints(host: &Host, dir: &Path) -> String {
    let (address, config, issue) = (host.address, dir.join(FILE_NAME), dir.join(ISSUE));
    let hillock = match config_flag(dir) {
        Some(flag) => format!("{} {flag}", program()),
        None => program(),
    };
    format!(
        "\nServing on http://{address}, as {} says. Ctrl-C ends it. In another terminal:\n  \
         {hillock} webhook send github --event issues --file {} --wait\n  \
         {hillock} event list\n  \
         {hillock} run list",
        config.display(),
        issue.display()
    )
}

/// The program as it was called, so that what is shown can be copied.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "hillock".to_owned())
}

/// What other commands have to say to find this folder; nothing, if they look there by themselves.
fn config_flag(dir: &Path) -> Option<String> {
    let found = dir == Path::new(DEV_DIR) && !Path::new(FILE_NAME).is_file();
    (!found).then(|| format!("--config {}", dir.join(FILE_NAME).display()))
}

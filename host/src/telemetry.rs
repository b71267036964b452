//! Logs: for people on a terminal, as JSON lines for machines. They never hold secrets, tokens or
//! prompts.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Says what to log: `info`, `debug`, `hillock::guest=debug,info` ….
const FILTER: &str = "HILLOCK_LOG";
/// `json` for JSON lines.
const FORMAT: &str = "HILLOCK_LOG_FORMAT";

/// Begins to log to standard error, at `level` unless the environment says otherwise. What guests
/// log may hold what senders sent: it shows only when asked for.
pub fn init(level: &str) {
    let quiet = format!("{level},hillock::guest=off");
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(quiet));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Somebody else's subscriber stays: this is the program's, and set once.
    let _ = if std::env::var(FORMAT).is_ok_and(|format| format == "json") {
        logs.json().try_init()
    } else {
        logs.with_target(false).try_init()
    };
}

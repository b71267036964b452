//! Logs, for people on a terminal or as JSON lines for machines, and spans, for a collector that
//! speaks OTLP. Neither holds secrets, tokens or prompts.
//!
//! Spans are sent by a thread of their own from a queue of bounded length: a collector that is slow
//! or away costs the spans that find no room, and a warning.

mod export;

use std::io::{self, IsTerminal as _, Write};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::config::{LogFormat, Telemetry};
use crate::model::visible;
pub use export::ExportError;

/// Says what to log: `info`, `debug`, `hillock::guest=debug,info` ….
const FILTER: &str = "HILLOCK_LOG";
/// `json` for JSON lines.
const FORMAT: &str = "HILLOCK_LOG_FORMAT";

/// What is still to be sent.
#[derive(Debug, Default)]
#[must_use]
pub struct Spans(Option<SdkTracerProvider>);

impl Spans {
    /// Sends what waits, as far as somebody takes it within a few seconds.
    pub async fn flush(self) {
        let Some(provider) = self.0 else { return };
        let shutting = move || provider.shutdown_with_timeout(export::PATIENCE);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(shutting).await {
            tracing::warn!(%error, "failed to export all spans");
        }
    }
}

/// Begins to log to standard error at `level` unless the environment says otherwise.
pub fn init(level: &str) {
    begin(level, &Telemetry::default(), None);
}

/// Begins to log to standard error at `level`, unless the settings or the environment say otherwise,
/// and to send spans where the settings say so. What guests log may hold what senders sent: it shows
/// only when asked for.
///
/// # Errors
/// When the spans cannot be sent to where the settings say.
pub fn start(level: &str, settings: &Telemetry) -> Result<Spans, ExportError> {
    let provider = settings.otlp_endpoint.as_ref().map(export::provider).transpose()?;
    begin(settings.level.as_deref().unwrap_or(level), settings, provider.as_ref());
    Ok(Spans(provider))
}

fn begin(level: &str, settings: &Telemetry, provider: Option<&SdkTracerProvider>) {
    // Who waits for components to be compiled is told so, whatever else is not said.
    let quiet = format!("{level},hillock::guest=off,hillock::compiling=info");
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(quiet));
    let lines = lines(settings).with_filter(filter);
    // Somebody else's subscriber stays: this is the program's, and set once.
    let _ = tracing_subscriber::registry().with(lines).with(provider.map(export::layer)).try_init();
}

fn lines(settings: &Telemetry) -> Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync> {
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || Log { terminal })
        .with_ansi(terminal)
        // It would say on standard error that standard error takes nothing, and panic.
        .log_internal_errors(false);
    let format = match std::env::var(FORMAT).as_deref() {
        Ok("json") => LogFormat::Json,
        Ok(_) => LogFormat::Pretty,
        Err(_) => settings.format,
    };
    match format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Pretty => lines.with_target(false).boxed(),
    }
}

/// Standard error, to which each line of the log goes as a whole. What it does not take is lost: a
/// host whose log nobody reads goes on.
#[derive(Clone, Copy, Debug)]
struct Log {
    terminal: bool,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut to = io::stderr().lock();
        let _ = match self.terminal {
            true => {
                let line = String::from_utf8_lossy(line);
                to.write_all(visible::shown_with_colours(&line).as_bytes())
            }
            false => to.write_all(line),
        };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

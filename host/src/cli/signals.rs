//! SIGTERM and SIGINT: the first asks, the second insists. SIGHUP asks for the files to be read
//! again.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a process that was asked twice ends with, as a shell would say it.
const INSISTED: i32 = 130;

/// A token that is cancelled when the process is asked to stop. Asked again, it ends at once.
///
/// # Errors
/// When signals cannot be listened to.
#[expect(clippy::disallowed_methods, reason = "listens as long as the process lives")]
pub(super) fn stop() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        asked.cancel();
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(INSISTED);
    });
    Ok(stop)
}

/// Makes a write beyond the limit of a file's size fail (SIGXFSZ), instead of ending the process.
///
/// # Errors
/// When signals cannot be listened to.
pub(super) fn withstand_file_limits() -> std::io::Result<()> {
    signal(SignalKind::from_raw(nix::sys::signal::Signal::SIGXFSZ as i32)).map(drop)
}

/// Requests to read the configuration again.
pub(super) struct Reload(Signal);

/// Listens to such requests, from now on.
///
/// # Errors
/// When signals cannot be listened to.
pub(super) fn reload() -> std::io::Result<Reload> {
    signal(SignalKind::hangup()).map(Reload)
}

impl Reload {
    /// Waits for the next request.
    pub(super) async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

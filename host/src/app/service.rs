//! What a service manager is told: that the host is ready, alive, or stopping (sd_notify(3)).
//! Without one, nothing.

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Says that the host takes requests.
pub(super) fn ready(address: std::net::SocketAddr) {
    let status = format!("listening on http://{address}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Says that the host ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is in hand")]);
}

/// Says twice in every span that the manager waits for that the host is alive, until `stop` is
/// called. A database that is away is no reason to be started again.
pub(super) async fn stay_alive(stop: CancellationToken) {
    let Some(span) = sd_notify::watchdog_enabled() else { return };
    while stop.run_until_cancelled(tokio::time::sleep(span / 2)).await.is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

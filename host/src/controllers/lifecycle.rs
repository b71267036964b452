//! Points of the host's own life that wait to become events.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ingress::Lifecycle;

/// How long a notice may wait.
const INTERVAL: Duration = Duration::from_millis(500);

/// Settles notices until `stop` is called.
pub async fn lifecycle(lifecycle: Arc<Lifecycle>, stop: CancellationToken) {
    loop {
        match lifecycle.settle_some().await {
            Ok(true) if !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "notices wait"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(INTERVAL) => {}
        }
    }
}

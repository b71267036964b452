//! Waiting for a state that can be seen, up to a deadline.

use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(20);

/// What `look` finds, as soon as it finds something.
///
/// # Panics
/// At the deadline, with what was waited for.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look).await
}

/// [`until`] with a deadline of its own.
pub(crate) async fn within<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begin.elapsed() < deadline, "waited {deadline:?} for {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

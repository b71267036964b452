//! Loops that each replica of the host has for itself: one that panics begins anew.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long a loop that has panicked rests.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `begin` gives to its end; after a panic, again.
pub async fn supervised<L>(name: &'static str, begin: impl Fn() -> L)
where
    L: Future<Output = ()> + Send + 'static,
{
    resting(name, PAUSE, begin).await;
}

async fn resting<L>(name: &'static str, pause: Duration, begin: impl Fn() -> L)
where
    L: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(begin());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(name, %error, "background loop panicked; restarting it");
                sleep(pause).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_loop_that_panics_begins_anew() {
        let begun = Arc::new(AtomicU32::new(0));
        resting("test", Duration::ZERO, || {
            let begun = Arc::clone(&begun);
            async move { assert!(begun.fetch_add(1, Ordering::Relaxed) == 2, "not yet") }
        })
        .await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}

//! Who listens to which run, so that what is stored here is heard at once.
//!
//! A signal is a hint: it says that there may be something new, and is lost with the process. What
//! other replicas store is not signalled here; whoever listens looks now and then by himself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::id::RunId;

type Runs = HashMap<String, watch::Sender<()>>;

/// The runs that somebody listens to.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals(Arc<Mutex<Runs>>);

/// Hears of one run.
#[derive(Debug)]
pub struct Listener {
    signals: Signals,
    run: String,
    heard: watch::Receiver<()>,
}

impl Signals {
    pub(super) fn listen(&self, run: &RunId) -> Listener {
        let run = run.as_str().to_owned();
        let heard = self.lock().entry(run.clone()).or_default().subscribe();
        Listener { signals: self.clone(), run, heard }
    }

    /// Tells whoever listens that there is something new of the run.
    pub(super) fn ring(&self, run: &str) {
        if let Some(bell) = self.lock().get(run) {
            bell.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Forgets what was signalled so far. To be called before looking at the store, so that what
    /// comes in between is heard.
    pub fn attend(&mut self) {
        self.heard.mark_unchanged();
    }

    /// Waits until something is signalled.
    pub async fn heard(&mut self) {
        // The bell is there as long as this listener is.
        let _ = self.heard.changed().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut runs = self.signals.lock();
        if runs.get(&self.run).is_some_and(|bell| bell.receiver_count() <= 1) {
            runs.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(digit: &str) -> RunId {
        format!("run_{}", digit.repeat(32)).parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_signalled_before_waiting_is_heard() {
        let signals = Signals::default();
        let mut listener = signals.listen(&run("1"));
        listener.attend();
        signals.ring(run("1").as_str());
        listener.heard().await;
        listener.attend();
        signals.ring(run("2").as_str());
        let heard = tokio::time::timeout(std::time::Duration::ZERO, listener.heard()).await;
        assert!(heard.is_err(), "another run's signal");
    }

    #[test]
    fn nothing_is_left_of_those_that_went() {
        let signals = Signals::default();
        let listeners = [signals.listen(&run("1")), signals.listen(&run("1"))];
        assert_eq!(signals.lock().len(), 1);
        drop(listeners);
        assert!(signals.lock().is_empty());
    }
}

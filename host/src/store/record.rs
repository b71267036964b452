//! How what runs say is kept: without the secrets that this host knows, within limits, and heard at
//! once by whoever listens here.
//!
//! It is the store's own so that nothing a worker says can get past it, whichever way it came.

use std::sync::{Arc, PoisonError, RwLock};

use super::Store;
use super::signals::{Listener, Signals};
use crate::config::LogLimits;
use crate::model::id::RunId;
use crate::model::redaction::Redaction;

/// The present rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    redaction: Arc<RwLock<Arc<Redaction>>>,
    pub(super) limits: LogLimits,
    pub(super) signals: Signals,
}

impl Record {
    /// What takes the secrets out, at present.
    pub(super) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// The same store with these limits.
    #[must_use]
    pub fn with_log_limits(mut self, limits: LogLimits) -> Self {
        self.record.limits = limits;
        self
    }

    /// From now on, takes out of what runs say what this one knows.
    pub fn redact(&self, redaction: Redaction) {
        let present = &self.record.redaction;
        *present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(redaction);
    }

    /// Hears of what is stored of a run by this process.
    pub fn listen(&self, run: &RunId) -> Listener {
        self.record.signals.listen(run)
    }
}

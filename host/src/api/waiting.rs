//! Why what is queued is not under way.

use std::time::Duration;

use serde::Serialize;

use crate::dispatch::waiting::{Reason, Waiting};

#[derive(Debug, Serialize)]
pub(super) struct WaitingJson {
    position: Option<u32>,
    total: u32,
    /// The greater it is the sooner; none for those that have waited longest, which go first.
    score: Option<i64>,
    workers: u32,
    mean_duration_ms: u64,
    /// No command of its class has completed yet.
    assumed_duration: bool,
    estimated_wait_ms: Option<u64>,
    reasons: Vec<ReasonJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct ReasonJson {
    code: &'static str,
    detail: String,
}

impl From<Waiting> for WaitingJson {
    fn from(waiting: Waiting) -> Self {
        Self {
            position: waiting.position,
            total: waiting.total,
            score: waiting.score,
            workers: waiting.workers,
            mean_duration_ms: millis(waiting.takes),
            assumed_duration: waiting.assumed,
            estimated_wait_ms: waiting.estimate().map(millis),
            reasons: waiting.reasons.iter().map(ReasonJson::from).collect(),
        }
    }
}

impl From<&Reason> for ReasonJson {
    fn from(reason: &Reason) -> Self {
        Self { code: reason.code(), detail: reason.detail() }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! Why what is queued is not under way, as the host says it.

use std::time::Duration;

use serde::Deserialize;

use super::output::{fields, or_none, section};
use super::plain::Plain;

/// What is known of a command that waits.
#[derive(Debug, Deserialize)]
pub(super) struct Waiting {
    position: Option<u32>,
    total: u32,
    #[serde(default)]
    score: Option<i64>,
    workers: u32,
    mean_duration_ms: u64,
    assumed_duration: bool,
    estimated_wait_ms: Option<u64>,
    reasons: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    code: Plain,
    detail: Plain,
}

/// The same of a listing's item: for want of whom nobody takes it.
#[derive(Debug, Deserialize)]
pub(super) struct Absence {
    reasons: Vec<Reason>,
}

impl Absence {
    /// In words.
    pub(super) fn said(&self) -> String {
        said(&self.reasons)
    }
}

fn said(reasons: &[Reason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|reason| reason.detail.line()).collect();
    reasons.join("; ")
}

impl Waiting {
    /// What keeps it, in words.
    pub(super) fn said(&self) -> String {
        said(&self.reasons)
    }

    /// All of it, as a section.
    pub(super) fn shown(&self) -> String {
        let score =
            self.score.map_or_else(String::new, |score| format!(", with a score of {score}"));
        let place = self.position.map(|place| format!("{place} of {}{score}", self.total));
        let span = |ms: u64| humantime::format_duration(Duration::from_millis(ms)).to_string();
        let assumed = if self.assumed_duration { ", which is assumed" } else { "" };
        let estimate = self.estimated_wait_ms.map(|wait| {
            let mean = span(self.mean_duration_ms);
            format!("{} (a command takes {mean}{assumed})", span(wait))
        });
        let reason =
            |Reason { code, detail }: &Reason| format!("{}: {}\n", code.line(), detail.line());
        let reasons: String = self.reasons.iter().map(reason).collect();
        let line = fields([
            ("place", or_none(place)),
            ("workers", self.workers.to_string()),
            ("wait", or_none(estimate)),
        ]);
        section("Waits", line + &reasons)
    }
}

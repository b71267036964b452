//! The way from a running program to the worker's loop: bounded, so that a program which writes
//! faster than the host stores has to wait.
//!
//! Every line takes its weight from the command's budget before it is passed on, and gets it back
//! when the host has stored it. When the budget is used up nothing reads the program's pipes any
//! more, and the program blocks. So nothing is dropped, and memory has an upper bound.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::lines::Weighed;
use crate::dispatch::protocol::Held;
use crate::model::run::{Ending, LogLine, Stream};
use crate::model::time::Time;

/// How much unanswered log text is kept for a command, in bytes of JSON.
pub(super) const BUDGET_BYTES: u32 = 4 * 1024 * 1024;

/// A command's news.
#[derive(Debug)]
pub(super) struct Report {
    /// The command, and the token that its program was started under.
    pub(super) held: Held,
    /// What happened.
    pub(super) news: News,
}

/// What can happen to a program.
#[derive(Debug)]
pub(super) enum News {
    /// It runs.
    Started,
    /// It wrote.
    Wrote(Vec<Weighed>),
    /// It ended; the last news.
    Ended(Ending),
}

/// A program's end of the way.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    /// The command that the news are of.
    pub(super) held: Held,
    /// What the command may still keep.
    pub(super) budget: Arc<Semaphore>,
    /// Where the news go.
    pub(super) reports: mpsc::Sender<Report>,
    /// What time it is.
    pub(super) now: fn() -> Time,
}

impl Outlet {
    /// Passes news on, when there is room for them.
    pub(super) async fn tell(&self, news: News) {
        // Without a listener the worker is ending, and this program with it.
        let _ = self.reports.send(Report { held: self.held.clone(), news }).await;
    }

    /// Passes lines on, when the budget allows.
    pub(super) async fn write(&self, stream: Stream, lines: Vec<String>) {
        let at = (self.now)();
        let line = |text| Weighed::from(LogLine { at, stream, text });
        let lines: Vec<Weighed> = lines.into_iter().map(line).collect();
        let weight: usize = lines.iter().map(|line| line.weight).sum();
        if lines.is_empty() || !self.pay(weight).await {
            return;
        }
        self.tell(News::Wrote(lines)).await;
    }

    async fn pay(&self, weight: usize) -> bool {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(BUDGET_BYTES);
        self.budget.acquire_many(weight).await.map(|paid| paid.forget()).is_ok()
    }
}

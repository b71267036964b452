//! The way from a running program to the worker's loop: bounded, so that a program which writes
//! faster than the host stores has to wait.
//!
//! Every line and every event takes its weight from the command's budget before it is passed on, and
//! gives it back when the host has stored it. When the budget is used up nothing reads the program's pipes any
//! more, and the program blocks. So nothing is dropped, and memory has an upper bound.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::backlog::Weighed;
use super::lines::Piece;
use crate::dispatch::protocol::Held;
use crate::model::run::{Ending, LogLine, RunEvent, Stream};
use crate::model::time::Time;

/// How much that is not answered is kept for a command, in bytes of JSON.
pub(super) const BUDGET_BYTES: u32 = 4 * 1024 * 1024;

/// A command's news.
#[derive(Debug)]
pub(super) struct Report {
    /// The command, and the token that its program was started under.
    pub(super) held: Held,
    /// What happened.
    pub(super) news: ProgramEvent,
}

/// What can happen to a program.
#[derive(Debug)]
pub(super) enum ProgramEvent {
    /// It runs.
    Started,
    /// It wrote.
    Wrote(Vec<Weighed<LogLine>>),
    /// It told something.
    Told(Vec<Weighed<RunEvent>>),
    /// What became of an input, a command of its own: the report is that one's.
    Answered(Ending),
    /// It ended; the last news.
    Ended(Ending),
}

/// A program's end of the way.
#[derive(Clone, Debug)]
pub(super) struct ProgramReporter {
    /// The command that the news are of.
    pub(super) held: Held,
    /// What the command may still keep.
    pub(super) budget: Arc<Semaphore>,
    /// Where the news go.
    pub(super) reports: mpsc::Sender<Report>,
    /// What time it is.
    pub(super) now: fn() -> Time,
}

impl ProgramReporter {
    /// Passes news on, when there is room for them.
    pub(super) async fn tell(&self, news: ProgramEvent) {
        // Without a listener the worker is ending, and this program with it.
        let _ = self.reports.send(Report { held: self.held.clone(), news }).await;
    }

    /// Says what became of an input.
    pub(super) async fn answer(&self, input: Held, ending: Ending) {
        let _ =
            self.reports.send(Report { held: input, news: ProgramEvent::Answered(ending) }).await;
    }

    /// Passes on what a stream brought, when the budget allows.
    pub(super) async fn write(&self, stream: Stream, pieces: Vec<Piece>) {
        let at = (self.now)();
        let (mut lines, mut events) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Line(text) => lines.push(Weighed::from(LogLine { at, stream, text })),
                Piece::Told(told) => {
                    let event = RunEvent { at, kind: told.kind, data: told.data };
                    events.push(Weighed::from(event));
                }
            }
        }
        if self.pay(&lines).await {
            self.tell(ProgramEvent::Wrote(lines)).await;
        }
        if self.pay(&events).await {
            self.tell(ProgramEvent::Told(events)).await;
        }
    }

    /// Takes from the budget what these weigh; `false` when there is nothing to pass on.
    async fn pay<T>(&self, items: &[Weighed<T>]) -> bool {
        let weight: usize = items.iter().map(|item| item.weight).sum();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(BUDGET_BYTES);
        let paid = self.budget.acquire_many(weight).await.map(|paid| paid.forget());
        paid.is_ok() && !items.is_empty()
    }
}

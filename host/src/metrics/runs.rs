//! Runs, and the commands that carry them out.

use super::book::{Book, Counts};
use crate::model::command::{CommandState, CommandType};
use crate::model::run::{OwnerKind, RunStatus};

/// Runs and commands.
#[derive(Debug)]
pub struct Runs {
    made: Counts<1>,
    ended: Counts<1>,
    retried: Counts<0>,
    claimed: Counts<1>,
    closed: Counts<1>,
    lost: Counts<1>,
}

impl Runs {
    pub(super) fn new(book: &mut Book) -> Self {
        let new = Self {
            made: book.counts(
                "hillock_runs_created",
                ["owner"],
                "Runs that were made, by what fired: a trigger, a job or a task",
            ),
            ended: book.counts("hillock_runs_ended", ["status"], "Runs that have ended, by how"),
            retried: book.counts(
                "hillock_run_retries",
                [],
                "Attempts of runs that were followed by another one",
            ),
            claimed: book.counts(
                "hillock_commands_claimed",
                ["type"],
                "Commands that workers have claimed",
            ),
            closed: book.counts(
                "hillock_commands_ended",
                ["state"],
                "Commands that have ended, by how",
            ),
            lost: book.counts(
                "hillock_commands_lost",
                ["outcome"],
                "Commands whose worker was lost: back in the queue, or failed for good",
            ),
        };
        new.show();
        new
    }

    /// What has not happened yet shows as a nought.
    fn show(&self) {
        for owner in [OwnerKind::Trigger, OwnerKind::Job, OwnerKind::Task] {
            self.made(owner, 0);
        }
        for status in [RunStatus::Completed, RunStatus::Failed, RunStatus::Canceled] {
            self.ended(status, 0);
        }
        for state in [
            CommandState::Completed,
            CommandState::Failed,
            CommandState::Canceled,
            CommandState::Expired,
        ] {
            self.closed(state, 0);
        }
        self.retried.add([], 0);
        self.claimed(CommandType::Run, 0);
        self.lost.add(["requeued"], 0);
        self.lost.add(["failed"], 0);
    }

    pub(super) fn made(&self, owner: OwnerKind, count: u64) {
        self.made.add([owner.as_str()], count);
    }

    pub(super) fn ended(&self, status: RunStatus, count: u64) {
        self.ended.add([status.as_str()], count);
    }

    pub(super) fn retried(&self) {
        self.retried.add([], 1);
    }

    pub(super) fn claimed(&self, of: CommandType, count: u64) {
        self.claimed.add([of.as_str()], count);
    }

    pub(super) fn closed(&self, state: CommandState, count: u64) {
        self.closed.add([state.as_str()], count);
    }

    pub(super) fn lost(&self, again: bool) {
        self.lost.add([if again { "requeued" } else { "failed" }], 1);
    }
}

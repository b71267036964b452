//! Run input: what a run is told while it works, or afterwards.
//!
//! ```text
//! the run …                        queue       followup    steer       interrupt
//! has not begun                    queued      queued      queued      queued
//! works                            queued      queued      queued*     interrupted
//! has asked something              queued      direct      direct      interrupted
//! is being interrupted             queued      queued      queued      interrupted
//! waits for its next attempt       queued      queued      queued      interrupted
//! has ended, or is called off      restarted   restarted   restarted   restarted
//! ```
//! \* `direct` when its policy is interactive. What cannot be delivered directly is `queued` or
//! `restarted` in the end: no input is lost, unless its run is called off.

use super::content::Content;
use super::id::{CommandId, InputId, RunId, TaskId};
use super::run::{NewRun, SessionRef, Stages, Terms};
use super::scope::Scope;
use super::session::SessionKey;
use super::task::Idempotency;
use super::time::Time;
use super::words::words;

/// The longest input, in bytes: as much as a prompt.
pub const INPUT_BYTES_MAX: usize = super::definition::PROMPT_BYTES_MAX;

words! {
    /// When a run is to get its input.
    InputMode ("an input mode") {
        /// After this run, in a run of its own.
        Queue = "queue",
        /// At once when the run waits for input, else after it.
        Followup = "followup",
        /// At once when its program takes input while it works, else after it.
        Steer = "steer",
        /// At once: the present attempt is canceled, and the next begins with the input.
        Interrupt = "interrupt",
    }
}

words! {
    /// What became of an input.
    InputOutcome ("an input outcome") {
        /// The present program gets it.
        Direct = "direct",
        /// A run of its own waits behind the present one.
        Queued = "queued",
        /// The present attempt ends, and the next begins with it.
        Interrupted = "interrupted",
        /// The run had ended: a new one resumes its session.
        Restarted = "restarted",
    }
}

/// Where a run stands, as far as an input minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun.
    Waiting,
    /// A program works.
    Working {
        /// Whether it has asked something.
        asks: bool,
        /// Whether it can be told more while it works.
        interactive: bool,
    },
    /// Its attempt is being stopped in favour of an input.
    Interrupted,
    /// It waits for its next attempt.
    Resting,
    /// It has been called off, and is being stopped.
    Stopping,
    /// It has ended.
    Ended,
}

impl InputMode {
    /// What becomes of an input.
    pub fn outcome(self, standing: Standing) -> InputOutcome {
        use InputOutcome::{Direct, Interrupted, Queued, Restarted};
        use Standing as At;
        match (standing, self) {
            (At::Ended | At::Stopping, _) => Restarted,
            (At::Waiting, _) | (_, Self::Queue) => Queued,
            (At::Working { asks: true, .. }, Self::Followup | Self::Steer) => Direct,
            (At::Working { interactive: true, .. }, Self::Steer) => Direct,
            (At::Working { .. } | At::Interrupted | At::Resting, Self::Interrupt) => Interrupted,
            (_, Self::Followup | Self::Steer) => Queued,
        }
    }
}

/// Whom an input is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A run; its task, where it was handed over to one.
    Run(RunId),
    /// A task: its present run.
    Task(TaskId),
}

/// An input as it is given.
#[derive(Clone, Debug)]
pub struct NewInput {
    /// Its identifier.
    pub id: InputId,
    /// Whose run it is for.
    pub scope: Scope,
    /// Whom it is for.
    pub to: Addressee,
    /// When they are to get it.
    pub mode: InputMode,
    /// What it says.
    pub text: String,
    /// Under which key it is given once only.
    pub idempotency: Option<Idempotency>,
    /// The run of its own, if it gets one.
    pub run_id: RunId,
    /// That run's first command, or the word that brings it to the worker.
    pub command_id: CommandId,
    /// When it is given.
    pub now: Time,
}

/// The run that `text` begins behind `run`: of the same owner, under the same terms, in the same
/// conversation. A run that belongs to none begins one, whose key is its identifier. What came with
/// the first prompt does not come again, and when that was to begin says nothing of this.
pub fn follow_up(run: &NewRun, id: RunId, text: &str, now: Time) -> NewRun {
    let session = run.terms.session.clone().or_else(|| own_session(run));
    let terms = Terms {
        session,
        attachments: Vec::new(),
        scheduled_at: None,
        expires_at: None,
        ..run.terms.clone()
    };
    NewRun {
        id,
        event_id: None,
        fire: None,
        prompt: text.to_owned(),
        content: Content::Trusted,
        task: None,
        stages: Stages::default(),
        terms,
        created_at: now,
        ..run.clone()
    }
}

/// The conversation that a run begins which belongs to none.
pub fn own_session(run: &NewRun) -> Option<SessionRef> {
    let key: Option<SessionKey> = run.id.as_str().parse().ok();
    key.map(|key| SessionRef::of(&run.scope, key))
}

/// An input and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInput {
    /// Its identifier.
    pub id: InputId,
    /// The run that it was meant for.
    pub run_id: RunId,
    /// When it was to get it.
    pub mode: InputMode,
    /// What it says.
    pub text: String,
    /// What became of it.
    pub outcome: InputOutcome,
    /// The run that gets it: the one it was meant for, or one of its own.
    pub into_run_id: RunId,
    /// The command that brings it to the worker, or that it is the prompt of.
    pub command_id: CommandId,
    /// The latest question when it was given: it answers all up to that one.
    pub asked_seq: Option<i64>,
    /// When it was given.
    pub created_at: Time,
    /// When a program got it.
    pub delivered_at: Option<Time>,
}

/// A question of a run's program that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingInput {
    /// The run.
    pub run_id: RunId,
    /// Its number within the run's events.
    pub seq: i64,
    /// What the program asked, if it said.
    pub prompt: Option<String>,
    /// When it asked.
    pub asked_at: Time,
}

#[cfg(test)]
mod tests {
    use super::InputMode::*;
    use super::InputOutcome::*;
    use super::*;

    #[test]
    fn outcomes_are_exactly_the_table() {
        let working = |asks, interactive| Standing::Working { asks, interactive };
        for (standing, queue, followup, steer, interrupt) in [
            (Standing::Waiting, Queued, Queued, Queued, Queued),
            (working(false, false), Queued, Queued, Queued, Interrupted),
            (working(false, true), Queued, Queued, Direct, Interrupted),
            (working(true, false), Queued, Direct, Direct, Interrupted),
            (working(true, true), Queued, Direct, Direct, Interrupted),
            (Standing::Interrupted, Queued, Queued, Queued, Interrupted),
            (Standing::Resting, Queued, Queued, Queued, Interrupted),
            (Standing::Stopping, Restarted, Restarted, Restarted, Restarted),
            (Standing::Ended, Restarted, Restarted, Restarted, Restarted),
        ] {
            let outcomes = [Queue, Followup, Steer, Interrupt].map(|mode| mode.outcome(standing));
            assert_eq!(outcomes, [queue, followup, steer, interrupt], "{standing:?}");
        }
    }

    #[test]
    fn words_read_back() {
        for (mode, word) in InputMode::ALL {
            assert_eq!(word.parse::<InputMode>().unwrap(), *mode);
        }
        for (outcome, word) in InputOutcome::ALL {
            assert_eq!(word.parse::<InputOutcome>().unwrap(), *outcome);
        }
    }
}

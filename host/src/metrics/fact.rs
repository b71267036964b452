//! What a transaction brings about, as far as it is counted.

use std::time::Duration;

use crate::model::command::{CommandState, CommandType};
use crate::model::decision::Outcome;
use crate::model::envelope::Source;
use crate::model::run::{OwnerKind, RunStatus};

/// Something to count once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An event came in, or one that was known came again.
    Event {
        /// From where.
        source: Source,
        /// Whether it was not known.
        new: bool,
    },
    /// A trigger decided on an event.
    Decided(Outcome),
    /// A trigger met its fire limit.
    Limited {
        /// Its name.
        trigger: String,
        /// Whether the fire waits.
        deferred: bool,
    },
    /// Runs were made.
    RunsMade {
        /// What fired.
        owner: OwnerKind,
        /// How many.
        count: u64,
    },
    /// Runs have ended.
    RunsEnded {
        /// How.
        status: RunStatus,
        /// How many.
        count: u64,
    },
    /// A run gets another attempt.
    RunRetried,
    /// Workers have claimed commands.
    CommandsClaimed {
        /// Of this type.
        of: CommandType,
        /// How many.
        count: u64,
    },
    /// Commands have ended.
    CommandsEnded {
        /// How.
        state: CommandState,
        /// How many.
        count: u64,
    },
    /// A worker has lost a command.
    CommandLost {
        /// Whether it went back to the queue.
        again: bool,
    },
    /// A job has fired.
    JobsFired {
        /// How long after its slot.
        late: Duration,
    },
    /// Slots of jobs passed without a fire.
    SlotsMissed(u64),
}

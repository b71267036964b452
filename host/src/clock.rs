//! Time and randomness, the only place that takes them from the machine.

use crate::model::id::{CommandId, EventId, KeyId, RunId, WorkerId};
use crate::model::time::Time;

/// Where the host gets its time, its identifiers and its tokens from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

macro_rules! mints {
    ($($(#[$doc:meta])* $name:ident: $id:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(self) -> $id {
            $id::mint(self.now(), self.random())
        }
    )*};
}

impl Clock {
    /// The present, to the millisecond.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn now(self) -> Time {
        Time::from_millis(chrono::Utc::now().timestamp_millis()).unwrap_or(Time::EPOCH)
    }

    /// Random bytes, fit for keys and tokens.
    pub fn random<const N: usize>(self) -> [u8; N] {
        rand::random()
    }

    mints! {
        /// An identifier for a new event.
        event_id: EventId;
        /// An identifier for a new run.
        run_id: RunId;
        /// An identifier for a new command.
        command_id: CommandId;
        /// An identifier for a new worker.
        worker_id: WorkerId;
        /// An identifier for a new API key.
        key_id: KeyId;
    }
}

//! What a component can do to its host, by name: the part that is the same in every world.
//!
//! The misdeeds are real: they spin, allocate, recurse and reach out as a hostile plugin would, and
//! report what they got hold of. Those that need a world's own functions (`host-calls`, `forge`,
//! `unverified`) are in the components.

mod exhaust;
mod probe;

/// What a component is told to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Behaves.
    Ok,
    /// Spins forever.
    Loop,
    /// Allocates without end and touches what it gets.
    Grow,
    /// Recurses without end.
    Stack,
    /// Panics.
    Trap,
    /// Answers with 100 MB.
    Output,
    /// Answers with 2 MiB.
    OutputSmall,
    /// Logs without end.
    Log,
    /// Logs one line of 10 MiB.
    LogBig,
    /// Asks the host without end; the component knows what.
    HostCalls,
    /// Sleeps for an hour.
    Sleep,
    /// Reports what it sees of files, environment and network.
    Files,
    /// Reports a clock and random bytes.
    RandomClock,
    /// Reports how many calls this instance has served, this one included.
    State,
    /// A mode of one component only.
    Other(String),
}

impl Mode {
    /// The mode of a name such as `output-small`.
    pub fn named(name: &str) -> Self {
        match name {
            "ok" => Self::Ok,
            "loop" => Self::Loop,
            "grow" => Self::Grow,
            "stack" => Self::Stack,
            "trap" => Self::Trap,
            "output" => Self::Output,
            "output-small" => Self::OutputSmall,
            "log" => Self::Log,
            "log-big" => Self::LogBig,
            "host-calls" => Self::HostCalls,
            "sleep" => Self::Sleep,
            "files" => Self::Files,
            "random-clock" => Self::RandomClock,
            "state" => Self::State,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Does it, if it is done the same way in every world. `Some` is a report to answer with;
    /// `None` leaves the mode to the component.
    pub fn commit(&self, host_call: impl Fn()) -> Option<String> {
        match self {
            Self::Ok | Self::Other(_) => None,
            Self::Loop => exhaust::spin(),
            Self::Grow => exhaust::grow(),
            Self::Stack => exhaust::recurse(),
            Self::Trap => panic!("a hostile component panics"),
            Self::Output => Some("x".repeat(100_000_000)),
            Self::OutputSmall => Some("x".repeat(2 * 1024 * 1024)),
            Self::Log => exhaust::log(),
            Self::LogBig => {
                hillock_plugin_sdk::log::info(&"x".repeat(10 * 1024 * 1024));
                Some("logged".to_owned())
            }
            Self::HostCalls => loop {
                host_call();
            },
            Self::Sleep => {
                std::thread::sleep(std::time::Duration::from_secs(3600));
                Some("slept".to_owned())
            }
            Self::Files => Some(probe::reach()),
            Self::RandomClock => Some(probe::random_clock()),
            Self::State => Some(probe::calls_served()),
        }
    }
}

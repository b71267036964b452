//! What can go wrong in the sandbox.

use std::path::PathBuf;

use crate::model::name::Name;

/// A limit that a guest exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Units of computation.
    #[error("fuel limit ({0})")]
    Fuel(u64),
    /// Wall clock, in milliseconds.
    #[error("time limit ({0} ms)")]
    Time(u128),
    /// Linear memory, in bytes.
    #[error("memory limit ({0} bytes)")]
    Memory(usize),
    /// Table elements.
    #[error("table limit ({0} elements)")]
    Table(usize),
    /// The call stack.
    #[error("stack limit")]
    Stack,
    /// Bytes handed to the host at once.
    #[error("output limit ({0} bytes)")]
    Output(usize),
    /// Lines or bytes in the log.
    #[error("log limit ({lines} lines, {bytes} bytes)")]
    Log {
        /// The most lines.
        lines: u32,
        /// The most bytes.
        bytes: usize,
    },
    /// Calls into the host.
    #[error("host call limit ({0})")]
    HostCalls(u32),
    /// What an observer or an extension remembers.
    #[error("state limit ({most} {of})")]
    State {
        /// The most there may be.
        most: usize,
        /// Of what.
        of: &'static str,
    },
    /// Requests in one poll.
    #[error("fetch limit ({0})")]
    Fetches(u32),
    /// Events of one call.
    #[error("event limit ({0})")]
    Signals(usize),
    /// An extension's cursor, in bytes.
    #[error("cursor limit ({0} bytes)")]
    Cursor(usize),
}

impl Limit {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fuel(_) => "fuel",
            Self::Time(_) => "time",
            Self::Memory(_) => "memory",
            Self::Table(_) => "table",
            Self::Stack => "stack",
            Self::Output(_) => "output",
            Self::Log { .. } => "log",
            Self::HostCalls(_) => "host_calls",
            Self::State { .. } => "state",
            Self::Fetches(_) => "fetches",
            Self::Signals(_) => "events",
            Self::Cursor(_) => "cursor",
        }
    }
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no such component.
    #[error("there is no component `{component}`")]
    Unknown {
        /// Its name.
        component: Name,
    },
    /// The component is of another kind.
    #[error("component `{component}` is not a {wanted}")]
    Kind {
        /// Its name.
        component: Name,
        /// What it should have been.
        wanted: &'static str,
    },
    /// Too many calls of the component are under way: it is slow. Nothing was asked of it.
    #[error("component `{component}` is busy")]
    Busy {
        /// Its name.
        component: Name,
    },
    /// The guest refused, in its own words.
    #[error("component `{component}` refused: {reason}")]
    Refused {
        /// Its name.
        component: Name,
        /// Why.
        reason: String,
    },
    /// The guest crashed.
    #[error("component `{component}` crashed: {reason}")]
    Crashed {
        /// Its name.
        component: Name,
        /// How.
        reason: String,
    },
    /// The guest exceeded a limit.
    #[error("component `{component}` exceeded its {limit}")]
    Exceeded {
        /// Its name.
        component: Name,
        /// Which.
        limit: Limit,
    },
}

/// Why components could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start")]
    Engine(#[source] wasmtime::Error),
    /// The cache of compiled components is not usable.
    #[error("cannot use {} as the cache of compiled components: {reason}", .path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A component's file cannot be read.
    #[error("cannot read the component `{component}` from {}", .path.display())]
    Unreadable {
        /// Its name.
        component: Name,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A component's file is larger than a component may be.
    #[error("the component `{component}` has {bytes} bytes, more than {bytes_max}")]
    TooLarge {
        /// Its name.
        component: Name,
        /// Its size.
        bytes: usize,
        /// The greatest size.
        bytes_max: usize,
    },
    /// It is not a component.
    #[error("`{component}` is not a WebAssembly component: {reason}")]
    Invalid {
        /// Its name.
        component: Name,
        /// Why.
        reason: String,
    },
    /// It needs more than the engine gives a component.
    #[error(
        "the component `{component}` needs more than it may have: {reason} (memory is \
         `sandbox.memory_bytes`)"
    )]
    Oversized {
        /// Its name.
        component: Name,
        /// Of what.
        reason: String,
    },
    /// It exports none of the worlds.
    #[error(
        "`{component}` is no plugin: it exports none of hillock:plugin/source, filter-rules, \
         template, hook, observer, extension and pre-fire (version 0.1)"
    )]
    NoWorld {
        /// Its name.
        component: Name,
    },
    /// It imports what its world does not grant.
    #[error("`{component}` asks for what a {kind} is not granted: {reason}")]
    Denied {
        /// Its name.
        component: Name,
        /// What it is.
        kind: &'static str,
        /// What it imports.
        reason: String,
    },
    /// Two components have the same name.
    #[error("there are two components called `{component}`")]
    Twice {
        /// The name.
        component: Name,
    },
}

//! Controllers: the background loops that put stored state right, and how their passes end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::id::ReplicaId;
use super::time::Time;
use super::words::words;

words! {
    /// One of the background loops.
    ControllerName ("a controller") {
        /// Silent workers, and leases that ran out.
        WorkerHealth = "worker-health",
        /// Commands that would wait for ever, or be out for ever.
        CommandRecovery = "command-recovery",
        /// Sessions that are stuck.
        SessionReconciler = "session-reconciler",
        /// Runs that nothing carries on.
        RunRecovery = "run-recovery",
        /// Events that wait for activation.
        Inbox = "inbox",
        /// Jobs that are due.
        Scheduler = "scheduler",
        /// Tokens and keys that are past their time.
        TokenCleanup = "token-cleanup",
        /// Old rows of the audit.
        AuditRetention = "audit-retention",
        /// What ended long ago.
        Retention = "retention",
        /// Instants that a wrong clock has written.
        Clock = "clock",
    }
}

impl ControllerName {
    /// How often it has a pass, where nobody says so.
    pub fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Self::Inbox => 5,
            Self::Clock => 10,
            Self::WorkerHealth | Self::Scheduler => 30,
            Self::CommandRecovery | Self::SessionReconciler | Self::RunRecovery => 60,
            Self::TokenCleanup | Self::Retention => 60 * 60,
            Self::AuditRetention => 24 * 60 * 60,
        })
    }

    /// What it does, in a line.
    pub fn what(self) -> &'static str {
        match self {
            Self::WorkerHealth => "notes silent workers, and releases leases that ran out",
            Self::CommandRecovery => "ends commands that waited too long, requeues stuck ones",
            Self::SessionReconciler => "frees sessions that are stuck",
            Self::RunRecovery => "carries on runs that nothing carries on",
            Self::Inbox => "activates events that wait",
            Self::Scheduler => "fires jobs that are due",
            Self::TokenCleanup => "removes tokens and keys that are past their time",
            Self::AuditRetention => "removes old rows of the audit",
            Self::Retention => "removes what ended longer ago than it is kept",
            Self::Clock => "puts right what a clock that was ahead has left in the future",
        }
    }
}

words! {
    /// How a pass ended.
    PassResult ("a pass's result") {
        /// It did what there was to do.
        Success = "success",
        /// The store failed.
        Error = "error",
        /// It took longer than it may, and was ended.
        Timeout = "timeout",
        /// It has a defect.
        Panic = "panic",
    }
}

/// How many things a pass put right, by what was done to them.
pub type Items = BTreeMap<String, u64>;

/// A pass that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When.
    pub at: Time,
    /// Which replica of the host had it.
    pub replica: ReplicaId,
    /// How.
    pub result: PassResult,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// What it did.
    pub items: Items,
}

/// Who has a pass in hand, and when that one is given up for dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The replica.
    pub replica: ReplicaId,
    /// When its lease ends.
    pub until: Time,
}

/// How a controller fares, over all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Which.
    pub name: ControllerName,
    /// Who is at it.
    pub holder: Option<Holder>,
    /// When its next pass is due.
    pub next_at: Time,
    /// Its last pass that ended.
    pub last: Option<Pass>,
    /// When one last found something to do, and what it did.
    pub worked: Option<(Time, Items)>,
    /// How many passes have ended.
    pub passes: u64,
    /// How many of them did not succeed.
    pub failures: u64,
}

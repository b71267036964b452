//! Workers as the host knows them.

mod bearer;

use std::time::Duration;

use super::definition::Agent;
use super::id::WorkerId;
use super::routing::Offer;
use super::scope::Scope;
use super::time::Time;
use super::words::words;
pub use bearer::Bearer;

/// How long a worker may be silent before it counts as degraded.
pub const DEGRADED_AFTER: Duration = Duration::from_secs(45);
/// How long a worker may be silent before it counts as gone.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(90);

words! {
    /// Whether somebody let the worker in.
    Approval ("an approval") {
        /// Nobody has looked at it yet: it may connect, and gets nothing.
        Pending = "pending",
        /// It may work.
        Approved = "approved",
        /// It may not.
        Rejected = "rejected",
    }
}

words! {
    /// What an administrator wants of the worker.
    AdminState ("an admin state") {
        /// That it works.
        Active = "active",
        /// That it takes nothing new, and stays connected.
        Disabled = "disabled",
        /// That it is gone for good: its credential opens nothing.
        Revoked = "revoked",
    }
}

words! {
    /// How a worker is.
    Health ("a health") {
        /// It never connected.
        Unknown = "unknown",
        /// It says so regularly.
        Online = "online",
        /// It has been silent for a while.
        Degraded = "degraded",
        /// It is gone.
        Offline = "offline",
        /// It takes nothing new, and will leave.
        Draining = "draining",
    }
}

words! {
    /// Whether a worker is given work, or why not.
    Eligibility ("an eligibility") {
        /// It is.
        Eligible = "eligible",
        /// Nobody has approved it yet.
        Unapproved = "unapproved",
        /// An administrator has disabled it.
        Disabled = "disabled",
        /// It takes nothing new, by its own word or an administrator's.
        Draining = "draining",
    }
}

impl Eligibility {
    /// That of a worker that may be connected and stands like this.
    pub fn of(approval: Approval, admin_state: AdminState, draining: bool) -> Self {
        match (approval, admin_state) {
            (Approval::Pending | Approval::Rejected, _) => Self::Unapproved,
            (_, AdminState::Disabled | AdminState::Revoked) => Self::Disabled,
            _ if draining => Self::Draining,
            _ => Self::Eligible,
        }
    }
}

/// A worker as it stands.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its identifier.
    pub id: WorkerId,
    /// Whose agents it may serve: everybody's when global, else those of one workspace.
    pub scope: Scope,
    /// What people call it.
    pub name: String,
    /// Whether somebody let it in.
    pub approval: Approval,
    /// What an administrator wants of it.
    pub admin_state: AdminState,
    /// How it was when somebody last looked.
    pub health: Health,
    /// Whether it is to take nothing new, by its own word or an administrator's.
    pub draining: bool,
    /// The agents it serves.
    pub agents: Vec<Agent>,
    /// How many commands it takes at once.
    pub capacity: u32,
    /// How many it has.
    pub active: u32,
    /// What it has, and what it can enforce.
    pub offer: Offer,
    /// The first characters of its credential; none when it came with an API key.
    pub credential_prefix: Option<String>,
    /// When it first came.
    pub registered_at: Time,
    /// When it was last heard of.
    pub last_heartbeat_at: Option<Time>,
}

impl Worker {
    /// Whether it may be given commands at all.
    pub fn eligibility(&self) -> Eligibility {
        Eligibility::of(self.approval, self.admin_state, self.draining)
    }
}

/// By what a worker is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// An API key: the worker says itself who it is.
    Key,
    /// A credential, which says so.
    Credential {
        /// Whose it is.
        worker_id: WorkerId,
        /// Its hash.
        hash: [u8; 32],
    },
}

/// One connection of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The worker.
    pub worker_id: WorkerId,
    /// The connection's own mark: a worker has one connection, the latest.
    pub connection: String,
    /// The hash of the credential that opened it; none for an API key.
    pub credential: Option<[u8; 32]>,
}

/// Why a worker may not stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dismissal {
    /// Nobody knows it.
    #[error("the host does not know this worker")]
    Unknown,
    /// It came with another worker's credential.
    #[error("the credential is another worker's")]
    Another,
    /// An administrator does not let it in.
    #[error("the worker was rejected")]
    Rejected,
    /// An administrator wants it gone.
    #[error("the worker was revoked")]
    Revoked,
    /// Its credential was replaced by another.
    #[error("the credential was replaced")]
    Rotated,
    /// It serves an agent of another workspace than its own.
    #[error("this worker may serve agents of {own} only, not `{}` of {}", agent.name, agent.scope)]
    Outside {
        /// Where it belongs.
        own: Scope,
        /// Whom it would serve.
        agent: Agent,
    },
    /// A later connection took its place.
    #[error("another connection of the same worker took over")]
    Replaced,
}

/// How a worker is that was last heard of at `heard`.
pub fn health(heard: Option<Time>, draining: bool, now: Time) -> Health {
    match heard.map(|heard| now.since(heard)) {
        None => Health::Unknown,
        Some(silence) if silence >= OFFLINE_AFTER => Health::Offline,
        Some(silence) if silence >= DEGRADED_AFTER => Health::Degraded,
        Some(_) if draining => Health::Draining,
        Some(_) => Health::Online,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_makes_a_worker_degraded_then_offline() {
        let heard = Time::from_millis(1_000_000).unwrap();
        let after =
            |ms: i64| health(Some(heard), false, Time::from_millis(1_000_000 + ms).unwrap());
        assert_eq!(after(0), Health::Online);
        assert_eq!(after(44_999), Health::Online);
        assert_eq!(after(45_000), Health::Degraded);
        assert_eq!(after(89_999), Health::Degraded);
        assert_eq!(after(90_000), Health::Offline);
        assert_eq!(health(None, true, heard), Health::Unknown);
        assert_eq!(health(Some(heard), true, heard), Health::Draining);
        assert_eq!(after(-5), Health::Online, "its clock may be ahead");
    }
}

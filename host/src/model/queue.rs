//! Queues: commands that ask the same of a worker wait in the same one.
//!
//! ```text
//! score = base of its priority + the workspace's bonus
//!       + min(whole minutes waited, 200) − 10 × the workspace's active commands,   at least 1
//! ```
//! The best command has the highest score, and is the oldest of those. All commands of one queue
//! and one priority age alike, so the best of them is the first; a claim compares the first ones
//! only, with scores of that very moment. One that has waited 200 minutes has no more to gain: it is
//! *overdue* and goes before everything that is not, the oldest first. So nothing starves, however
//! steady a stream of what is more urgent.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::definition::Priority;
use super::name::Name;
use super::policy::Policy;
use super::routing::Routing;
use super::scope::Scope;
use super::time::Time;

/// How long a command gains by waiting; from then on it is overdue.
pub const AGEING_MAX: Duration = Duration::from_secs(200 * 60);
/// What each active command of a workspace costs its waiting ones.
pub const ACTIVE_COST: i64 = 10;
/// How long a command waits for a worker before it expires, unless it is said otherwise.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What commands ask of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Made of all that follows, so that equal demands are one queue.
    pub id: String,
    /// Its execution class: the same, but for the routing and the policy's retry.
    pub class_id: String,
    /// Whose commands they are.
    pub scope: Scope,
    /// Who does the work.
    pub agent: Name,
    /// The concurrency group within the agent.
    pub lane: Option<Name>,
    /// The restrictions to enforce.
    pub policy: Option<Policy>,
    /// What else the worker has to have.
    pub routing: Routing,
}

impl Queue {
    /// The queue for these demands.
    pub fn new(
        scope: Scope,
        agent: Name,
        lane: Option<Name>,
        policy: Option<Policy>,
        routing: Routing,
    ) -> Self {
        let class_id = Policy::class_id(policy.as_ref(), &scope, &agent, lane.as_ref());
        let key = serde_json::json!([class_id, policy, routing]);
        let id = hex::encode(&Sha256::digest(key.to_string())[..16]);
        Self { id, class_id, scope, agent, lane, policy, routing }
    }
}

/// When an execution class that fails is left alone: it is *degraded* then, nothing of it goes out
/// for the cool-down, and one command at a time behind it, until one completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// So many failed attempts in a row.
    pub failures: u32,
    /// So long after the last of them.
    pub cooldown: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, cooldown: Duration::from_secs(60) }
    }
}

impl Breaker {
    /// When a class that failed so often, the last time at `failed_at`, is tried again; none when it
    /// is not degraded.
    pub fn degraded_until(self, failures: u32, failed_at: Option<Time>) -> Option<Time> {
        failed_at.filter(|_| failures >= self.failures).map(|at| at + self.cooldown)
    }
}

/// A waiting command's score.
pub fn score(priority: Priority, bonus: i64, waited: Duration, active: u32) -> i64 {
    let minutes = i64::try_from(waited.min(AGEING_MAX).as_secs() / 60).unwrap_or(0);
    let score = i64::from(priority.base()) + bonus + minutes - ACTIVE_COST * i64::from(active);
    score.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_formula() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (priority, bonus, waited, active, wanted) in [
            (Priority::Critical, 0, minutes(0), 0, 1000),
            (Priority::High, 0, minutes(0), 0, 750),
            (Priority::Normal, 50, minutes(0), 0, 550),
            (Priority::Low, 0, minutes(0), 0, 250),
            (Priority::Low, 0, Duration::from_secs(59), 0, 250),
            (Priority::Low, 0, minutes(1), 0, 251),
            (Priority::Low, 0, minutes(200), 0, 450),
            (Priority::Low, 0, minutes(1000), 0, 450),
            (Priority::Low, 0, minutes(10), 3, 230),
            (Priority::Low, 0, minutes(0), 25, 1),
            (Priority::Low, 0, minutes(0), 2500, 1),
        ] {
            assert_eq!(score(priority, bonus, waited, active), wanted, "{priority} {waited:?}");
        }
    }

    #[test]
    fn equal_demands_are_one_queue() {
        let queue = |lane: Option<&str>, routing: &str| {
            let lane = lane.map(|lane| lane.parse().unwrap());
            let routing = serde_json::from_str(routing).unwrap();
            Queue::new(Scope::Global, "triager".parse().unwrap(), lane, None, routing)
        };
        assert_eq!(queue(None, "{}"), queue(None, r#"{"tools":[]}"#));
        assert_ne!(queue(None, "{}").class_id, queue(Some("slow"), "{}").class_id);
        let routed = queue(None, r#"{"tools":["cargo"]}"#);
        assert_ne!(queue(None, "{}").id, routed.id);
        assert_eq!(queue(None, "{}").class_id, routed.class_id);
    }
}

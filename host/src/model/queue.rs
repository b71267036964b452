//! Queues: commands that ask the same of a worker wait in the same one.
//!
//! ```text
//! score = base of its priority + the workspace's bonus
//!       + min(20 × whole minutes waited, 800) − 10 × the workspace's active commands,   at least 1
//! ```
//! A command has waited since it could first have gone out: it was made then, or due. The best one
//! has the highest score, and has waited longest of those. In one queue and one priority that is
//! always the one that has waited longest, so a claim compares these heads only, with scores of that
//! very moment. `low` passes a fresh `critical` after 38 minutes. One that has waited 40 has no more
//! to gain: it is *overdue* and goes before everything that is not, the longest first. So nothing
//! starves, however steady a stream of what is more urgent, and well before it expires.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::definition::Priority;
use super::json;
use super::name::Name;
use super::policy::Policy;
use super::routing::Routing;
use super::scope::Scope;
use super::time::Time;

/// How long a command gains by waiting; from then on it is overdue.
pub const AGEING_MAX: Duration = Duration::from_secs(40 * 60);
/// What a command gains by each minute.
pub const AGEING: i64 = 20;
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
        let key = json::sorted(json!([class_id, policy, routing]));
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
    let aged = i64::from(priority.base()) + bonus + AGEING * minutes;
    (aged - ACTIVE_COST * i64::from(active)).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            (Priority::Low, 0, minutes(1), 0, 270),
            (Priority::Low, 0, minutes(37), 0, 990),
            (Priority::Low, 0, minutes(38), 0, 1010),
            (Priority::Low, 0, minutes(40), 0, 1050),
            (Priority::Low, 0, minutes(1000), 0, 1050),
            (Priority::Low, 0, minutes(10), 3, 420),
            (Priority::Low, 0, minutes(0), 25, 1),
            (Priority::Low, 0, minutes(0), 2500, 1),
        ] {
            assert_eq!(score(priority, bonus, waited, active), wanted, "{priority} {waited:?}");
        }
    }

    /// A command as it waits: how urgent it is, and the second since which.
    type Waiting = (Priority, u64);

    /// The place of the best, as a claim chooses it.
    fn best(waiting: &[Waiting], now: u64) -> usize {
        let rank = |(place, (priority, since)): (usize, &Waiting)| {
            let waited = Duration::from_secs(now - since);
            let overdue = waited >= AGEING_MAX;
            let score = if overdue { 0 } else { score(*priority, 0, waited, 0) };
            (!overdue, -score, *since, place)
        };
        waiting.iter().enumerate().map(rank).min().unwrap().3
    }

    fn priority() -> impl Strategy<Value = Priority> {
        prop::sample::select(Priority::ALL.map(|(priority, _)| priority).to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// As long as the workers keep up, nothing expires: beside a steady stream that takes all
        /// they have, and a backlog of some minutes.
        #[test]
        fn nothing_expires_while_workers_keep_up(
            stream in prop::collection::vec(priority(), 1..24),
            backlog in prop::collection::vec((priority(), 0_u64..60), 0..30),
            takes in 5_u64..40,
        ) {
            let mut waiting: Vec<Waiting> = backlog;
            let mut arriving = stream.into_iter().cycle();
            for turn in 0..(2 * QUEUE_TIMEOUT.as_secs() / takes) {
                let now = 60 + turn * takes;
                waiting.extend(arriving.next().map(|priority| (priority, now)));
                let (priority, since) = waiting.remove(best(&waiting, now));
                let waited = Duration::from_secs(now - since);
                prop_assert!(waited < QUEUE_TIMEOUT, "{} waited {:?}", priority, waited);
            }
        }

        /// Whatever is asked anew passes nothing that has waited for 38 minutes.
        #[test]
        fn nothing_fresh_passes_what_has_waited(old in priority(), fresh in priority(), more in 0_u64..3600) {
            let minutes = |n: u64| 60 * n;
            prop_assert_eq!(best(&[(fresh, minutes(38) + more), (old, 0)], minutes(38) + more), 1);
        }

        /// In one priority the best is the one that has waited longest, so that heads are enough.
        #[test]
        fn the_head_is_the_oldest(priority in priority(), since in prop::collection::vec(0_u64..9000, 1..20)) {
            let waiting: Vec<Waiting> = since.iter().map(|since| (priority, *since)).collect();
            let oldest = since.iter().min().unwrap();
            prop_assert_eq!(since[best(&waiting, 9000)], *oldest);
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

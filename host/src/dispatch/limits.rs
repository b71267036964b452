//! How much of each queue may be out at once, by the configuration and by what agents say of
//! themselves.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::config::{Config, QueueLimits};
use crate::model::definition::{Definitions, Profile};
use crate::model::name::Name;
use crate::model::queue::Queue;
use crate::model::scope::Scope;
use crate::store::commands::ClaimableQueue;

/// What bounds the commands that are out.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of the whole host.
    pub active_max: u32,
    /// Of workspaces, and of classes that fail.
    pub queue: Arc<QueueLimits>,
    catalog: Catalog,
}

impl Limits {
    /// The limits of this configuration, and of the agents in the catalog.
    pub fn new(config: &Config, catalog: Catalog) -> Self {
        let queue = Arc::new(config.queue.clone());
        Self { active_max: config.max_concurrent_runs, queue, catalog }
    }

    /// These queues with their limits, as they are now.
    pub fn lots(&self, queues: Vec<Queue>) -> Vec<ClaimableQueue> {
        let definitions = self.catalog.now();
        let profiles = Profiles::of(&definitions);
        queues.into_iter().map(|queue| self.limited(queue, &profiles)).collect()
    }

    /// The same of one queue.
    pub fn lot(&self, queue: Queue) -> ClaimableQueue {
        let definitions = self.catalog.now();
        self.limited(queue, &Profiles::of(&definitions))
    }

    fn limited(&self, queue: Queue, profiles: &Profiles<'_>) -> ClaimableQueue {
        let profile = profiles.0.get(&(&queue.scope, &queue.agent));
        let lane = queue.lane.as_ref();
        ClaimableQueue {
            class_max: profile.and_then(|profile| profile.concurrency),
            lane_max: profile
                .zip(lane)
                .and_then(|(profile, lane)| profile.lanes.get(lane).copied()),
            workspace_max: self.queue.active_max(&queue.scope),
            bonus: self.queue.bonus(&queue.scope),
            breaker: self.queue.breaker,
            queue,
        }
    }
}

/// The agents that are defined, to be looked up.
struct Profiles<'d>(HashMap<(&'d Scope, &'d Name), &'d Profile>);

impl<'d> Profiles<'d> {
    fn of(definitions: &'d Definitions) -> Self {
        let entry = |profile: &'d Profile| ((&profile.agent.scope, &profile.agent.name), profile);
        Self(definitions.agents.iter().map(entry).collect())
    }
}

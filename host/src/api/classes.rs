//! Execution classes: how much of each waits and is out, and whether it is left alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::json::{InReach, ScopeJson};
use super::parameters::Parameters;
use super::problem::Problem;
use crate::model::name::Name;
use crate::model::policy::Policy;
use crate::model::queue::Queue;
use crate::model::routing::Routing;
use crate::model::time::Time;
use crate::store::classes::{self, Class};

/// The most classes that are shown.
const CLASSES_MAX: u32 = 1000;

/// How a class is let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ClassState {
    /// As workers have room.
    Open,
    /// Not before one that is out has ended.
    Full,
    /// Not before the cool-down has passed.
    Degraded,
    /// One at a time, until one completes.
    Probing,
}

#[derive(Debug, Serialize)]
pub(super) struct ClassesJson {
    items: Vec<ClassJson>,
}

#[derive(Debug, Serialize)]
struct ClassJson {
    id: String,
    #[serde(flatten)]
    scope: ScopeJson,
    agent: Name,
    lane: Option<Name>,
    policy: Option<Policy>,
    state: ClassState,
    /// How many are let out at once; none without limit.
    concurrency: Option<u32>,
    running: u32,
    stopping: u32,
    pending: u32,
    blocked: u32,
    failures: u32,
    degraded_until: Option<Time>,
    approved_at: Option<Time>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<InReach>,
) -> Result<Json<ClassesJson>, Problem> {
    let classes = classes::list(&api.store, query.reach(), CLASSES_MAX).await?;
    let now = api.clock.now();
    let items = classes.into_iter().map(|class| shown(&api, class, now));
    Ok(Json(ClassesJson { items: items.collect() }))
}

fn shown(api: &Api, class: Class, now: Time) -> ClassJson {
    let queue = Queue {
        id: class.id.clone(),
        class_id: class.id.clone(),
        scope: class.scope.clone(),
        agent: class.agent.clone(),
        lane: class.lane.clone(),
        policy: class.policy.clone(),
        routing: Routing::default(),
    };
    let lot = api.limits.lot(queue);
    let degraded_until = lot.breaker.degraded_until(class.failures, class.failed_at);
    let active = class.running + class.stopping;
    ClassJson {
        state: match degraded_until {
            Some(until) if until > now => ClassState::Degraded,
            Some(_) => ClassState::Probing,
            None if lot.class_max.is_some_and(|max| active >= max) => ClassState::Full,
            None => ClassState::Open,
        },
        id: class.id,
        scope: ScopeJson::from(&class.scope),
        agent: class.agent,
        lane: class.lane,
        policy: class.policy,
        concurrency: lot.class_max,
        running: class.running,
        stopping: class.stopping,
        pending: class.pending,
        blocked: class.blocked,
        failures: class.failures,
        degraded_until,
        approved_at: class.approved_at,
    }
}

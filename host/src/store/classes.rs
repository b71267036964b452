//! Execution classes: what they are, what of them waits and is out, and how they fare.

use super::sql::{Reader, Row, binds};
use super::{Store, StoreError, events};
use crate::model::name::Name;
use crate::model::policy::Policy;
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;

// What is out is little; what waits is counted in an index, class by class.
const SELECT: &str = "\
WITH active AS MATERIALIZED (
     SELECT class_id, cancel_requested_at
       FROM commands
      WHERE state IN ('sent', 'acknowledged', 'running')
        AND class_id IS NOT NULL)
SELECT k.id, k.workspace_id, k.agent, k.lane, k.policy, k.failures, k.failed_at, k.approved_at,
       (SELECT count(*)
          FROM queues q
         CROSS JOIN commands c
         WHERE q.class_id = k.id
           AND c.queue = q.id
           AND c.state = 'pending') AS pending,
       (SELECT count(*)
          FROM commands c
         WHERE c.class_id = k.id
           AND c.state = 'blocked') AS blocked,
       (SELECT count(*)
          FROM active a
         WHERE a.class_id = k.id
           AND a.cancel_requested_at IS NULL) AS running,
       (SELECT count(*)
          FROM active a
         WHERE a.class_id = k.id
           AND a.cancel_requested_at IS NOT NULL) AS stopping
  FROM classes k
 WHERE (CAST($1 AS TEXT) IS NULL OR k.workspace_id = $1)
 ORDER BY k.agent, k.lane, k.id
 LIMIT $2";

/// An execution class, as it fares.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its identifier.
    pub id: String,
    /// Whose commands they are.
    pub scope: Scope,
    /// Who does the work.
    pub agent: Name,
    /// The concurrency group within the agent.
    pub lane: Option<Name>,
    /// The restrictions to enforce.
    pub policy: Option<Policy>,
    /// How many of its commands wait for a worker.
    pub pending: u32,
    /// How many wait for somebody to approve them.
    pub blocked: u32,
    /// How many a worker has.
    pub running: u32,
    /// How many a worker has that were asked to stop.
    pub stopping: u32,
    /// How many attempts have failed in a row.
    pub failures: u32,
    /// When the last of them did.
    pub failed_at: Option<Time>,
    /// When somebody approved it, where its policy asks once.
    pub approved_at: Option<Time>,
}

/// The classes of a scope, by agent and lane; at most `max`.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    max: u32,
) -> Result<Vec<Class>, StoreError> {
    let binds = binds![reach.into().workspace_id(), max];
    let rows = store.read("list_classes", SELECT, &binds).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Class, StoreError> {
    let r = Reader::new("classes", row);
    Ok(Class {
        id: r.get("id")?,
        scope: events::read_scope(&r)?,
        agent: r.text("agent")?,
        lane: r.text_if_any("lane")?,
        policy: r.json_if_any("policy")?,
        pending: r.count("pending")?,
        blocked: r.count("blocked")?,
        running: r.count("running")?,
        stopping: r.count("stopping")?,
        failures: r.count("failures")?,
        failed_at: r.time_if_any("failed_at")?,
        approved_at: r.time_if_any("approved_at")?,
    })
}

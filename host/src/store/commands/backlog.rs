//! How many commands wait for each agent.

use super::super::sql::{Reader, Row, binds};
use super::super::{Store, StoreError};
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::time::Time;

// What waits for a retry's time, or for the run before it, waits for no agent.
const SELECT: &str = concat!(
    "\
SELECT q.agent, COUNT(*) AS waiting, MIN(COALESCE(c.due_at, c.created_at)) AS oldest_at
  FROM queues q
  JOIN commands c ON c.queue = q.id
 WHERE q.workspace_id = $1
   AND c.state = 'pending'",
    ready!("$2"),
    "
 GROUP BY q.agent
 ORDER BY q.agent"
);

/// The commands that wait for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The agent.
    pub agent: Name,
    /// How many, at least one.
    pub waiting: u32,
    /// Since when the oldest of them has waited.
    pub oldest_at: Time,
}

/// The agents of a scope that commands could go to, if somebody had room.
///
/// # Errors
/// When the store fails.
pub async fn backlogs(store: &Store, scope: &Scope, now: Time) -> Result<Vec<Backlog>, StoreError> {
    let binds = binds![scope.workspace_id(), now];
    let rows = store.read("count_waiting", SELECT, &binds).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Backlog, StoreError> {
    let r = Reader::new("queues", row);
    Ok(Backlog {
        agent: r.text("agent")?,
        waiting: r.count("waiting")?,
        oldest_at: r.time("oldest_at")?,
    })
}

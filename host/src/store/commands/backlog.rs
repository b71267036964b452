//! How many commands wait for each agent.

use super::super::sql::{Reader, Row, binds};
use super::super::{Store, StoreError};
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::time::Time;

// What waits for a retry's time, or for the run before it, waits for no agent. Collations do not
// agree on what lies between two texts: so the prefix is compared, and not a range.
const SELECT: &str = "\
SELECT c.queue AS id, COUNT(*) AS waiting, MIN(COALESCE(c.due_at, c.created_at)) AS oldest_at
  FROM commands c
 WHERE c.state = 'pending'
   AND substr(c.queue, 1, length($1)) = $1
   AND (c.due_at IS NULL OR c.due_at <= $2)
   AND NOT EXISTS (SELECT 1
                     FROM runs previous
                     JOIN runs earlier ON earlier.owner_id = previous.owner_id
                    WHERE previous.id = c.after_run_id
                      AND earlier.seq <= previous.seq
                      AND earlier.status IN ('scheduled', 'running', 'delegated'))
 GROUP BY c.queue
 ORDER BY c.queue";

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
    let prefix = format!("{}/", scope.workspace_id());
    let rows = store.read("count what waits", SELECT, &binds![prefix.as_str(), now]).await?;
    rows.iter().map(|row| read(row, &prefix)).collect()
}

fn read(row: &Row, prefix: &str) -> Result<Backlog, StoreError> {
    let r = Reader::new("commands", row);
    Ok(Backlog {
        agent: r.parse("id", |queue: String| queue.strip_prefix(prefix)?.parse().ok())?,
        waiting: r.count("waiting")?,
        oldest_at: r.time("oldest_at")?,
    })
}

//! What waits and who could take it, over all workspaces, for the host's metrics. What is counted is
//! bounded, so that asking costs little however much there is.

use super::sessions::PATIENCE;
use super::sql::{Reader, Row, Tx, binds};
use super::view::View;
use super::write::WriteError;
use super::{Connections, Store, StoreError};
use crate::metrics::{Present, Workers};
use crate::model::definition::Priority;
use crate::model::time::Time;

/// How many commands of one queue and priority are counted.
const COMMANDS_MAX: u32 = 100_000;
/// How many events are counted.
const EVENTS_MAX: u32 = 10_000;

// Each queue is looked up in the index of what is pending, priority by priority. Its first command
// in line that is due stands for the oldest.
const SELECT_PENDING: &str = "\
SELECT CAST(p.priority AS bigint) AS priority,
       CAST(SUM((SELECT COUNT(*)
                   FROM (SELECT c.seq
                           FROM commands c
                          WHERE c.queue = q.id
                            AND c.priority = p.priority
                            AND c.state = 'pending'
                          LIMIT $2) AS found)) AS bigint) AS waiting,
       MIN((SELECT COALESCE(c.due_at, c.created_at)
              FROM commands c
             WHERE c.queue = q.id
               AND c.priority = p.priority
               AND c.state = 'pending'
               AND (c.due_at IS NULL OR c.due_at <= $1)
             ORDER BY COALESCE(c.due_at, c.created_at)
             LIMIT 1)) AS oldest_at
  FROM queues q
 CROSS JOIN (SELECT 1000 AS priority
              UNION ALL SELECT 750
              UNION ALL SELECT 500
              UNION ALL SELECT 250) AS p
 GROUP BY p.priority";

const SELECT_COUNTS: &str = "\
SELECT (SELECT COUNT(*)
          FROM (SELECT c.seq
                  FROM commands c
                 WHERE c.state = 'blocked'
                   AND c.class_id IS NOT NULL
                 LIMIT $1) AS found) AS blocked,
       (SELECT COUNT(*)
          FROM commands c
         WHERE c.state IN ('sent', 'acknowledged', 'running')
           AND c.class_id IS NOT NULL) AS active,
       (SELECT COUNT(*)
          FROM pauses) AS pauses,
       (SELECT COUNT(*)
          FROM gatherings
         WHERE place IS NOT NULL) AS deferred,
       (SELECT MIN(due_at)
          FROM schedules
         WHERE due_at IS NOT NULL) AS due_at";

const SELECT_INBOX: &str = "\
SELECT COUNT(*) AS waiting, MIN(received_at) AS oldest_at
  FROM (SELECT received_at
          FROM events
         WHERE activated_at IS NULL
         ORDER BY seq
         LIMIT $1) AS found";

const SELECT_WORKERS: &str = "\
SELECT health, approval, admin_state, COUNT(*) AS workers
  FROM workers
 GROUP BY health, approval, admin_state";

const SELECT_STUCK: &str = "\
SELECT state, COUNT(*) AS sessions
  FROM sessions
 WHERE lease_command_id IS NOT NULL
   AND state IN ('starting', 'stopping')
   AND state_at <= $1
 GROUP BY state";

/// What is so at `now`.
///
/// # Errors
/// When the store fails.
pub async fn figures(store: &Store, now: Time) -> Result<Present, StoreError> {
    store.view(Figures { now }).await
}

struct Figures {
    now: Time,
}

impl View for Figures {
    type Output = Present;
    const NAME: &'static str = "read_figures";

    async fn look(&self, tx: &mut Tx<'_>) -> Result<Present, WriteError> {
        let age = |at: Option<Time>| at.map(|at| self.now.since(at)).unwrap_or_default();
        let mut present = Present::default();

        let mut oldest: Option<Time> = None;
        for row in tx.rows(SELECT_PENDING, &binds![self.now, COMMANDS_MAX]).await? {
            let r = Reader::new("commands", &row);
            let priority = Priority::of_base(r.count("priority")?);
            present.pending.extend(priority.zip(Some(count(&r, "waiting")?)));
            oldest = oldest.into_iter().chain(r.time_if_any("oldest_at")?).min();
        }
        present.oldest_pending = age(oldest);

        if let Some(row) = tx.row(SELECT_COUNTS, &binds![COMMANDS_MAX]).await? {
            let r = Reader::new("commands", &row);
            present.blocked = count(&r, "blocked")?;
            present.active = count(&r, "active")?;
            present.pauses = count(&r, "pauses")?;
            present.deferred = count(&r, "deferred")?;
            present.overdue = age(r.time_if_any("due_at")?);
        }
        if let Some(row) = tx.row(SELECT_INBOX, &binds![EVENTS_MAX]).await? {
            let r = Reader::new("events", &row);
            present.inbox = count(&r, "waiting")?;
            present.oldest_event = age(r.time_if_any("oldest_at")?);
        }
        for row in tx.rows(SELECT_STUCK, &binds![self.now - PATIENCE]).await? {
            let r = Reader::new("sessions", &row);
            present.stuck.push((r.text("state")?, count(&r, "sessions")?));
        }
        let rows = tx.rows(SELECT_WORKERS, &[]).await?;
        present.workers = rows.iter().map(workers).collect::<Result<_, _>>()?;
        Ok(present)
    }
}

fn workers(row: &Row) -> Result<Workers, StoreError> {
    let r = Reader::new("workers", row);
    Ok(Workers {
        health: r.text("health")?,
        approval: r.text("approval")?,
        state: r.text("admin_state")?,
        count: count(&r, "workers")?,
    })
}

fn count(r: &Reader<'_>, column: &'static str) -> Result<u64, StoreError> {
    r.parse(column, |count: i64| u64::try_from(count).ok())
}

impl Store {
    /// How this process uses its connections at present.
    pub fn connections(&self) -> Connections {
        self.database.connections()
    }
}

//! The whole store, held against the invariants by plain SQL, and against what was seen of it.

use std::collections::{HashMap, HashSet};

use super::book::{Book, Violation};
use super::eye::Eye;

/// What may never be: each query finds the rows that break an invariant.
const NEVER: [(&str, &str); 14] = [
    (
        "one event makes at most one run per trigger",
        "SELECT event_id FROM runs WHERE event_id IS NOT NULL
          GROUP BY event_id, owner_id HAVING count(*) > 1",
    ),
    (
        "one fire makes at most one run",
        "SELECT fire_id FROM runs WHERE fire_id IS NOT NULL GROUP BY fire_id HAVING count(*) > 1",
    ),
    (
        "what was decided to fire has its run",
        "SELECT d.run_id FROM decisions d LEFT JOIN runs r ON r.id = d.run_id
          WHERE d.outcome = 'fired' AND r.id IS NULL",
    ),
    (
        "an activated event has its decisions",
        "SELECT e.id FROM events e
          WHERE e.activated_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.event_id = e.id)",
    ),
    (
        "what is held is in a gathering",
        "SELECT d.event_id FROM decisions d
          WHERE d.outcome = 'held'
            AND NOT EXISTS (SELECT 1 FROM gathered g JOIN gatherings h ON h.id = g.gathering_id
                             WHERE g.event_id = d.event_id AND h.trigger_id = d.trigger_id)",
    ),
    (
        "what is out has a worker, a lease and a token, and nothing else has a lease",
        "SELECT id FROM commands
          WHERE (state IN ('sent', 'acknowledged', 'running'))
             <> (worker_id IS NOT NULL AND token_hash IS NOT NULL
                 AND lease_expires_at IS NOT NULL)",
    ),
    (
        "no token is two commands'",
        "SELECT min(id) FROM commands WHERE token_hash IS NOT NULL
          GROUP BY token_hash HAVING count(*) > 1",
    ),
    (
        "never two commands of a session are out",
        "SELECT session_id FROM commands
          WHERE session_id IS NOT NULL AND state IN ('sent', 'acknowledged', 'running')
          GROUP BY session_id HAVING count(*) > 1",
    ),
    (
        "a session is held by the command that is out of it",
        "SELECT s.id FROM sessions s
           LEFT JOIN commands c ON c.session_id = s.id
                               AND c.state IN ('sent', 'acknowledged', 'running')
          WHERE coalesce(c.id, '') <> coalesce(s.lease_command_id, '')",
    ),
    (
        "a run and its attempts say the same",
        "SELECT r.id FROM runs r
           LEFT JOIN commands c ON c.run_id = r.id AND c.type = 'run'
                               AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged',
                                               'running')
          GROUP BY r.id, r.status
         HAVING (r.status IN ('scheduled', 'running')) <> (count(c.id) = 1)
             OR count(c.id) > 1
             OR (r.status = 'running') <> (coalesce(max(c.state), '') = 'running')",
    ),
    (
        "what has ended has an end, and nothing else has",
        "SELECT id FROM runs
          WHERE (status IN ('completed', 'failed', 'canceled')) <> (ended_at IS NOT NULL)
         UNION ALL
         SELECT id FROM commands
          WHERE (state IN ('completed', 'failed', 'canceled', 'expired'))
             <> (ended_at IS NOT NULL)
         UNION ALL
         SELECT id FROM tasks
          WHERE (status IN ('done', 'error', 'dropped', 'canceled')) <> (ended_at IS NOT NULL)",
    ),
    (
        "what was handed over to a task ends with it",
        "SELECT r.id FROM runs r JOIN tasks t ON t.id = r.task_id
          WHERE r.status = 'delegated'
            AND t.status NOT IN ('queued', 'running', 'waiting', 'sleeping')",
    ),
    (
        "nothing goes out more than three times",
        "SELECT id FROM commands WHERE dispatch_attempts NOT BETWEEN 0 AND 3",
    ),
    (
        "all of a run is in its workspace",
        "SELECT r.id FROM runs r
           JOIN commands c ON c.run_id = r.id
           LEFT JOIN events e ON e.id = r.event_id
           LEFT JOIN sessions s ON s.id = r.session_id
          WHERE c.workspace_id <> r.workspace_id
             OR coalesce(e.workspace_id, r.workspace_id) <> r.workspace_id
             OR coalesce(s.workspace_id, r.workspace_id) <> r.workspace_id",
    ),
];

/// What is to be brought to its end some time.
const OPEN: [(&str, &str); 9] = [
    ("an event waits", "SELECT id FROM events WHERE activated_at IS NULL"),
    ("a decision is held", "SELECT event_id FROM decisions WHERE outcome = 'held'"),
    ("a gathering waits", "SELECT id FROM gatherings"),
    ("a notice waits", "SELECT id FROM notices"),
    ("a run is open", "SELECT id FROM runs WHERE ended_at IS NULL"),
    ("a command is open", "SELECT id FROM commands WHERE ended_at IS NULL"),
    ("a task is open", "SELECT id FROM tasks WHERE ended_at IS NULL"),
    ("a session is held", "SELECT id FROM sessions WHERE lease_command_id IS NOT NULL"),
    (
        "an input got nowhere",
        "SELECT i.id FROM run_inputs i JOIN runs r ON r.id = i.into_run_id
          WHERE i.outcome = 'direct' AND i.delivered_at IS NULL AND r.status <> 'canceled'",
    ),
];

/// Holds everything against every invariant, and against what was seen.
pub(super) async fn check(eye: &mut Eye, book: &Book) -> Result<(), Violation> {
    never(eye, book).await?;
    agrees(eye, book).await
}

/// Holds everything against every invariant. A run that was removed when it was due is no loss.
pub(super) async fn never(eye: &mut Eye, book: &Book) -> Result<(), Violation> {
    let is_gone = |id: &Option<String>| id.as_ref().is_some_and(|id| book.gone.runs.contains(id));
    for (invariant, broken) in NEVER {
        let mut rows = eye.rows(broken).await;
        rows.retain(|row| !is_gone(&row[0]));
        if !rows.is_empty() {
            return Err(format!("{invariant}, but {rows:?}"));
        }
    }
    Ok(())
}

/// What is there is what was seen.
async fn agrees(eye: &mut Eye, book: &Book) -> Result<(), Violation> {
    for (table, column, seen) in book.everything() {
        let rows = eye.rows(&format!("SELECT id, {column} FROM {table}")).await;
        compare(table, rows, &seen)?;
    }
    Ok(())
}

/// The rows of a table are those that were seen, as they were seen.
fn compare(
    table: &str,
    rows: Vec<Vec<Option<String>>>,
    seen: &HashMap<&str, String>,
) -> Result<(), Violation> {
    for row in &rows {
        let (id, state) = (row[0].as_deref().unwrap(), row[1].as_deref().unwrap_or_default());
        let known = seen.get(id).map(String::as_str);
        if known != Some(state) {
            return Err(format!("{table}: {id} is `{state}`, and was seen as {known:?}"));
        }
    }
    if rows.len() != seen.len() {
        return Err(format!("{table}: {} were seen, and {} are there", seen.len(), rows.len()));
    }
    Ok(())
}

/// What has not ended, by what it is.
pub(super) async fn open(eye: &mut Eye) -> Vec<(&'static str, Vec<Vec<Option<String>>>)> {
    let mut open = vec![];
    for (what, query) in OPEN {
        let rows = eye.rows(query).await;
        if !rows.is_empty() {
            open.push((what, rows));
        }
    }
    open
}

/// How many of these events are not there.
pub(super) async fn missing(eye: &mut Eye, accepted: &[String]) -> u64 {
    let there: HashSet<String> = eye
        .rows("SELECT id FROM events")
        .await
        .into_iter()
        .filter_map(|mut it| it.remove(0))
        .collect();
    accepted.iter().filter(|id| !there.contains(*id)).count() as u64
}

/// All that came of it, row by row, as one text: the same for the same seed.
pub(super) async fn digest(eye: &mut Eye) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for query in [
        "SELECT id, CAST(activated_at AS TEXT), CAST(repeats AS TEXT) FROM events ORDER BY id",
        "SELECT event_id, trigger_id, outcome, run_id FROM decisions ORDER BY event_id, trigger_id",
        "SELECT id, status, CAST(attempt AS TEXT), error, CAST(ended_at AS TEXT) FROM runs ORDER BY id",
        "SELECT id, state, worker_id, CAST(ended_at AS TEXT), error FROM commands ORDER BY id",
        "SELECT id, status, run_id, error, CAST(ended_at AS TEXT) FROM tasks ORDER BY id",
        "SELECT id, outcome, into_run_id, CAST(delivered_at AS TEXT) FROM run_inputs ORDER BY id",
    ] {
        hash.update(format!("{:?}", eye.rows(query).await));
    }
    hex::encode(hash.finalize())
}

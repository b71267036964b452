//! Where a command stands in line, and what could keep it there.

use super::super::sql::{Reader, Row, Sql, binds};
use super::super::{Store, StoreError};
use crate::model::id::CommandId;
use crate::model::scope::Scope;
use crate::model::time::Time;

/// What can be said of a command that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its place in the order in which its agent's commands are claimed, counted from 1; none while
    /// it could not go out if a worker had room.
    pub position: Option<u32>,
    /// How many of its agent's commands are in that order.
    pub total: u32,
    /// Its score in that order; none while it is not in it, and for one that is aged.
    pub score: Option<i64>,
    /// Whether it waits for the run before it.
    pub behind_run: bool,
    /// Whether its session is busy.
    pub behind_session: bool,
    /// How many commands are out of its execution class.
    pub class_active: u32,
    /// How many of its lane.
    pub lane_active: u32,
    /// How many of its workspace.
    pub workspace_active: u32,
    /// How many of the whole host.
    pub host_active: u32,
    /// How many attempts of its class have failed in a row.
    pub failures: u32,
    /// When the last of them did.
    pub failed_at: Option<Time>,
    /// How long the class's recent commands took, in milliseconds; none when none has completed.
    pub mean_ms: Option<u64>,
}

/// The whole of it; `$greatest` is the dialect's word for the greater of two.
macro_rules! select {
    ($greatest:literal) => {
        concat!(
            "\
WITH active AS MATERIALIZED (
     SELECT class_id, lane, workspace_id
       FROM commands
      WHERE state IN ('sent', 'acknowledged', 'running')
        AND class_id IS NOT NULL),
     load AS MATERIALIZED (
     SELECT count(*) AS active
       FROM active
      WHERE workspace_id = $2),
     ranked AS MATERIALIZED (
     SELECT c.seq, coalesce(c.due_at, c.created_at) AS since, CASE WHEN ",
            aged!("$3"),
            " THEN 1 ELSE 0 END AS aged,
            ",
            score!($greatest, "$3", "$4", "l.active"),
            " AS score
       FROM commands own
       JOIN queues o ON o.id = own.queue
       JOIN queues q ON q.workspace_id = $2 AND q.agent = o.agent
       JOIN commands c ON c.queue = q.id
      CROSS JOIN load l
      WHERE own.id = $1
        AND c.state = 'pending'",
            ready!("$3"),
            ")
SELECT c.id, k.failures, k.failed_at,
       CASE WHEN ",
            unchained!(),
            " THEN 0 ELSE 1 END AS behind_run,
       CASE WHEN ",
            session_free!(),
            " THEN 0 ELSE 1 END AS behind_session,
       (SELECT count(*) FROM ranked) AS total,
       (SELECT CAST(me.score AS bigint)
          FROM ranked me
         WHERE me.seq = c.seq
           AND me.aged = 0) AS score,
       (SELECT count(*)
          FROM ranked me
          JOIN ranked r ON (r.aged, r.score, -r.since, -r.seq)
                          >= (me.aged, me.score, -me.since, -me.seq)
         WHERE me.seq = c.seq) AS position,
       (SELECT count(*) FROM active a WHERE a.class_id = c.class_id) AS class_active,
       (SELECT count(*) FROM active a WHERE a.lane = c.lane) AS lane_active,
       (SELECT active FROM load) AS workspace_active,
       (SELECT count(*) FROM active) AS host_active,
       (SELECT CAST(avg(took) AS bigint)
          FROM (SELECT past.ended_at - past.started_at AS took
                  FROM commands past
                 WHERE past.class_id = c.class_id
                   AND past.state = 'completed'
                 ORDER BY past.ended_at DESC
                 LIMIT 50) AS recent) AS mean_ms
  FROM commands c
  JOIN classes k ON k.id = c.class_id
 WHERE c.id = $1
   AND c.workspace_id = $2"
        )
    };
}

const SELECT: Sql = Sql { sqlite: select!("max"), postgres: select!("greatest") };

/// Where a command stands; `bonus` is what its workspace's plan adds to its score. None when there is
/// no such command, or it is a word to one worker.
///
/// # Errors
/// When the store fails.
pub async fn standing(
    store: &Store,
    scope: &Scope,
    id: &CommandId,
    bonus: i64,
    now: Time,
) -> Result<Option<Standing>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id(), now, bonus];
    let rows = store.read("read_queue_position", SELECT, &binds).await?;
    rows.first().map(read).transpose()
}

fn read(row: &Row) -> Result<Standing, StoreError> {
    let r = Reader::new("commands", row);
    Ok(Standing {
        position: Some(r.count("position")?).filter(|position| *position > 0),
        total: r.count("total")?,
        score: r.get("score")?,
        behind_run: r.get::<i32>("behind_run")? != 0,
        behind_session: r.get::<i32>("behind_session")? != 0,
        class_active: r.count("class_active")?,
        lane_active: r.count("lane_active")?,
        workspace_active: r.count("workspace_active")?,
        host_active: r.count("host_active")?,
        failures: r.count("failures")?,
        failed_at: r.time_if_any("failed_at")?,
        mean_ms: r.parse("mean_ms", |ms: Option<i64>| match ms {
            Some(ms) => u64::try_from(ms).ok().map(Some),
            None => Some(None),
        })?,
    })
}

//! Claiming: the best pending command for a worker with room.
//!
//! Of the commands of one queue and one priority, the best is always the one that has waited longest:
//! a claim looks at those heads only, gives each its score of this very moment ([`crate::model::queue`]),
//! and takes the best. So it costs the same however many wait behind them.

use serde_json::{Value, json};

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, events, sessions, tally};
use super::insert::control_queue;
use crate::metrics::Fact;
use crate::model::command::{Attempt, Charge, Claim, CommandType, LEASE, TOKEN_LIFE, Token};
use crate::model::id::{CommandId, WorkerId};
use crate::model::queue::{Breaker, Queue};
use crate::model::run::{Owner, Terms};
use crate::model::time::Time;

/// A queue that a worker may be given commands of, with its limits: how many commands may be out at
/// once of its execution class, its lane and its workspace. An absent limit is none.
#[derive(Clone, Debug)]
pub struct ClaimableQueue {
    /// The queue.
    pub queue: Queue,
    /// Of its execution class.
    pub class_max: Option<u32>,
    /// Of its lane.
    pub lane_max: Option<u32>,
    /// Of its workspace.
    pub workspace_max: Option<u32>,
    /// What the workspace's plan adds to its commands' score.
    pub bonus: i64,
    /// When its execution class is left alone.
    pub breaker: Breaker,
}

/// A worker with room.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The worker.
    pub worker_id: WorkerId,
    /// The queues it may be given commands of, as places in the claim's lots.
    pub lots: Vec<usize>,
    /// How many commands it takes at once.
    pub capacity: u32,
    /// How many it has.
    pub active: u32,
    /// Whether it has been silent for so long that it comes after all others.
    pub degraded: bool,
}

/// The lots that something may be claimed of, with how much of their workspace is out.
macro_rules! open_lots {
    () => {
        concat!(
            "     active AS MATERIALIZED (
     SELECT class_id, lane, workspace_id, sent_at
       FROM commands
      WHERE state IN ('sent', 'acknowledged', 'running')
        AND class_id IS NOT NULL),
     open AS MATERIALIZED (
     SELECT l.queue, l.bonus,
            (SELECT count(*) FROM active a WHERE a.workspace_id = l.workspace_id) AS active
       FROM lots l
       JOIN classes k ON k.id = l.class_id
      WHERE NOT ",
            paused!("l.workspace_id"),
            "
        AND (l.class_max IS NULL
             OR (SELECT count(*) FROM active a WHERE a.class_id = l.class_id) < l.class_max)
        AND (l.lane_max IS NULL
             OR (SELECT count(*) FROM active a WHERE a.lane = l.lane) < l.lane_max)
        AND (l.workspace_max IS NULL
             OR (SELECT count(*) FROM active a WHERE a.workspace_id = l.workspace_id)
                < l.workspace_max)
        AND (k.failures < l.failures_max
             OR (k.failed_at + l.cooldown <= $2
                 AND NOT EXISTS (SELECT 1 FROM active a
                                  WHERE a.class_id = l.class_id
                                    AND a.sent_at >= k.failed_at)))),
"
        )
    };
}

/// Leases the best one out.
macro_rules! take_best {
    () => {
        "UPDATE commands
   SET state = 'sent', worker_id = $3, token_hash = $4, token_prefix = $5, token_expires_at = $6,
       lease_expires_at = $7, sent_at = $2, dispatch_attempts = dispatch_attempts + 1,
       dispatches = dispatches + 1, log_lines = 0, events = 0
 WHERE seq = (SELECT seq FROM best)
   AND state = 'pending'
RETURNING id, type, run_id, attempt, dispatches, prompt, control, session_id"
    };
}

// The heads of each queue and priority, of which the best is taken. What has waited for something
// else than a worker may have longer than its row says: the sweep decides. The state is looked at
// again by the update: somebody may have called it off meanwhile.
const CLAIM: Sql = Sql {
    sqlite: concat!(
        "\
WITH lots AS MATERIALIZED (
     SELECT value ->> '$.queue' AS queue, value ->> '$.class_id' AS class_id,
            value ->> '$.workspace_id' AS workspace_id, value ->> '$.lane' AS lane,
            value ->> '$.class_max' AS class_max, value ->> '$.lane_max' AS lane_max,
            value ->> '$.workspace_max' AS workspace_max, value ->> '$.bonus' AS bonus,
            value ->> '$.failures_max' AS failures_max, value ->> '$.cooldown' AS cooldown
       FROM json_each($1)),
",
        open_lots!(),
        "     heads AS MATERIALIZED (
     SELECT o.bonus, o.active,
            (SELECT c.seq
               FROM commands c
              WHERE c.queue = o.queue
                AND c.priority = base.column1
                AND c.state = 'pending'
                AND (c.expires_at > $2 OR c.expires_at IS NULL
                     OR c.after_run_id IS NOT NULL OR c.session_id IS NOT NULL)",
        ready!("$2"),
        "
              ORDER BY coalesce(c.due_at, c.created_at), c.seq
              LIMIT 1) AS seq
       FROM open o
       JOIN (VALUES (1000), (750), (500), (250)) AS base),
     best AS (
     SELECT c.seq
       FROM heads h
       JOIN commands c ON c.seq = h.seq
      ORDER BY ",
        aged!("$2"),
        " DESC,
               ",
        score!("max", "$2", "h.bonus", "h.active"),
        " DESC,
               coalesce(c.due_at, c.created_at),
               c.seq
      LIMIT 1)
",
        take_best!(),
    ),
    postgres: concat!(
        "\
WITH lots AS MATERIALIZED (
     SELECT queue, class_id, workspace_id, lane, class_max, lane_max, workspace_max, bonus,
            failures_max, cooldown
       FROM json_to_recordset($1::json)
         AS l (queue text, class_id text, workspace_id text, lane text, class_max bigint,
               lane_max bigint, workspace_max bigint, bonus bigint, failures_max bigint,
               cooldown bigint)),
",
        open_lots!(),
        "     heads AS MATERIALIZED (
     SELECT o.bonus, o.active, head.seq
       FROM open o
       JOIN (VALUES (1000), (750), (500), (250)) AS base (points) ON true
       JOIN LATERAL
            (SELECT c.seq
               FROM commands c
              WHERE c.queue = o.queue
                AND c.priority = base.points
                AND c.state = 'pending'
                AND (c.expires_at > $2 OR c.expires_at IS NULL
                     OR c.after_run_id IS NOT NULL OR c.session_id IS NOT NULL)",
        ready!("$2"),
        "
              ORDER BY coalesce(c.due_at, c.created_at), c.seq
              LIMIT 1
                FOR UPDATE OF c SKIP LOCKED) AS head ON true),
     best AS (
     SELECT c.seq
       FROM heads h
       JOIN commands c ON c.seq = h.seq
      ORDER BY ",
        aged!("$2"),
        " DESC,
               ",
        score!("greatest", "$2", "h.bonus", "h.active"),
        " DESC,
               coalesce(c.due_at, c.created_at),
               c.seq
      LIMIT 1)
",
        take_best!(),
    ),
};

const CLAIM_CONTROL: Sql = Sql {
    sqlite: "\
UPDATE commands
   SET state = 'sent', worker_id = $3, token_hash = $4, token_prefix = $5, token_expires_at = $6,
       lease_expires_at = $7, sent_at = $2, dispatch_attempts = dispatch_attempts + 1
 WHERE seq = (SELECT c.seq
                FROM commands c
               WHERE c.queue = $1
                 AND c.priority = 1000
                 AND c.state = 'pending'
                 AND c.expires_at > $2
               ORDER BY c.seq
               LIMIT 1)
   AND state = 'pending'
RETURNING id, type, run_id, attempt, dispatches, prompt, control, session_id",
    postgres: "\
UPDATE commands
   SET state = 'sent', worker_id = $3, token_hash = $4, token_prefix = $5, token_expires_at = $6,
       lease_expires_at = $7, sent_at = $2, dispatch_attempts = dispatch_attempts + 1
 WHERE seq = (SELECT c.seq
                FROM commands c
               WHERE c.queue = $1
                 AND c.priority = 1000
                 AND c.state = 'pending'
                 AND c.expires_at > $2
               ORDER BY c.seq
               LIMIT 1
                 FOR UPDATE SKIP LOCKED)
   AND state = 'pending'
RETURNING id, type, run_id, attempt, dispatches, prompt, control, session_id",
};

// Claimants on PostgreSQL count one after the other; SQLite has one writer.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('commands'))::text AS locked";

const COUNT_ACTIVE: &str = "\
SELECT count(*) AS active
  FROM commands
 WHERE state IN ('sent', 'acknowledged', 'running')
   AND class_id IS NOT NULL";

const SELECT_WORDS: &str = "\
SELECT DISTINCT queue
  FROM commands
 WHERE state = 'pending'
   AND type <> 'run'";

const SELECT_RUN: &str = "\
SELECT id, workspace_id, owner_kind, owner_id, owner_name, agent, prompt, terms
  FROM runs
 WHERE id = $1";

/// Gives each of these workers one command after the other, the least loaded first, while it has
/// room and something of its lots is ready, while less than `active_max` are out on the whole host,
/// and while there are tokens. Each gets a lease from `now`. No two claims get the same one.
///
/// # Errors
/// When the store fails.
pub async fn claim(
    store: &Store,
    seats: Vec<Claimant>,
    lots: &[ClaimableQueue],
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
) -> Result<Vec<Claim>, StoreError> {
    let lots = lots.iter().map(row).collect();
    store.write(ClaimBest { seats, lots, tokens, active_max, now }).await
}

/// The workers for whom words wait.
///
/// # Errors
/// When the store fails.
pub async fn addressees(store: &Store) -> Result<Vec<WorkerId>, StoreError> {
    let rows = store.read("find_control_commands", SELECT_WORDS, &[]).await?;
    let worker = |row: &Row| {
        let r = Reader::new("commands", row);
        r.parse("queue", |queue: String| queue.strip_prefix("worker/")?.parse().ok())
    };
    rows.iter().map(worker).collect()
}

/// Gives a worker the words that wait for it, while there are tokens.
///
/// # Errors
/// When the store fails.
pub async fn claim_control(
    store: &Store,
    worker_id: &WorkerId,
    tokens: Vec<Token>,
    now: Time,
) -> Result<Vec<Claim>, StoreError> {
    store.write(ClaimControl { worker_id: worker_id.clone(), tokens, now }).await
}

fn row(lot: &ClaimableQueue) -> Value {
    let Queue { id, class_id, scope, agent, lane, .. } = &lot.queue;
    let workspace = scope.workspace_id();
    json!({
        "queue": id,
        "class_id": class_id,
        "workspace_id": workspace,
        "lane": lane.as_ref().map(|lane| format!("{workspace}/{agent}/{lane}")),
        "class_max": lot.class_max,
        "lane_max": lot.lane_max,
        "workspace_max": lot.workspace_max,
        "bonus": lot.bonus,
        "failures_max": lot.breaker.failures,
        "cooldown": u64::try_from(lot.breaker.cooldown.as_millis()).unwrap_or(u64::MAX),
    })
}

struct ClaimBest {
    seats: Vec<Claimant>,
    lots: Vec<Value>,
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
}

impl Write for ClaimBest {
    type Output = Vec<Claim>;
    const NAME: &'static str = "claim_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Claim>, WriteError> {
        let room = self.room(tx).await?;
        let mut seats: Vec<Claimant> = self.seats.clone();
        let tokens = self.tokens.get(..room.min(self.tokens.len())).unwrap_or_default();
        let mut claims = Vec::new();
        // The least loaded of those that are not degraded; of those, the first.
        let load =
            |seat: &&mut Claimant| (seat.degraded, (seat.active * 1000) / seat.capacity.max(1));
        while let Some(seat) =
            seats.iter_mut().filter(|seat| seat.active < seat.capacity).min_by_key(load)
        {
            let lots: Value =
                seat.lots.iter().filter_map(|lot| self.lots.get(*lot)).cloned().collect();
            let Some(token) = tokens.get(claims.len()) else { break };
            let found =
                take(tx, CLAIM, &lots.to_string(), &seat.worker_id, token, self.now).await?;
            match found {
                Some(claim) => {
                    seat.active += 1;
                    claims.push(claim);
                }
                // What has nothing ready for one has nothing for the others.
                None => {
                    let barren = std::mem::take(&mut seat.lots);
                    for seat in &mut seats {
                        seat.lots.retain(|lot| !barren.contains(lot));
                    }
                    seats.retain(|seat| !seat.lots.is_empty());
                }
            }
        }
        Ok(claims)
    }
}

impl ClaimBest {
    /// How many commands may still be out beside those that are.
    async fn room(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        if let Tx::Postgres(_) = tx {
            tx.row(LOCK, &[]).await?;
        }
        let active = tx.row(COUNT_ACTIVE, &[]).await?.ok_or(sqlx::Error::RowNotFound)?;
        let active: i64 = Reader::new("commands", &active).get("active")?;
        Ok(usize::try_from(i64::from(self.active_max) - active).unwrap_or(0))
    }
}

struct ClaimControl {
    worker_id: WorkerId,
    tokens: Vec<Token>,
    now: Time,
}

impl Write for ClaimControl {
    type Output = Vec<Claim>;
    const NAME: &'static str = "claim_control_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Claim>, WriteError> {
        let queue = control_queue(&self.worker_id);
        let mut claims = Vec::new();
        for token in &self.tokens {
            let taken = take(tx, CLAIM_CONTROL, &queue, &self.worker_id, token, self.now).await?;
            match taken {
                Some(claim) => claims.push(claim),
                None => break,
            }
        }
        Ok(claims)
    }
}

/// Takes the command that `sql` chooses from `source`.
async fn take(
    tx: &mut Tx<'_>,
    sql: Sql,
    source: &str,
    worker: &WorkerId,
    token: &Token,
    now: Time,
) -> Result<Option<Claim>, WriteError> {
    let binds = binds![
        source,
        now,
        worker.as_str(),
        token.hash(),
        token.prefix(),
        now + TOKEN_LIFE,
        now + LEASE,
    ];
    let Some(row) = tx.row(sql, &binds).await? else { return Ok(None) };
    let r = Reader::new("commands", &row);
    let id: CommandId = r.text("id")?;
    if let Some(session) = r.get::<Option<String>>("session_id")? {
        sessions::take(tx, &session, worker, &id, now + LEASE, now).await?;
    }
    let of = r.text("type")?;
    let charge = match of {
        CommandType::Run => Charge::Run(Box::new(attempt(tx, &r).await?)),
        _ => Charge::Control(r.json("control")?),
    };
    tally::note(Fact::CommandsClaimed { of, count: 1 });
    Ok(Some(Claim { id, worker_id: worker.clone(), token: token.clone(), charge }))
}

async fn attempt(tx: &mut Tx<'_>, command: &Reader<'_>) -> Result<Attempt, WriteError> {
    let run_id: String = command.get("run_id")?;
    let row: Row = tx.row(SELECT_RUN, &binds![run_id]).await?.ok_or(sqlx::Error::RowNotFound)?;
    let r = Reader::new("runs", &row);
    let own: Option<String> = command.get("prompt")?;
    let terms: Terms = r.json("terms")?;
    let owner: Owner = super::super::runs::read_owner(&r)?;
    Ok(Attempt {
        run_id: r.text("id")?,
        scope: events::read_scope(&r)?,
        agent: r.text("agent")?,
        prompt: own.map_or_else(|| r.get("prompt"), Ok)?,
        attempt: command.count("attempt")?,
        dispatch: command.count("dispatches")?,
        task_id: owner.task_id().cloned(),
        terms,
    })
}

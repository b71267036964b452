//! Claiming: pending commands for a worker with room.

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, events};
use super::queue_of;
use crate::model::command::{Claim, LEASE, Token};
use crate::model::definition::Agent;
use crate::model::id::WorkerId;
use crate::model::time::Time;

// SKIP LOCKED keeps claimants on PostgreSQL apart; SQLite has one writer. What waits for a run waits
// for all that are older, too: when one in the middle of a chain is called off, the one behind it must
// not overtake the head.
const SELECT_CLAIMABLE: Sql = Sql {
    sqlite: "\
SELECT c.id, c.run_id, c.attempt, r.workspace_id, r.agent, r.prompt
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.state = 'pending'
   AND c.queue IN (SELECT value FROM json_each($1))
   AND (c.due_at IS NULL OR c.due_at <= $3)
   AND NOT EXISTS (SELECT 1
                     FROM runs previous
                     JOIN runs earlier ON earlier.owner_id = previous.owner_id
                    WHERE previous.id = c.after_run_id
                      AND earlier.seq <= previous.seq
                      AND earlier.status IN ('scheduled', 'running', 'delegated'))
 ORDER BY c.priority DESC, c.seq
 LIMIT $2",
    postgres: "\
SELECT c.id, c.run_id, c.attempt, r.workspace_id, r.agent, r.prompt
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.state = 'pending'
   AND c.queue IN (SELECT json_array_elements_text($1::json))
   AND (c.due_at IS NULL OR c.due_at <= $3)
   AND NOT EXISTS (SELECT 1
                     FROM runs previous
                     JOIN runs earlier ON earlier.owner_id = previous.owner_id
                    WHERE previous.id = c.after_run_id
                      AND earlier.seq <= previous.seq
                      AND earlier.status IN ('scheduled', 'running', 'delegated'))
 ORDER BY c.priority DESC, c.seq
 LIMIT $2
   FOR UPDATE OF c SKIP LOCKED",
};

// Claimants on PostgreSQL count one after the other; SQLite has one writer.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('commands'))::text AS locked";

const COUNT_ACTIVE: &str = "\
SELECT count(*) AS active
  FROM commands
 WHERE lease_expires_at IS NOT NULL";

const LEASE_OUT: &str = "\
UPDATE commands
   SET state = 'sent', worker_id = $2, token_hash = $3, lease_expires_at = $4,
       dispatch_attempts = dispatch_attempts + 1, log_lines = 0
 WHERE id = $1
   AND state = 'pending'";

/// Gives `worker` the most urgent, then oldest, pending commands of these agents, as many as there
/// are tokens and while less than `active_max` are out on the whole host, each with a lease from
/// `now`. No two claims get the same one.
///
/// # Errors
/// When the store fails.
pub async fn claim(
    store: &Store,
    worker: &WorkerId,
    agents: &[Agent],
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
) -> Result<Vec<Claim>, StoreError> {
    let queues: Vec<String> = agents.iter().map(queue_of).collect();
    let queues = serde_json::Value::from(queues).to_string();
    store.write(ClaimNext { worker: worker.clone(), queues, tokens, active_max, now }).await
}

struct ClaimNext {
    worker: WorkerId,
    queues: String,
    tokens: Vec<Token>,
    active_max: u32,
    now: Time,
}

impl Write for ClaimNext {
    type Output = Vec<Claim>;
    const DOING: &'static str = "claim commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<Claim>, WriteError> {
        let room = i64::try_from(self.tokens.len()).unwrap_or(i64::MAX).min(self.room(tx).await?);
        let rows = tx.rows(SELECT_CLAIMABLE, &binds![self.queues.as_str(), room, self.now]).await?;
        let mut claims = Vec::with_capacity(rows.len());
        for (row, token) in rows.iter().zip(&self.tokens) {
            let claim = read_claim(row, token.clone())?;
            let binds =
                binds![claim.id.as_str(), self.worker.as_str(), token.hash(), self.now + LEASE];
            tx.execute(LEASE_OUT, &binds).await?;
            claims.push(claim);
        }
        Ok(claims)
    }
}

impl ClaimNext {
    /// How many commands may still be out beside those that are.
    async fn room(&self, tx: &mut Tx<'_>) -> Result<i64, WriteError> {
        if let Tx::Postgres(_) = tx {
            tx.row(LOCK, &[]).await?;
        }
        let active = tx.row(COUNT_ACTIVE, &[]).await?.ok_or(sqlx::Error::RowNotFound)?;
        let active: i64 = Reader::new("commands", &active).get("active")?;
        Ok((i64::from(self.active_max) - active).max(0))
    }
}

fn read_claim(row: &Row, token: Token) -> Result<Claim, StoreError> {
    let r = Reader::new("commands", row);
    Ok(Claim {
        id: r.text("id")?,
        run_id: r.text("run_id")?,
        scope: events::read_scope(&r)?,
        agent: r.text("agent")?,
        prompt: r.get("prompt")?,
        attempt: r.count("attempt")?,
        token,
    })
}

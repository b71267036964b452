//! Instants that a clock far ahead has left behind: found by when they were written, and put right.
//!
//! Most rows say when they were written beside what is due. What was written later than any right
//! clock says it is ([`SKEW`]) was written by a wrong one: it is taken for written now, and what is due
//! stays as far away as it was meant to be. Another host's clock may differ by a few seconds; that is
//! nothing wrong. What lies in the past is never touched, nor an instant that a person named.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sql::{Bind, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::command::{LEASE, TOKEN_LIFE};
use crate::model::time::{SKEW, Time};

/// Rows that are looked through at each look: there are few of them, or an index finds them.
struct Rule {
    /// What they are, in the plural.
    what: &'static str,
    sql: &'static str,
    /// How far ahead they may be.
    may: Duration,
}

/// Rows that are many: the newest are looked at first, outside of the writer.
struct Wide {
    what: &'static str,
    look: &'static str,
    sql: &'static str,
}

const fn rule(what: &'static str, sql: &'static str) -> Rule {
    Rule { what, sql, may: Duration::ZERO }
}

/// In each, `$1` is the latest that something may be, and `$2` the latest that it can be by a right
/// clock.
const RULES: [Rule; 17] = [
    rule(
        "definitions",
        "\
UPDATE definitions
   SET created_at = $1
 WHERE created_at > $2",
    ),
    rule(
        "anchors",
        "\
UPDATE schedules
   SET anchored_at = $1
 WHERE anchored_at > $2",
    ),
    rule(
        "sources",
        "\
UPDATE source_states
   SET next_at = CASE WHEN next_at > COALESCE(set_at, last_at)
                      THEN $1 + next_at - COALESCE(set_at, last_at)
                      WHEN next_at > $1 THEN $1
                      ELSE next_at END,
       last_at = CASE WHEN last_at > $1 THEN $1 ELSE last_at END,
       set_at = $1
 WHERE set_at > $2
    OR last_at > $2",
    ),
    rule(
        "gatherings",
        "\
UPDATE gatherings
   SET due_at = CASE WHEN due_at > COALESCE(set_at, first_at)
                     THEN $1 + due_at - COALESCE(set_at, first_at)
                     WHEN due_at > $1 THEN $1
                     ELSE due_at END,
       first_at = CASE WHEN first_at > $1 THEN $1 ELSE first_at END,
       set_at = $1
 WHERE set_at > $2
    OR first_at > $2",
    ),
    // Before the commands that say when they are due.
    rule(
        "retries",
        "\
UPDATE runs
   SET due_at = (SELECT CASE WHEN c.due_at > c.created_at THEN $1 + c.due_at - c.created_at
                             ELSE $1 END
                   FROM commands c
                  WHERE c.run_id = runs.id
                    AND c.expires_at IS NOT NULL
                    AND c.state IN ('pending', 'blocked')
                    AND c.attempt > 1
                    AND c.created_at > $2
                  ORDER BY c.seq DESC
                  LIMIT 1)
 WHERE due_at IS NOT NULL
   AND id IN (SELECT c.run_id
                FROM commands c
               WHERE c.expires_at IS NOT NULL
                 AND c.state IN ('pending', 'blocked')
                 AND c.attempt > 1
                 AND c.due_at IS NOT NULL
                 AND c.created_at > $2)",
    ),
    // A first attempt that has a due time has it from a person.
    rule(
        "commands",
        "\
UPDATE commands
   SET due_at = CASE WHEN attempt = 1 OR due_at IS NULL THEN due_at
                     WHEN due_at > created_at THEN $1 + due_at - created_at
                     ELSE $1 END,
       expires_at = CASE WHEN queue_timeout_ms = 0 THEN expires_at
                         WHEN attempt = 1 AND due_at IS NOT NULL THEN expires_at
                         WHEN expires_at > created_at THEN $1 + expires_at - created_at
                         ELSE $1 END,
       created_at = $1
 WHERE expires_at IS NOT NULL
   AND state IN ('pending', 'blocked')
   AND created_at > $2",
    ),
    Rule {
        what: "leases",
        sql: "\
UPDATE commands
   SET lease_expires_at = $1
 WHERE lease_expires_at > $2",
        may: LEASE,
    },
    rule(
        "commands_out",
        "\
UPDATE commands
   SET sent_at = CASE WHEN sent_at > $1 THEN $1 ELSE sent_at END,
       acknowledged_at = CASE WHEN acknowledged_at > $1 THEN $1 ELSE acknowledged_at END,
       started_at = CASE WHEN started_at > $1 THEN $1 ELSE started_at END
 WHERE lease_expires_at IS NOT NULL
   AND (sent_at > $2 OR acknowledged_at > $2 OR started_at > $2)",
    ),
    Rule {
        what: "command_tokens",
        sql: "\
UPDATE commands
   SET token_expires_at = $1
 WHERE token_expires_at > $2
   AND (lease_expires_at IS NOT NULL OR (token_hash IS NOT NULL AND ended_at IS NOT NULL))",
        may: TOKEN_LIFE,
    },
    Rule {
        what: "session_leases",
        sql: "\
UPDATE sessions
   SET lease_expires_at = $1
 WHERE lease_command_id IS NOT NULL
   AND lease_expires_at > $2",
        may: LEASE,
    },
    rule(
        "sessions",
        "\
UPDATE sessions
   SET state_at = $1
 WHERE state_at > $2",
    ),
    rule(
        "workers",
        "\
UPDATE workers
   SET last_heartbeat_at = $1
 WHERE last_heartbeat_at > $2",
    ),
    rule(
        "classes",
        "\
UPDATE classes
   SET failed_at = $1
 WHERE failed_at > $2",
    ),
    rule(
        "bootstrap_tokens",
        "\
UPDATE bootstrap_tokens
   SET expires_at = $1 + expires_at - created_at, created_at = $1
 WHERE created_at > $2",
    ),
    rule(
        "pauses",
        "\
UPDATE pauses
   SET paused_at = $1
 WHERE paused_at > $2",
    ),
    rule(
        "inputs",
        "\
UPDATE run_inputs
   SET created_at = $1
 WHERE idempotency_key IS NOT NULL
   AND created_at > $2",
    ),
    rule(
        "tasks",
        "\
UPDATE tasks
   SET created_at = CASE WHEN created_at > $1 THEN $1 ELSE created_at END,
       started_at = CASE WHEN started_at > $1 THEN $1 ELSE started_at END,
       ended_at = $1
 WHERE ended_at > $2",
    ),
];

/// In each, `$1` is the latest by a right clock, or now and that.
const WIDE: [Wide; 2] = [
    Wide {
        what: "events",
        look: "\
SELECT count(*) AS ahead
  FROM (SELECT received_at
          FROM events
         ORDER BY seq DESC
         LIMIT 10000) AS newest
 WHERE received_at > $1",
        sql: "\
UPDATE events
   SET received_at = $1
 WHERE received_at > $2",
    },
    // What a fire limit counts, and what retention goes by.
    Wide {
        what: "runs",
        look: "\
SELECT (SELECT count(*) FROM runs WHERE created_at > $1)
     + (SELECT count(*) FROM runs WHERE ended_at > $1) AS ahead",
        sql: "\
UPDATE runs
   SET created_at = CASE WHEN created_at > $1 THEN $1 ELSE created_at END,
       started_at = CASE WHEN started_at > $1 THEN $1 ELSE started_at END,
       ended_at = CASE WHEN ended_at > $1 THEN $1 ELSE ended_at END
 WHERE created_at > $2
    OR ended_at > $2",
    },
];

/// Puts right what was written by a clock far ahead, but for jobs' cursors, which their schedules
/// decide on. Counts what it was, by what it is.
///
/// # Errors
/// When the store fails; what was put right before stays so.
pub async fn put_right(
    store: &Store,
    now: Time,
) -> Result<BTreeMap<&'static str, u64>, StoreError> {
    let mut right = store.write(PutRight { now }).await?;
    for Wide { what, look, sql } in &WIDE {
        let rows = store.read("detect_wrong_clock", *look, &binds![now + SKEW]).await?;
        let any = rows.iter().any(|row| row.get::<i64>("ahead").is_ok_and(|ahead| ahead > 0));
        if any {
            right.insert(*what, store.write(PutAllRight { sql, now }).await?);
        }
    }
    right.retain(|_, count| *count > 0);
    Ok(right)
}

struct PutRight {
    now: Time,
}

impl Write for PutRight {
    type Output = BTreeMap<&'static str, u64>;
    const NAME: &'static str = "repair_timestamps";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let mut right = BTreeMap::new();
        for Rule { what, sql, may } in &RULES {
            right.insert(*what, tx.execute(*sql, &bounds(self.now + *may)).await?);
        }
        Ok(right)
    }
}

struct PutAllRight {
    sql: &'static str,
    now: Time,
}

impl Write for PutAllRight {
    type Output = u64;
    const NAME: &'static str = "repair_timestamps_in_bulk";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<u64, WriteError> {
        Ok(tx.execute(self.sql, &bounds(self.now)).await?)
    }
}

/// The latest that something may be, and the latest by a right clock.
fn bounds(latest: Time) -> [Bind; 2] {
    binds![latest, latest + SKEW]
}

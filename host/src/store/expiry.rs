//! What has a time, and is past it: tokens, and what things are recognised by when they come again.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sql::{Reader, Sql, Tx, binds};
use super::view::View;
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::time::Time;

/// How long what comes again is recognised: a delivery at least, and what is asked under an
/// idempotency key, from when the task, or the run that was told something, has ended.
pub const RECOGNISED: Duration = Duration::from_secs(24 * 60 * 60);
/// How many rows of each go in one transaction.
const BATCH: u32 = 1000;

/// How many of each were removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Tokens with which workers register.
    pub bootstrap_tokens: u64,
    /// What is left of the tokens of commands that have ended.
    pub command_tokens: u64,
    /// What deliveries are recognised by, of events that are gone.
    pub identities: u64,
    /// Keys of tasks and inputs.
    pub idempotency_keys: u64,
}

impl Expired {
    /// Each with its name.
    pub fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("bootstrap_tokens", self.bootstrap_tokens),
            ("command_tokens", self.command_tokens),
            ("identities", self.identities),
            ("idempotency_keys", self.idempotency_keys),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.counts().into_iter().filter(|(_, count)| *count > 0);
        let some: Vec<String> =
            some.map(|(name, count)| format!("{} {count}", name.replace('_', " "))).collect();
        f.write_str(if some.is_empty() { "nothing" } else { "" })?;
        f.write_str(&some.join(", "))
    }
}

impl AddAssign for Expired {
    fn add_assign(&mut self, other: Self) {
        self.bootstrap_tokens += other.bootstrap_tokens;
        self.command_tokens += other.command_tokens;
        self.identities += other.identities;
        self.idempotency_keys += other.idempotency_keys;
    }
}

/// Rows that are past their time at `$1`, and what becomes of them.
struct Rule {
    remove: Sql,
    count: Sql,
}

/// What is done to so many rows of a table, known by a column, and which.
macro_rules! rule {
    ($do:literal, $key:literal, $which:literal) => {
        Rule {
            remove: Sql {
                sqlite: concat!($do, " WHERE ", $key, " IN (SELECT ", $key, $which, " LIMIT $2)"),
                // Whoever has one of them in hand keeps it.
                postgres: concat!(
                    $do,
                    " WHERE ",
                    $key,
                    " IN (SELECT ",
                    $key,
                    $which,
                    " LIMIT $2 FOR UPDATE SKIP LOCKED)"
                ),
            },
            count: Sql {
                sqlite: concat!("SELECT count(*) AS counted", $which),
                postgres: concat!("SELECT count(*) AS counted", $which),
            },
        }
    };
}

const BOOTSTRAP_TOKENS: Rule =
    rule!("DELETE FROM bootstrap_tokens", "id", " FROM bootstrap_tokens WHERE expires_at <= $1");

const COMMAND_TOKENS: Rule = rule!(
    "UPDATE commands SET token_hash = NULL, token_prefix = NULL, token_expires_at = NULL",
    "id",
    " FROM commands
  WHERE token_hash IS NOT NULL
    AND ended_at IS NOT NULL
    AND token_expires_at <= $1"
);

// They go with their events. These are older than every event, so theirs are gone.
const IDENTITIES: Rule = rule!(
    "DELETE FROM dedupe",
    "identity",
    " FROM dedupe
  WHERE event_seq < coalesce((SELECT min(seq) FROM events), 9223372036854775807)
    AND seen_at <= $1"
);

const TASK_KEYS: Rule = rule!(
    "UPDATE tasks SET idempotency_key = NULL, body_hash = NULL",
    "id",
    " FROM tasks
  WHERE idempotency_key IS NOT NULL
    AND ended_at IS NOT NULL
    AND ended_at <= $1"
);

const INPUT_KEYS: Rule = rule!(
    "UPDATE run_inputs SET idempotency_key = NULL, body_hash = NULL",
    "id",
    " FROM run_inputs
  WHERE idempotency_key IS NOT NULL
    AND created_at <= $1
    AND EXISTS (SELECT 1
                  FROM runs r
                 WHERE r.id = run_inputs.run_id
                   AND r.ended_at <= $1)"
);

/// Removes what is past its time at `now`; counts it only in a dry run.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn expire(store: &Store, now: Time, dry_run: bool) -> Result<Expired, StoreError> {
    if dry_run {
        return store.view(Batch { now }).await;
    }
    let mut expired = Expired::default();
    loop {
        let some = store.write(Batch { now }).await?;
        expired += some;
        if some.counts().iter().all(|(_, count)| *count < BATCH.into()) {
            return Ok(expired);
        }
    }
}

struct Batch {
    now: Time,
}

impl Write for Batch {
    type Output = Expired;
    const NAME: &'static str = "remove_expired";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Expired, WriteError> {
        let past = self.now - RECOGNISED;
        Ok(Expired {
            bootstrap_tokens: BOOTSTRAP_TOKENS.remove(tx, self.now).await?,
            command_tokens: COMMAND_TOKENS.remove(tx, self.now).await?,
            identities: IDENTITIES.remove(tx, past).await?,
            idempotency_keys: TASK_KEYS.remove(tx, past).await?
                + INPUT_KEYS.remove(tx, past).await?,
        })
    }
}

impl View for Batch {
    type Output = Expired;
    const NAME: &'static str = "count_expired";

    async fn look(&self, tx: &mut Tx<'_>) -> Result<Expired, WriteError> {
        let past = self.now - RECOGNISED;
        Ok(Expired {
            bootstrap_tokens: BOOTSTRAP_TOKENS.count(tx, self.now).await?,
            command_tokens: COMMAND_TOKENS.count(tx, self.now).await?,
            identities: IDENTITIES.count(tx, past).await?,
            idempotency_keys: TASK_KEYS.count(tx, past).await? + INPUT_KEYS.count(tx, past).await?,
        })
    }
}

impl Rule {
    async fn remove(&self, tx: &mut Tx<'_>, until: Time) -> Result<u64, WriteError> {
        Ok(tx.execute(self.remove, &binds![until, BATCH]).await?)
    }

    async fn count(&self, tx: &mut Tx<'_>, until: Time) -> Result<u64, WriteError> {
        let Some(row) = tx.row(self.count, &binds![until]).await? else { return Ok(0) };
        Ok(Reader::new("rows", &row).count("counted")?.into())
    }
}

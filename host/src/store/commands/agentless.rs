//! Commands for agents that are defined no more: nobody is ever to take them, so their runs fail at
//! once.

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, runs};
use super::{Current, select_current};
use crate::model::command::CommandState;
use crate::model::run::RunStatus;
use crate::model::scope::Scope;
use crate::model::time::Time;

/// How many one transaction ends.
const BATCH: u32 = 100;

/// The condition that the agent of a queue `q` is not defined.
macro_rules! agentless {
    () => {
        "NOT EXISTS (SELECT 1
                     FROM definitions d
                    WHERE d.workspace_id = q.workspace_id
                      AND d.kind = 'agent'
                      AND d.name = q.agent)"
    };
}

// There is a row for each demand, and next to none without its agent: so this is a look at a small
// table, and at the index of what waits.
const SELECT_ANY: &str = concat!(
    "\
SELECT q.id
  FROM queues q
 WHERE ",
    agentless!(),
    "
   AND (EXISTS (SELECT 1
                  FROM commands c
                 WHERE c.queue = q.id
                   AND c.state = 'pending')
        OR EXISTS (SELECT 1
                     FROM commands c
                    WHERE c.class_id = q.class_id
                      AND c.queue = q.id
                      AND c.state = 'blocked'))
 LIMIT 1"
);

macro_rules! waiting {
    () => {
        concat!(
            "  JOIN queues q ON q.id = c.queue
 WHERE c.state IN ('pending', 'blocked')
   AND c.type = 'run'
   AND ",
            agentless!(),
            "
 ORDER BY c.seq
 LIMIT $1"
        )
    };
}

const SELECT: Sql = Sql {
    sqlite: select_current!(waiting!()),
    postgres: concat!(
        select_current!(waiting!()),
        "
   FOR UPDATE OF c SKIP LOCKED"
    ),
};

const SELECT_AGENT: &str = "\
SELECT q.id, q.workspace_id, q.agent
  FROM commands c
  JOIN queues q ON q.id = c.queue
 WHERE c.id = $1";

/// Fails the runs that wait for an agent which is not defined, and counts them.
///
/// # Errors
/// When the store fails.
pub async fn fail_agentless(store: &Store, now: Time) -> Result<usize, StoreError> {
    if store.read("find_commands_without_agent", SELECT_ANY, &[]).await?.is_empty() {
        return Ok(0);
    }
    store.write(FailAgentless { now }).await
}

struct FailAgentless {
    now: Time,
}

impl Write for FailAgentless {
    type Output = usize;
    const NAME: &'static str = "fail_commands_without_agent";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let rows = tx.rows(SELECT, &binds![BATCH]).await?;
        for row in &rows {
            Current::read(row)?.fail_agentless(tx, self.now).await?;
        }
        Ok(rows.len())
    }
}

impl Current {
    async fn fail_agentless(&self, tx: &mut Tx<'_>, now: Time) -> Result<(), WriteError> {
        let Some(row) = tx.row(SELECT_AGENT, &binds![self.id.as_str()]).await? else {
            return Ok(());
        };
        let r = Reader::new("queues", &row);
        let (agent, workspace): (String, String) = (r.get("agent")?, r.get("workspace_id")?);
        let scope = Scope::parse(&workspace).unwrap_or_default();
        let why = format!("there is no agent `{agent}` any more ({scope})");
        if !self.close(tx, CommandState::Canceled, Some(&why), now).await? {
            return Ok(());
        }
        match self.attempted() {
            Some(run_id) => runs::end(tx, run_id, RunStatus::Failed, Some(&why), now).await,
            None => Ok(()),
        }
    }
}

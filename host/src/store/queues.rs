//! Queues and execution classes: what commands ask of a worker, and how those that ask it fare.

use serde_json::{Value, json};

use super::commands::paused;
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use super::{Store, StoreError, events};
use crate::model::queue::Queue;

const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO queues (id, class_id, workspace_id, agent, lane, policy, routing)
SELECT value ->> '$.id', value ->> '$.class_id', value ->> '$.workspace_id', value ->> '$.agent',
       value ->> '$.lane', value ->> '$.policy', value ->> '$.routing'
  FROM json_each($1)
 WHERE true
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO queues (id, class_id, workspace_id, agent, lane, policy, routing)
SELECT id, class_id, workspace_id, agent, lane, policy, routing
  FROM json_to_recordset($1::json)
    AS q (id text, class_id text, workspace_id text, agent text, lane text, policy text,
          routing text)
 ORDER BY id
    ON CONFLICT DO NOTHING",
};

const INSERT_CLASSES: Sql = Sql {
    sqlite: "\
INSERT INTO classes (id, workspace_id, agent, lane, policy)
SELECT value ->> '$.class_id', value ->> '$.workspace_id', value ->> '$.agent',
       value ->> '$.lane', value ->> '$.policy'
  FROM json_each($1)
 WHERE true
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO classes (id, workspace_id, agent, lane, policy)
SELECT class_id, workspace_id, agent, lane, policy
  FROM json_to_recordset($1::json)
    AS q (class_id text, workspace_id text, agent text, lane text, policy text)
 ORDER BY class_id
    ON CONFLICT DO NOTHING",
};

/// Where replicas tell one another that there is something to hand out.
pub(super) const CHANNEL: &str = "hillock_queue";

const NOTIFY: &str = "SELECT pg_notify($1, '')::text AS notified";

// One row for each demand there is, so the whole is small; whether something waits is one probe.
const SELECT_WAITED_ON: &str = concat!(
    "\
SELECT q.id, q.class_id, q.workspace_id, q.agent, q.lane, q.policy, q.routing
  FROM queues q
 WHERE EXISTS (SELECT 1
                 FROM commands c
                WHERE c.queue = q.id
                  AND c.state = 'pending')
   AND NOT ",
    paused!("q.workspace_id")
);

/// The queues in which something waits, ready or not, but for those that are paused.
///
/// # Errors
/// When the store fails.
pub async fn waited_on(store: &Store) -> Result<Vec<Queue>, StoreError> {
    let rows = store.read("read_queues", SELECT_WAITED_ON, &[]).await?;
    rows.iter().map(read).collect()
}

/// Makes these queues and their classes, unless they are known.
pub(super) async fn know(tx: &mut Tx<'_>, queues: &[Queue]) -> Result<(), WriteError> {
    let row = |queue: &Queue| {
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        json!({
            "id": queue.id,
            "class_id": queue.class_id,
            "workspace_id": queue.scope.workspace_id(),
            "agent": queue.agent,
            "lane": queue.lane,
            "policy": queue.policy.as_ref().map(|policy| json(serde_json::to_string(policy))),
            "routing": json(serde_json::to_string(&queue.routing)),
        })
    };
    let rows: Value = queues.iter().map(row).collect();
    let binds = binds![rows.to_string()];
    tx.execute(INSERT_CLASSES, &binds).await?;
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// Tells other replicas, once this transaction is committed, that there is something to hand out.
/// It is a hint: the tables are the truth.
pub(super) async fn hint(tx: &mut Tx<'_>) -> Result<(), WriteError> {
    if let Tx::Postgres(_) = tx {
        tx.row(NOTIFY, &binds![CHANNEL]).await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<Queue, StoreError> {
    let r = Reader::new("queues", row);
    let id = r.get("id")?;
    read_as(&r, id)
}

/// The queue of this identifier, by its other columns.
pub(super) fn read_as(r: &Reader<'_>, id: String) -> Result<Queue, StoreError> {
    Ok(Queue {
        id,
        class_id: r.get("class_id")?,
        scope: events::read_scope(r)?,
        agent: r.text("agent")?,
        lane: r.text_if_any("lane")?,
        policy: r.json_if_any("policy")?,
        routing: r.json("routing")?,
    })
}

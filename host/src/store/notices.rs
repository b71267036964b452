//! Points of the host's own life that somebody listens to, kept from the transaction in which they
//! came about until they are events.

use serde_json::{Value, json};

use super::events::{self, Accepted, Delivery, Enter};
use super::source_states::{self, SourceState};
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::definition::Point;
use crate::model::id::NoticeId;
use crate::model::scope::Scope;
use crate::model::time::Time;

/// A point that was reached.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its identifier.
    pub id: NoticeId,
    /// Whose it is.
    pub scope: Scope,
    /// Which point.
    pub point: Point,
    /// What there is to say of it, as JSON text.
    pub data: String,
    /// How many runs lie between it and the outside world.
    pub depth: u32,
    /// The runs that led to it, oldest first.
    pub causes: Vec<String>,
    /// When it was reached.
    pub at: Time,
}

// Nothing is written of what nobody listens to.
const POST_ALL: Sql = Sql {
    sqlite: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.value ->> '$.id', n.value ->> '$.workspace_id', $2, n.value ->> '$.data',
       n.value ->> '$.depth', n.value ->> '$.causes', n.value ->> '$.at'
  FROM json_each($1) n
 WHERE EXISTS (SELECT 1
                 FROM listeners
                WHERE workspace_id = n.value ->> '$.workspace_id'
                  AND pattern IN (SELECT value FROM json_each($3)))
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.id, n.workspace_id, $2, n.data, n.depth, n.causes, n.at
  FROM json_to_recordset($1::json)
    AS n (id text, workspace_id text, data text, depth bigint, causes text, at bigint)
 WHERE EXISTS (SELECT 1
                 FROM listeners l
                WHERE l.workspace_id = n.workspace_id
                  AND l.pattern IN (SELECT json_array_elements_text($3::json)))
    ON CONFLICT DO NOTHING",
};

// What is told of a run is what it is after its change.
const POST_OF_RUNS: Sql = Sql {
    sqlite: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.value ->> '$.id', r.workspace_id, $2,
       json_object('id', r.id, 'status', r.status, 'agent', r.agent, 'owner', r.owner_kind,
                   'name', r.owner_name, 'owner_id', r.owner_id, 'event_id', r.event_id,
                   'attempt', r.attempt, 'error', r.error),
       r.depth + 1, json_insert(r.causes, '$[#]', r.id), $3
  FROM json_each($1) n
  JOIN runs r ON r.id = n.value ->> '$.run_id'
 WHERE EXISTS (SELECT 1
                 FROM listeners l
                WHERE l.workspace_id = r.workspace_id
                  AND l.pattern IN (SELECT value FROM json_each($4)))
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.id, r.workspace_id, $2,
       json_build_object('id', r.id, 'status', r.status, 'agent', r.agent, 'owner', r.owner_kind,
                         'name', r.owner_name, 'owner_id', r.owner_id, 'event_id', r.event_id,
                         'attempt', r.attempt, 'error', r.error)::text,
       r.depth + 1, (r.causes::jsonb || to_jsonb(r.id))::text, $3
  FROM json_to_recordset($1::json) AS n (id text, run_id text)
  JOIN runs r ON r.id = n.run_id
 WHERE EXISTS (SELECT 1
                 FROM listeners l
                WHERE l.workspace_id = r.workspace_id
                  AND l.pattern IN (SELECT json_array_elements_text($4::json)))
    ON CONFLICT DO NOTHING",
};

// A task's place among causes is its latest run's.
const POST_OF_TASKS: Sql = Sql {
    sqlite: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.value ->> '$.id', t.workspace_id, $2,
       json_object('id', t.id, 'status', t.status, 'agent', t.agent, 'label', t.label,
                   'session_id', t.session_id, 'run_id', t.run_id, 'error', t.error),
       r.depth + 1, json_insert(r.causes, '$[#]', r.id), $3
  FROM json_each($1) n
  JOIN tasks t ON t.id = n.value ->> '$.task_id'
  JOIN runs r ON r.id = t.run_id
 WHERE EXISTS (SELECT 1
                 FROM listeners l
                WHERE l.workspace_id = t.workspace_id
                  AND l.pattern IN (SELECT value FROM json_each($4)))
    ON CONFLICT DO NOTHING",
    postgres: "\
INSERT INTO notices (id, workspace_id, point, data, depth, causes, at)
SELECT n.id, t.workspace_id, $2,
       json_build_object('id', t.id, 'status', t.status, 'agent', t.agent, 'label', t.label,
                         'session_id', t.session_id, 'run_id', t.run_id, 'error', t.error)::text,
       r.depth + 1, (r.causes::jsonb || to_jsonb(r.id))::text, $3
  FROM json_to_recordset($1::json) AS n (id text, task_id text)
  JOIN tasks t ON t.id = n.task_id
  JOIN runs r ON r.id = t.run_id
 WHERE EXISTS (SELECT 1
                 FROM listeners l
                WHERE l.workspace_id = t.workspace_id
                  AND l.pattern IN (SELECT json_array_elements_text($4::json)))
    ON CONFLICT DO NOTHING",
};

const SELECT_WAITING: &str = "\
SELECT id, workspace_id, point, data, depth, causes, at
  FROM notices
 ORDER BY seq
 LIMIT $1";

const DELETE: &str = "\
DELETE FROM notices
 WHERE id = $1";

/// What a trigger, a hook or an observer may have said in order to hear of a point.
fn patterns(point: Point) -> String {
    let word = point.as_str();
    let subject = word.split('.').next().unwrap_or_default();
    json!([
        format!("hook.{word}"),
        format!("hook.{subject}.*"),
        "hook.*",
        format!("notice:{word}"),
        format!("observe:{subject}"),
    ])
    .to_string()
}

/// Keeps a notice of something that is no run's, if anybody listens.
///
/// # Errors
/// When the store fails.
pub async fn post(store: &Store, notice: Notice) -> Result<(), StoreError> {
    store.write(Post(notice)).await
}

/// The same, in a transaction under way.
pub(super) async fn post_in(tx: &mut Tx<'_>, notice: &Notice) -> Result<(), WriteError> {
    post_all(tx, notice.point, std::slice::from_ref(notice)).await
}

/// The same for several notices of one point, in one statement.
pub(super) async fn post_all(
    tx: &mut Tx<'_>,
    point: Point,
    notices: &[Notice],
) -> Result<(), WriteError> {
    if notices.is_empty() {
        return Ok(());
    }
    let row = |notice: &Notice| {
        json!({
            "id": notice.id,
            "workspace_id": notice.scope.workspace_id(),
            "data": notice.data,
            "depth": notice.depth,
            "causes": Value::from(notice.causes.clone()).to_string(),
            "at": notice.at.as_millis(),
        })
    };
    let rows: Value = notices.iter().map(row).collect();
    tx.execute(POST_ALL, &binds![rows.to_string(), point.as_str(), patterns(point)]).await?;
    Ok(())
}

/// Keeps a notice that a run has reached a point, if anybody listens.
pub(super) async fn of_run(
    tx: &mut Tx<'_>,
    run_id: &str,
    point: Point,
    at: Time,
) -> Result<(), WriteError> {
    of_runs(tx, &[run_id], point, at).await
}

/// The same for several runs, in one statement.
pub(super) async fn of_runs(
    tx: &mut Tx<'_>,
    run_ids: &[&str],
    point: Point,
    at: Time,
) -> Result<(), WriteError> {
    if run_ids.is_empty() {
        return Ok(());
    }
    let row = |run_id: &&str| json!({ "id": id_of(run_id, point, at), "run_id": run_id });
    let rows: Value = run_ids.iter().map(row).collect();
    let binds = binds![rows.to_string(), point.as_str(), at, patterns(point)];
    tx.execute(POST_OF_RUNS, &binds).await?;
    Ok(())
}

/// Keeps notices that these tasks have reached a point, if anybody listens, in one statement.
pub(super) async fn of_tasks(
    tx: &mut Tx<'_>,
    task_ids: &[&str],
    point: Point,
    at: Time,
) -> Result<(), WriteError> {
    let row = |task_id: &&str| json!({ "id": id_of(task_id, point, at), "task_id": task_id });
    let rows: Value = task_ids.iter().map(row).collect();
    let binds = binds![rows.to_string(), point.as_str(), at, patterns(point)];
    tx.execute(POST_OF_TASKS, &binds).await?;
    Ok(())
}

/// A run or a task may start more than once.
fn id_of(id: &str, point: Point, at: Time) -> NoticeId {
    NoticeId::derive(&Scope::Global, &format!("{id} {point} {}", at.as_millis()))
}

/// The oldest notices. One that cannot be read is noted in the log and left out.
///
/// # Errors
/// When the store fails.
pub async fn waiting(store: &Store, limit: u32) -> Result<Vec<Notice>, StoreError> {
    let rows = store.read("read_notices", SELECT_WAITING, &binds![limit]).await?;
    let noted = |error: &StoreError| tracing::error!(%error, "skipped an unreadable notice");
    Ok(rows.iter().filter_map(|row| read(row).inspect_err(noted).ok()).collect())
}

/// Puts the events that a notice led to into the inbox, keeps what observers remember of it, and
/// forgets the notice. None when somebody else has settled it, or a state is no more the one that
/// was read: nothing is kept then.
///
/// # Errors
/// When the store fails; then the notice is still there.
pub async fn settle(
    store: &Store,
    id: &NoticeId,
    deliveries: &[Delivery],
    mut states: Vec<SourceState>,
) -> Result<Option<Vec<Accepted>>, StoreError> {
    // Whoever settles another notice at the same time locks them in the same order.
    states.sort_by(|a, b| a.definition_id.cmp(&b.definition_id));
    store.write(Settle { id: id.clone(), enter: Enter::new(deliveries), states }).await
}

struct Post(Notice);

impl Write for Post {
    type Output = ();
    const NAME: &'static str = "create_notice";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        post_in(tx, &self.0).await
    }
}

struct Settle {
    id: NoticeId,
    enter: Enter,
    states: Vec<SourceState>,
}

impl Write for Settle {
    type Output = Option<Vec<Accepted>>;
    const NAME: &'static str = "settle_notice";

    // Whatever could stand in the way is looked at before anything is written.
    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<Accepted>>, WriteError> {
        for state in &self.states {
            if !source_states::hold(tx, state).await? {
                return Ok(None);
            }
        }
        if tx.execute(DELETE, &binds![self.id.as_str()]).await? == 0 {
            return Ok(None);
        }
        for state in &self.states {
            source_states::advance(tx, state).await?;
        }
        self.enter.apply(tx).await.map(Some)
    }
}

fn read(row: &Row) -> Result<Notice, StoreError> {
    let r = Reader::new("notices", row);
    Ok(Notice {
        id: r.text("id")?,
        scope: events::read_scope(&r)?,
        point: r.text("point")?,
        data: r.get("data")?,
        depth: r.count("depth")?,
        causes: r.json("causes")?,
        at: r.time("at")?,
    })
}

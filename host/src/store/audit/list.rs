//! The audit, read: newest first in pages, or forward for those who take all of it.

use serde_json::Value;

use super::super::sql::{Bind, Reader, Row, Sql, binds};
use super::super::{Page, PageRequest, Store, StoreError, events};
use crate::model::audit::{Digest, Place};
use crate::model::id::AuditId;
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;

/// A row of the audit.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its identifier.
    pub id: AuditId,
    /// Whose it is.
    pub scope: Scope,
    /// When it was done.
    pub at: Time,
    /// What kind of actor did it.
    pub actor_kind: String,
    /// Which of its kind.
    pub actor_id: Option<String>,
    /// What was done, such as `task.create`.
    pub action: String,
    /// To what kind of object.
    pub object_kind: String,
    /// To which; none for several at once.
    pub object_id: Option<String>,
    /// What that is called.
    pub object_name: Option<String>,
    /// Of the object's stored form before.
    pub before: Option<Digest>,
    /// And after.
    pub after: Option<Digest>,
    /// What else there is to say.
    pub detail: Option<Value>,
    /// From where.
    pub place: Place,
}

/// Which rows are meant.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By this actor, or this kind of actor.
    pub actor: Option<String>,
    /// This action, or all below it: `task.*`.
    pub action: Option<String>,
    /// On the object with this identifier or name, or on objects of this kind.
    pub object: Option<String>,
    /// Not before.
    pub since: Option<Time>,
    /// Only before.
    pub until: Option<Time>,
}

/// A query of rows that pass a filter, whose binds are `$2` to `$6`. An unused filter is bound as
/// NULL; PostgreSQL has to be told the type of such a bind.
macro_rules! select_audit {
    ($scope:literal, $text:literal, $number:literal, $rest:literal) => {
        concat!(
            "\
SELECT seq, id, workspace_id, at, actor_kind, actor_id, action, object_kind, object_id,
       object_name, before, after, detail, peer, request_id, user_agent
  FROM audit
 WHERE ",
            $scope,
            "
   AND ($2",
            $text,
            " IS NULL OR actor_id = $2 OR actor_kind = $2)
   AND ($3",
            $text,
            " IS NULL OR action = $3
        OR ($3 LIKE '%.*' AND substr(action, 1, length($3) - 1) = substr($3, 1, length($3) - 1)))
   AND ($4",
            $text,
            " IS NULL OR object_id = $4 OR object_name = $4 OR object_kind = $4)
   AND ($5",
            $number,
            " IS NULL OR at >= $5)
   AND ($6",
            $number,
            " IS NULL OR at < $6)
",
            $rest
        )
    };
}

macro_rules! select_page {
    ($scope:literal, $rest:literal) => {
        Sql {
            sqlite: select_audit!($scope, "", "", $rest),
            postgres: select_audit!($scope, "::text", "::bigint", $rest),
        }
    };
    ($scope:literal) => {
        select_page!(
            $scope,
            "   AND seq < $7
 ORDER BY seq DESC
 LIMIT $8"
        )
    };
}

const SELECT_PAGE: Sql = select_page!("workspace_id = $1");
const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($1 AS TEXT) IS NULL");

macro_rules! select_forward {
    ($scope:literal) => {
        select_page!(
            $scope,
            "   AND seq > $7
   AND seq <= $8
 ORDER BY seq
 LIMIT $9"
        )
    };
}

const SELECT_FORWARD: Sql = select_forward!("workspace_id = $1");
const SELECT_FORWARD_OF_ALL: Sql = select_forward!("CAST($1 AS TEXT) IS NULL");

const SELECT_NEWEST: &str = "\
SELECT max(seq) AS seq
  FROM audit
 WHERE workspace_id = $1";

const SELECT_NEWEST_OF_ALL: &str = "\
SELECT max(seq) AS seq
  FROM audit
 WHERE CAST($1 AS TEXT) IS NULL";

/// Rows, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<Record>, StoreError> {
    let reach = reach.into();
    let mut binds = filter.binds(&reach);
    binds.extend(binds![page.before(), page.fetch()]);
    let sql = reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL);
    let rows = store.read("list_audit", sql, &binds).await?;
    Page::read("audit", &rows, page, read)
}

/// The number of the newest row; none when there is no row.
///
/// # Errors
/// When the store fails.
pub async fn newest(store: &Store, reach: impl Into<Reach>) -> Result<Option<i64>, StoreError> {
    let reach = reach.into();
    let sql = reach.pick(SELECT_NEWEST, SELECT_NEWEST_OF_ALL);
    let binds = binds![reach.workspace_id()];
    let rows = store.read("read_audit_end", sql, &binds).await?;
    rows.first().map_or(Ok(None), |row| Reader::new("audit", row).get("seq"))
}

/// At most `limit` rows with their numbers, oldest first, behind the number `after` and up to the
/// number `through`.
///
/// # Errors
/// When the store fails.
pub async fn forward(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &AuditFilter,
    (after, through): (i64, i64),
    limit: u32,
) -> Result<Vec<(i64, Record)>, StoreError> {
    let reach = reach.into();
    let mut binds = filter.binds(&reach);
    binds.extend(binds![after, through, limit]);
    let sql = reach.pick(SELECT_FORWARD, SELECT_FORWARD_OF_ALL);
    let rows = store.read("export_audit", sql, &binds).await?;
    let numbered = |row| Ok((Reader::new("audit", row).get("seq")?, read(row)?));
    rows.iter().map(numbered).collect()
}

impl AuditFilter {
    fn binds(&self, reach: &Reach) -> Vec<Bind> {
        binds![
            reach.workspace_id(),
            self.actor.as_deref(),
            self.action.as_deref(),
            self.object.as_deref(),
            self.since,
            self.until,
        ]
        .to_vec()
    }
}

fn read(row: &Row) -> Result<Record, StoreError> {
    let r = Reader::new("audit", row);
    Ok(Record {
        id: r.text("id")?,
        scope: events::read_scope(&r)?,
        at: r.time("at")?,
        actor_kind: r.get("actor_kind")?,
        actor_id: r.get("actor_id")?,
        action: r.get("action")?,
        object_kind: r.get("object_kind")?,
        object_id: r.get("object_id")?,
        object_name: r.get("object_name")?,
        before: digest(&r, "before")?,
        after: digest(&r, "after")?,
        detail: r.json_if_any("detail")?,
        place: Place {
            peer: r.get("peer")?,
            request_id: r.get("request_id")?,
            user_agent: r.get("user_agent")?,
        },
    })
}

fn digest(r: &Reader<'_>, column: &'static str) -> Result<Option<Digest>, StoreError> {
    r.parse(column, |bytes: Option<Vec<u8>>| bytes.map(Digest::try_from).transpose().ok())
}

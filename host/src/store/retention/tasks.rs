//! Tasks that have ended: each goes with the last of its runs.

use super::super::sql::{Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::{BATCH, Batch, Mark, Page, Removed, Sweep, list, take};
use crate::model::time::Time;

macro_rules! select_page {
    ($stays:literal) => {
        concat!(
            "\
SELECT t.seq, t.id, t.ended_at
  FROM tasks t
 WHERE t.workspace_id = $1
   AND t.ended_at <= $2
   AND (t.ended_at, t.seq) > ($3, $4)
   AND NOT EXISTS (SELECT 1
                     FROM runs r
                    WHERE r.owner_id = t.id",
            $stays,
            ")
 ORDER BY t.ended_at, t.seq
 LIMIT $5"
        )
    };
}

const SELECT_PAGE: &str = select_page!("");
// What would be there after the runs that are due have gone.
const SELECT_PAGE_DRY: &str =
    select_page!("\n                      AND (r.ended_at IS NULL OR r.ended_at > $2)");

macro_rules! remove {
    ($list:literal) => {
        concat!(
            "\
DELETE FROM tasks
 WHERE id IN (",
            $list,
            ")
   AND ended_at <= $2
   AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.owner_id = tasks.id)
   AND NOT EXISTS (SELECT 1
                     FROM runs r
                    WHERE r.task_id = tasks.id
                      AND r.status = 'delegated')"
        )
    };
}

const REMOVE: Sql = Sql {
    sqlite: remove!("SELECT value FROM json_each($1)"),
    postgres: remove!("SELECT json_array_elements_text($1::json)"),
};

/// Removes the tasks that are due and have no runs any more.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn tasks(store: &Store, sweep: &Sweep) -> Result<Removed, StoreError> {
    let sql = if sweep.dry_run { SELECT_PAGE_DRY } else { SELECT_PAGE };
    let mut removed = Removed::default();
    let mut from = Some(Mark::START);
    while let Some(Mark { at, seq }) = from {
        let binds = binds![sweep.scope.workspace_id(), sweep.until, at, seq, BATCH];
        let rows = store.read("find_old_tasks", sql, &binds).await?;
        let page = Page::read("tasks", &rows, BATCH)?;
        from = page.next;
        if !page.ids.is_empty() {
            let batch = Tasks { ids: page.ids, until: sweep.until };
            removed += take(store, batch, sweep.dry_run).await?;
        }
    }
    Ok(removed)
}

/// Removes those of these tasks that have ended and have no runs any more.
pub(super) async fn without_runs(
    tx: &mut Tx<'_>,
    ids: &[String],
    until: Time,
) -> Result<u64, WriteError> {
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(tx.execute(REMOVE, &binds![list(ids), until]).await?)
}

#[derive(Clone)]
struct Tasks {
    ids: Vec<String>,
    until: Time,
}

impl Write for Tasks {
    type Output = Removed;
    const NAME: &'static str = "remove_tasks";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let tasks = without_runs(tx, &self.ids, self.until).await?;
        Ok(Removed { tasks, ..Removed::default() })
    }
}

impl Batch for Tasks {
    async fn count(&self, _: &mut Tx<'_>) -> Result<Removed, WriteError> {
        Ok(Removed { tasks: self.ids.len() as u64, ..Removed::default() })
    }
}

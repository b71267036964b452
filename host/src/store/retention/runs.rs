//! Runs that have ended, and what they said.
//!
//! A log can be long, so it goes first, a thousand lines at a time; a run whose log is gone is marked,
//! and only such a run is removed. So removing one is never much work.

use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::part::{Part, part};
use super::patience::Patient;
use super::{BATCH, Batch, Mark, Page, Removed, Sweep, list, take, tasks};
use crate::model::run::OwnerKind;
use crate::model::time::Time;

/// How many runs' logs are looked at together.
const LOGS: u32 = 100;
/// How many lines or events go in one transaction.
const LINES: u32 = 1000;

/// The condition that a run `r` that has ended is done with: none of its commands is on its way, none
/// waits behind it, its task has ended, and no fire limit counts it.
macro_rules! is_free {
    ($limits:literal) => {
        concat!(
            "r.status IN ('completed', 'failed', 'canceled')
   AND NOT EXISTS (SELECT 1
                     FROM commands c
                    WHERE c.run_id = r.id
                      AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running'))
   AND NOT EXISTS (SELECT 1
                     FROM commands c
                    WHERE c.after_run_id = r.id
                      AND c.state IN ('blocked', 'pending', 'sent', 'acknowledged', 'running'))
   AND NOT EXISTS (SELECT 1
                     FROM tasks t
                    WHERE t.run_id = r.id
                      AND t.ended_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM ",
            $limits,
            ")"
        )
    };
}

macro_rules! select_page {
    ($limits:literal) => {
        concat!(
            "\
SELECT r.seq, r.id, r.ended_at
  FROM runs r
 WHERE r.workspace_id = $1
   AND r.log_removed = $2
   AND r.ended_at <= $3
   AND (r.ended_at, r.seq) > ($4, $5)
   AND ",
            is_free!($limits),
            "
 ORDER BY r.ended_at, r.seq
 LIMIT $7"
        )
    };
}

const SELECT_PAGE: Sql = Sql {
    sqlite: select_page!(
        "json_each($6) l WHERE l.value ->> '$.id' = r.owner_id
                                 AND r.created_at > l.value ->> '$.since'"
    ),
    postgres: select_page!(
        "json_to_recordset($6::json) AS l (id text, since bigint)
                    WHERE l.id = r.owner_id
                      AND r.created_at > l.since"
    ),
};

// Whoever gives one of them an input on PostgreSQL keeps it.
const LOCK: Sql = Sql {
    sqlite: concat!(
        "\
SELECT r.id, r.owner_kind, r.owner_id
  FROM runs r
 WHERE r.id IN (SELECT value FROM json_each($1))
   AND r.ended_at <= $2
   AND r.log_removed = 1
   AND ",
        is_free!(
            "json_each($3) l WHERE l.value ->> '$.id' = r.owner_id
                                 AND r.created_at > l.value ->> '$.since'"
        )
    ),
    postgres: concat!(
        "\
SELECT r.id, r.owner_kind, r.owner_id
  FROM runs r
 WHERE r.id IN (SELECT json_array_elements_text($1::json))
   AND r.ended_at <= $2
   AND r.log_removed = 1
   AND ",
        is_free!(
            "json_to_recordset($3::json) AS l (id text, since bigint)
                    WHERE l.id = r.owner_id
                      AND r.created_at > l.since"
        ),
        "
 ORDER BY r.seq
   FOR UPDATE OF r SKIP LOCKED"
    ),
};

const COMMANDS: Part = part!("commands", "run_id");
const INPUTS: Part = part!("run_inputs", "run_id");
const RUNS: Part = part!("runs", "id");

const SELECT_LOGS: &str = "\
SELECT r.seq, r.id, r.ended_at
  FROM runs r
 WHERE r.workspace_id = $1
   AND r.log_removed = 0
   AND r.ended_at <= $2
   AND (r.ended_at, r.seq) > ($3, $4)
 ORDER BY r.ended_at, r.seq
 LIMIT $5";

/// Removes so many lines of these runs.
macro_rules! remove_said {
    ($table:literal, $list:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            "
 WHERE (run_id, seq) IN (SELECT run_id, seq
                           FROM ",
            $table,
            "
                          WHERE run_id IN (",
            $list,
            ")
                          LIMIT $2)"
        )
    };
}

const REMOVE_LINES: Sql = Sql {
    sqlite: remove_said!("run_logs", "SELECT value FROM json_each($1)"),
    postgres: remove_said!("run_logs", "SELECT json_array_elements_text($1::json)"),
};
const REMOVE_EVENTS: Sql = Sql {
    sqlite: remove_said!("run_events", "SELECT value FROM json_each($1)"),
    postgres: remove_said!("run_events", "SELECT json_array_elements_text($1::json)"),
};
const LINES_OF: Part = part!("run_logs", "run_id");
const EVENTS_OF: Part = part!("run_events", "run_id");

const MARK: Sql = Sql {
    sqlite: "\
UPDATE runs
   SET log_removed = 1
 WHERE id IN (SELECT value FROM json_each($1))
   AND ended_at IS NOT NULL",
    postgres: "\
UPDATE runs
   SET log_removed = 1
 WHERE id IN (SELECT json_array_elements_text($1::json))
   AND ended_at IS NOT NULL",
};

/// Removes what runs that are due have said.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn logs(store: &Store, sweep: &Sweep) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut from = Some(Mark::START);
    while let Some(Mark { at, seq }) = from {
        let binds = binds![sweep.scope.workspace_id(), sweep.until, at, seq, LOGS];
        let rows = store.read("find_old_logs", SELECT_LOGS, &binds).await?;
        let page = Page::read("runs", &rows, LOGS)?;
        from = page.next;
        if !page.ids.is_empty() {
            removed += said(store, &page.ids, sweep.dry_run).await?;
        }
    }
    Ok(removed)
}

/// Removes what these runs have said, in as many transactions as it takes.
async fn said(store: &Store, ids: &[String], dry_run: bool) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    loop {
        let some = take(store, Said { list: list(ids) }, dry_run).await?;
        removed += some;
        if dry_run || some.log_lines + some.run_events < LINES.into() {
            return Ok(removed);
        }
    }
}

/// Removes the runs that are due, and whose log is gone.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn runs(
    store: &Store,
    sweep: &Sweep,
    patient: &Patient,
    now: Time,
) -> Result<Removed, StoreError> {
    let limits = patient.since(now);
    let mut removed = remove(store, sweep, true, &limits).await?;
    if sweep.dry_run {
        removed += remove(store, sweep, false, &limits).await?;
    }
    Ok(removed)
}

async fn remove(
    store: &Store,
    sweep: &Sweep,
    log_removed: bool,
    limits: &str,
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut from = Some(Mark::START);
    while let Some(Mark { at, seq }) = from {
        let workspace = sweep.scope.workspace_id();
        let binds = binds![workspace, log_removed, sweep.until, at, seq, limits, BATCH];
        let rows = store.read("find_old_runs", SELECT_PAGE, &binds).await?;
        let page = Page::read("runs", &rows, BATCH)?;
        from = page.next;
        if !page.ids.is_empty() {
            let limits = limits.to_owned();
            let batch = Runs { ids: page.ids, until: sweep.until, limits };
            removed += take(store, batch, sweep.dry_run).await?;
        }
    }
    Ok(removed)
}

#[derive(Clone)]
struct Said {
    list: String,
}

impl Write for Said {
    type Output = Removed;
    const NAME: &'static str = "remove_logs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let list = self.list.as_str();
        let log_lines = tx.execute(REMOVE_LINES, &binds![list, LINES]).await?;
        let left = LINES.saturating_sub(u32::try_from(log_lines).unwrap_or(LINES));
        let run_events = tx.execute(REMOVE_EVENTS, &binds![list, left]).await?;
        if log_lines + run_events < LINES.into() {
            tx.execute(MARK, &binds![list]).await?;
        }
        Ok(Removed { log_lines, run_events, ..Removed::default() })
    }
}

impl Batch for Said {
    async fn count(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        Ok(Removed {
            log_lines: LINES_OF.count(tx, &self.list).await?,
            run_events: EVENTS_OF.count(tx, &self.list).await?,
            ..Removed::default()
        })
    }
}

#[derive(Clone)]
struct Runs {
    ids: Vec<String>,
    until: Time,
    limits: String,
}

impl Write for Runs {
    type Output = Removed;
    const NAME: &'static str = "remove_runs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let binds = binds![list(&self.ids), self.until, self.limits.as_str()];
        let rows = tx.rows(LOCK, &binds).await?;
        let due = list(&super::ids("runs", &rows)?);
        Ok(Removed {
            commands: COMMANDS.remove(tx, &due).await?,
            inputs: INPUTS.remove(tx, &due).await?,
            runs: RUNS.remove(tx, &due).await?,
            tasks: tasks::without_runs(tx, &tasks_of(&rows)?, self.until).await?,
            ..Removed::default()
        })
    }
}

impl Batch for Runs {
    async fn count(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        let due = list(&self.ids);
        Ok(Removed {
            commands: COMMANDS.count(tx, &due).await?,
            inputs: INPUTS.count(tx, &due).await?,
            runs: RUNS.count(tx, &due).await?,
            ..Removed::default()
        })
    }
}

/// The tasks that these runs carried out.
fn tasks_of(rows: &[Row]) -> Result<Vec<String>, StoreError> {
    let mut tasks = vec![];
    for row in rows {
        let r = Reader::new("runs", row);
        if r.text::<OwnerKind>("owner_kind")? == OwnerKind::Task {
            tasks.push(r.get("owner_id")?);
        }
    }
    Ok(tasks)
}

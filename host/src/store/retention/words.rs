//! Words to workers that belong to no run, and are over.

use super::super::sql::{Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::part::{Part, part};
use super::{BATCH, Batch, Mark, Page, Removed, Sweep, list, take};

const SELECT_PAGE: &str = "\
SELECT c.seq, c.id, c.ended_at
  FROM commands c
 WHERE c.workspace_id = $1
   AND c.run_id IS NULL
   AND c.ended_at <= $2
   AND (c.ended_at, c.seq) > ($3, $4)
 ORDER BY c.ended_at, c.seq
 LIMIT $5";

const WORDS: Part = part!("commands", "run_id IS NULL AND ended_at IS NOT NULL AND id");

/// Removes the words that are due.
///
/// # Errors
/// When the store fails; what was removed before is gone.
pub async fn words(store: &Store, sweep: &Sweep) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut from = Some(Mark::START);
    while let Some(Mark { at, seq }) = from {
        let binds = binds![sweep.scope.workspace_id(), sweep.until, at, seq, BATCH];
        let rows = store.read("find_old_control_commands", SELECT_PAGE, &binds).await?;
        let page = Page::read("commands", &rows, BATCH)?;
        from = page.next;
        if !page.ids.is_empty() {
            let batch = Words { list: list(&page.ids) };
            removed += take(store, batch, sweep.dry_run).await?;
        }
    }
    Ok(removed)
}

#[derive(Clone)]
struct Words {
    list: String,
}

impl Write for Words {
    type Output = Removed;
    const NAME: &'static str = "remove_control_commands";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        Ok(Removed { commands: WORDS.remove(tx, &self.list).await?, ..Removed::default() })
    }
}

impl Batch for Words {
    async fn count(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        Ok(Removed { commands: WORDS.count(tx, &self.list).await?, ..Removed::default() })
    }
}

//! The space of what was removed, given back to the file system.
//!
//! PostgreSQL's autovacuum does it by itself. A SQLite file keeps its free pages, to use them again;
//! when they are many, the writer moves what lies at the end into them, a little at a time between
//! other writes, and the file becomes shorter. That works in files that were made for it: those of
//! earlier versions keep their size until a backup of them, which is, is restored.

use super::sql::{Reader, Tx, binds};
use super::write::{Write, WriteError};
use super::{Database, Store, StoreError};

/// How many pages are given back between other writes: 2 MiB.
const PAGES: i64 = 500;
const VACUUM: &str = "PRAGMA incremental_vacuum(500)";
/// How often in one call at most: 400 MiB.
const ROUNDS_MAX: usize = 200;
/// So much of the file may be free: one in so many pages is used again soon.
const FREE_MAX: i64 = 10;
/// So much is left free.
const FREE_LEFT: i64 = 20;

const SELECT: &str = "\
SELECT free.freelist_count AS free, count.page_count AS pages, size.page_size AS page_bytes,
       mode.auto_vacuum AS mode
  FROM pragma_freelist_count AS free, pragma_page_count AS count, pragma_page_size AS size,
       pragma_auto_vacuum AS mode";

/// What became of a store's free space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// How many bytes the file is shorter.
    pub bytes: u64,
    /// How many bytes are free in a file that cannot become shorter.
    pub stuck_bytes: u64,
}

/// Gives back what is free, if it is much.
///
/// # Errors
/// When the store fails; what was given back before is.
pub async fn give_back(store: &Store) -> Result<GivenBack, StoreError> {
    let Database::Sqlite(sqlite) = &store.database else { return Ok(GivenBack::default()) };
    let file = File::of(store).await?;
    if file.free <= file.pages / FREE_MAX {
        return Ok(GivenBack::default());
    }
    if !file.can_shrink {
        return Ok(GivenBack { bytes: 0, stuck_bytes: file.bytes(file.free) });
    }
    let much = (file.free - file.pages / FREE_LEFT) / PAGES + 1;
    for _ in 0..ROUNDS_MAX.min(usize::try_from(much).unwrap_or(0)) {
        store.write(Vacuum).await?;
    }
    let failed = |source| StoreError::database("give space back", source);
    sqlite.checkpoint().await.map_err(failed)?;
    let pages = file.pages - File::of(store).await?.pages;
    Ok(GivenBack { bytes: file.bytes(pages), stuck_bytes: 0 })
}

struct File {
    free: i64,
    pages: i64,
    page_bytes: i64,
    can_shrink: bool,
}

impl File {
    async fn of(store: &Store) -> Result<Self, StoreError> {
        let rows = store.read("read_free_space", SELECT, &binds![]).await?;
        let row = rows.first().ok_or(StoreError::Closed)?;
        let r = Reader::new("pages", row);
        Ok(Self {
            free: r.get("free")?,
            pages: r.get("pages")?,
            page_bytes: r.get("page_bytes")?,
            can_shrink: r.get::<i64>("mode")? == 2,
        })
    }

    fn bytes(&self, pages: i64) -> u64 {
        u64::try_from(pages * self.page_bytes).unwrap_or(0)
    }
}

struct Vacuum;

impl Write for Vacuum {
    type Output = ();
    const NAME: &'static str = "reclaim_space";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        tx.execute(VACUUM, &[]).await?;
        Ok(())
    }
}

//! SQLite: one file, one writer, several readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sql::Tx;
use super::view::View;
use super::write::{Write, WriteError};
use super::writer::{self, Writer};
use super::{StoreError, lock, migrations, private};
use crate::metrics::Metrics;

/// How many queries may read at once.
const READERS_MAX: u32 = 4;
/// How much of the log is folded back into the file at a time, in pages of 4 KiB: identities are
/// random, so the pages of their index are written once for all that changed on them meanwhile.
const CHECKPOINT_PAGES: &str = "8000";
/// How much of the file the writer keeps in memory, in KiB (negative, as SQLite wants it).
const WRITER_CACHE_KIB: &str = "-32768";
/// How often the log is folded back until nobody has written meanwhile.
const CHECKPOINTS_MAX: usize = 10;
/// How long to wait for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    writing: TaskTracker,
    stop: CancellationToken,
    options: Arc<SqliteConnectOptions>,
}

impl Sqlite {
    pub(super) async fn open(url: &str, metrics: Metrics) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { place: url.to_owned(), source };
        let options = options(url);
        let lock = lock::shared(options.get_filename());
        let lock = lock.map_err(|source| failed(source.into()))?;
        let lock = lock.ok_or_else(|| StoreError::Restoring { place: url.to_owned() })?;
        let writes = options
            .clone()
            // Of a new file: what is removed can be given back.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .pragma("cache_size", WRITER_CACHE_KIB);
        private::secure(options.get_filename()).map_err(|source| failed(source.into()))?;
        let mut connection = writes.connect().await.map_err(failed)?;
        migrations::sqlite(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_lazy_with(options.clone().read_only(true));
        let (writer, jobs) = Writer::new();
        let (writing, stop) = (TaskTracker::new(), CancellationToken::new());
        let work = writer::work(connection, jobs, metrics, stop.clone());
        writing.spawn(async move {
            work.await;
            drop(lock);
        });
        Ok(Self { readers, writer, writing, stop, options: Arc::new(options) })
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        self.writer.write(write).await
    }

    /// A transaction that only reads sees the file as it was at its first statement.
    pub(super) async fn view<V: View>(&self, view: V) -> Result<V::Output, WriteError> {
        let mut transaction = self.readers.begin().await?;
        let output = view.look(&mut Tx::Sqlite(&mut transaction)).await?;
        transaction.rollback().await?;
        Ok(output)
    }

    /// Folds as much of the log back into the file as can be without anybody waiting for it.
    pub(super) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        let mut connection: SqliteConnection = self.options.connect().await?;
        // The file becomes shorter when nothing was written meanwhile.
        for _ in 0..CHECKPOINTS_MAX {
            let folding = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
            let row = folding.fetch_one(&mut connection).await?;
            if row.try_get::<i64, _>(2)? >= row.try_get::<i64, _>(1)? {
                break;
            }
        }
        connection.close().await
    }

    /// Commits what has queued, refuses what comes later, and folds the log back into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.stop.cancel();
        self.writing.close();
        self.writing.wait().await;
    }
}

/// The file of a store; none on PostgreSQL.
pub(super) fn file(url: &str) -> Option<&Path> {
    // The rest is a path as it stands: nothing in it is escaped or a parameter.
    url.strip_prefix("sqlite://").map(Path::new)
}

fn options(url: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file(url).unwrap_or(Path::new(url)))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An answered event survives the loss of power, not only of the process.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging()
}

//! SQLite: one file, one writer, several readers.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sql::Tx;
use super::view::View;
use super::write::{Write, WriteError};
use super::writer::{self, Writer};
use super::{StoreError, migrations};

/// How many queries may read at once.
const READERS_MAX: u32 = 4;
/// How much of the log is folded back into the file at a time, in pages of 4 KiB: identities are
/// random, so the pages of their index are written once for all that changed on them meanwhile.
const CHECKPOINT_PAGES: &str = "8000";
/// How much of the file the writer keeps in memory, in KiB (negative, as SQLite wants it).
const WRITER_CACHE_KIB: &str = "-32768";
/// How long to wait for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    writing: TaskTracker,
    stop: CancellationToken,
}

impl Sqlite {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { place: url.to_owned(), source };
        let options = options(url).map_err(failed)?;
        let writes = options.clone().pragma("cache_size", WRITER_CACHE_KIB);
        let mut connection = writes.connect().await.map_err(failed)?;
        migrations::sqlite(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_lazy_with(options.read_only(true));
        let (writer, jobs) = Writer::new();
        let (writing, stop) = (TaskTracker::new(), CancellationToken::new());
        writing.spawn(writer::work(connection, jobs, stop.clone()));
        Ok(Self { readers, writer, writing, stop })
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

    /// Commits what has queued, refuses what comes later, and folds the log back into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.stop.cancel();
        self.writing.close();
        self.writing.wait().await;
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions, sqlx::Error> {
    // The rest is a path as it stands: nothing in it is escaped or a parameter.
    let path = url.strip_prefix("sqlite://").unwrap_or(url);
    Ok(SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An answered event survives the loss of power, not only of the process.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging())
}

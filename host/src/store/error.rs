//! What can go wrong with the store.

use sqlx::migrate::MigrateError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("cannot open the store at {place}")]
    Open {
        /// Its path, or its host and name; never its password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// It was made by a newer version of Hillock.
    #[error(
        "the store was made by a newer version of Hillock: its tables are of version {version}, and \
         this program knows them up to {known}"
    )]
    Newer {
        /// The version of its tables.
        version: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It does not answer.
    #[error("the store does not answer within {} s", .patience.as_secs())]
    Silent {
        /// How long it was waited for.
        patience: std::time::Duration,
    },
    /// A backup is being put in its place.
    #[error("the store at {place} is being restored; start again when that is done")]
    Restoring {
        /// Its path.
        place: String,
    },
    /// The tables cannot be brought up to date.
    #[error("cannot bring the store's tables up to date")]
    Migrate(#[source] MigrateError),
    /// The database failed, or cannot be reached.
    #[error("store operation {operation} failed")]
    Database {
        /// Its name: `accept_events`.
        operation: &'static str,
        /// Why it failed.
        source: sqlx::Error,
    },
    /// A group of writes was not committed.
    #[error("the store failed to commit: {0}")]
    Commit(String),
    /// A row holds what this version cannot read.
    #[error("column `{column}` of table `{table}`, row {id}: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn database(operation: &'static str, source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::PoolClosed => Self::Closed,
            source => Self::Database { operation, source },
        }
    }
}

//! All SQL: definitions, events, decisions, runs, commands, logs and keys, on SQLite or PostgreSQL.
//!
//! ```text
//!            ┌─ definitions ─ events ─ gatherings ─ runs ─ commands ─ …      one file per aggregate
//!   Store ───┤
//!            └─ Write ──► Tx ──► SQLite: one writer that commits waiting writes together
//!                               PostgreSQL: a transaction of its own
//! ```
//! A change is a [`Write`](write::Write): a value with all it needs, applied to a transaction, and
//! safe to apply again when the first try was rolled back. Statements are the same text for both
//! databases where the dialects agree, else they stand side by side as [`Sql`](sql::Sql).
//! Times are bound, never the database's own. What a function returns has been committed.

pub mod commands;
pub mod definitions;
mod error;
pub mod events;
pub mod firing;
pub mod gatherings;
pub mod keys;
mod limits;
pub mod logs;
mod migrations;
pub mod notices;
mod page;
mod postgres;
pub mod runs;
pub mod schedules;
pub mod source_states;
mod sql;
mod sqlite;
mod write;
mod writer;

use sqlx::PgPool;

pub use error::StoreError;
pub use page::{Page, PageRequest};
use sql::{Bind, Row, Sql, Tx};
use sqlite::Sqlite;
use write::Write;

/// The host's memory.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

impl Store {
    /// Opens the store at `url` (`sqlite://PATH` or `postgres://…`) and brings its tables up to
    /// date. A SQLite file is made when there is none.
    ///
    /// # Errors
    /// When it cannot be reached, or was made by a newer version of Hillock.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let database = if url.starts_with("sqlite:") {
            Database::Sqlite(Sqlite::open(url).await?)
        } else {
            Database::Postgres(postgres::open(url).await?)
        };
        Ok(Self { database })
    }

    /// Whether the store answers, and takes writes.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write(Ping).await
    }

    /// Commits what is waiting and closes. Later calls fail as [`StoreError::Closed`].
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }

    async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.write(write).await,
            Database::Postgres(pool) => postgres::write(pool, &write).await,
        }
    }

    /// Runs a query that changes nothing, outside of any transaction.
    async fn read(
        &self,
        doing: &'static str,
        sql: impl Into<Sql>,
        binds: &[Bind],
    ) -> Result<Vec<Row>, StoreError> {
        let failed = |source| StoreError::database(doing, source);
        match &self.database {
            Database::Sqlite(sqlite) => {
                let mut connection = sqlite.readers().acquire().await.map_err(failed)?;
                Tx::Sqlite(&mut connection).rows(sql, binds).await.map_err(failed)
            }
            Database::Postgres(pool) => {
                let mut connection = pool.acquire().await.map_err(failed)?;
                Tx::Postgres(&mut connection).rows(sql, binds).await.map_err(failed)
            }
        }
    }
}

/// A write of nothing, by the way that all writes take.
struct Ping;

impl Write for Ping {
    type Output = ();
    const DOING: &'static str = "answer";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), write::WriteError> {
        tx.row("SELECT 1 AS one", &[]).await?;
        Ok(())
    }
}

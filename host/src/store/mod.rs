//! All SQL: definitions, events, decisions, runs, commands, tasks, sessions, workers and what they
//! say, on SQLite or PostgreSQL.
//!
//! ```text
//!            ┌─ definitions ─ events ─ gatherings ─ runs ─ commands ─ …      one file per aggregate
//!   Store ───┤
//!            └─ Write ──► Tx ──► SQLite: one writer that commits waiting writes together
//!                               PostgreSQL: a transaction of its own
//! ```
//! A change is a [`Write`](write::Write): a value with all it needs, applied to a transaction, and
//! safe to apply again when the first try was rolled back. A [`View`](view::View) reads several
//! things as they were at one instant. Statements are the same text for both
//! databases where the dialects agree, else they stand side by side as [`Sql`](sql::Sql).
//! Times are bound, never the database's own. What a function returns has been committed.

pub mod activity;
pub mod ahead;
pub mod audit;
pub mod backup;
pub mod classes;
pub mod commands;
pub mod controllers;
pub mod deferrals;
pub mod definitions;
mod error;
pub mod events;
pub mod expiry;
pub mod figures;
pub mod firing;
pub mod gatherings;
pub mod ids;
pub mod inputs;
pub mod keys;
mod limits;
pub mod listen;
mod lock;
pub mod logs;
pub mod look;
mod migrations;
pub mod notices;
pub mod orphans;
mod page;
mod postgres;
mod private;
pub mod queues;
mod record;
pub mod retention;
pub mod run_events;
pub mod runs;
pub mod schedules;
pub mod sessions;
mod signals;
pub mod source_states;
pub mod space;
mod sql;
mod sqlite;
mod tally;
pub mod tasks;
mod telling;
mod view;
pub mod workers;
mod write;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;

use crate::metrics::{Connections, Metrics};
use crate::model::audit::Author;
use commands::Fence;
pub use error::StoreError;
pub use page::{Page, PageRequest};
use record::Record;
pub use signals::Listener;
use sql::{Bind, Row, Sql, Tx};
use sqlite::Sqlite;
use view::View;
use write::Write;

/// The host's memory.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    record: Record,
    author: Arc<Author>,
    metrics: Metrics,
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
        Self::measured(url, Metrics::default()).await
    }

    /// The same, and what it does is measured.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn measured(url: &str, metrics: Metrics) -> Result<Self, StoreError> {
        let database = if url.starts_with("sqlite:") {
            Database::Sqlite(Sqlite::open(url, metrics.clone()).await?)
        } else {
            Database::Postgres(postgres::open(url).await?)
        };
        Ok(Self { database, record: Record::default(), author: Arc::default(), metrics })
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
        let begin = Instant::now();
        let written = match &self.database {
            Database::Sqlite(sqlite) => sqlite.write(write).await,
            Database::Postgres(pool) => postgres::write(pool, &write, &self.metrics).await,
        };
        self.metrics.store().asked(W::NAME, begin.elapsed(), written.is_ok());
        written
    }

    /// Reads what belongs together, as it was at one instant.
    async fn view<V: View>(&self, view: V) -> Result<V::Output, StoreError> {
        let begin = Instant::now();
        let seen = match &self.database {
            Database::Sqlite(sqlite) => sqlite.view(view).await,
            Database::Postgres(pool) => postgres::view(pool, view).await,
        };
        self.metrics.store().asked(V::NAME, begin.elapsed(), seen.is_ok());
        seen.map_err(|error| error.into_store_error(V::NAME))
    }

    /// Signals what was told of a run; none when the fence was lost.
    fn tell(&self, run: Option<String>) -> Fence {
        match run {
            Some(run) => {
                self.record.signals.ring(&run);
                Fence::Held
            }
            None => Fence::Lost,
        }
    }

    /// Runs a query that changes nothing, outside of any transaction.
    async fn read(
        &self,
        operation: &'static str,
        sql: impl Into<Sql>,
        binds: &[Bind],
    ) -> Result<Vec<Row>, StoreError> {
        let begin = Instant::now();
        let rows = self.database.rows(sql.into(), binds).await;
        self.metrics.store().asked(operation, begin.elapsed(), rows.is_ok());
        rows.map_err(|source| StoreError::database(operation, source))
    }
}

impl Database {
    async fn rows(&self, sql: Sql, binds: &[Bind]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.readers().acquire().await?;
                Tx::Sqlite(&mut connection).rows(sql, binds).await
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                Tx::Postgres(&mut connection).rows(sql, binds).await
            }
        }
    }

    fn connections(&self) -> Connections {
        match self {
            Self::Sqlite(sqlite) => connections_of(sqlite.readers()),
            Self::Postgres(pool) => connections_of(pool),
        }
    }
}

fn connections_of<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Connections {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    let max = pool.options().get_max_connections();
    Connections { busy: pool.size().saturating_sub(idle), idle, max }
}

/// A write of nothing, by the way that all writes take.
struct Ping;

impl Write for Ping {
    type Output = ();
    const NAME: &'static str = "answer_ping";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), write::WriteError> {
        tx.row("SELECT 1 AS one", &[]).await?;
        Ok(())
    }
}

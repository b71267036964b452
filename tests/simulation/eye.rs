//! The test's own connection: it looks past all of the host's code.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row};

use crate::harness::database::Database;

pub(super) enum Eye {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Eye {
    pub(super) async fn open(database: &Database) -> Self {
        let url = database.url();
        match url.strip_prefix("sqlite://") {
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                Self::Sqlite(options.connect().await.unwrap())
            }
            None => {
                let options: PgConnectOptions = url.parse().unwrap();
                Self::Postgres(options.connect().await.unwrap())
            }
        }
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    pub(super) async fn execute(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match self {
            Self::Sqlite(connection) => statements.execute(connection).await.map(drop),
            Self::Postgres(connection) => statements.execute(connection).await.map(drop),
        }
    }

    /// The rows of a query all of whose columns are texts.
    pub(super) async fn rows(&mut self, query: &str) -> Vec<Vec<Option<String>>> {
        let query = AssertSqlSafe(query.to_owned());
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(query).fetch_all(connection).await.unwrap();
                rows.iter().map(texts).collect()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(query).fetch_all(connection).await.unwrap();
                rows.iter().map(texts).collect()
            }
        }
    }

    /// The same of one that is asked again and again, with a number.
    pub(super) async fn rows_after(
        &mut self,
        query: &'static str,
        number: i64,
    ) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(query).bind(number).fetch_all(connection).await.unwrap();
                rows.iter().map(texts).collect()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(query).bind(number).fetch_all(connection).await.unwrap();
                rows.iter().map(texts).collect()
            }
        }
    }
}

fn texts<R: Row>(row: &R) -> Vec<Option<String>>
where
    usize: sqlx::ColumnIndex<R>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    (0..row.len()).map(|place| row.get(place)).collect()
}

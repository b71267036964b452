//! The few words of SQL that both databases share: statements, binds, rows, transactions.

use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Decode, Row as _, Sqlite, Type};

use super::StoreError;
use crate::model::text::storable;
use crate::model::time::Time;

/// A statement in both dialects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, postgres: both }
    }
}

/// A value bound to `$1`, `$2` …. Text is made storable here; text within a bound JSON document is
/// its maker's to make so.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}
impl From<u32> for Bind {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}
impl From<Option<i64>> for Bind {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}
impl From<Option<Time>> for Bind {
    fn from(value: Option<Time>) -> Self {
        Self::Integer(value.map(Time::as_millis))
    }
}
impl From<bool> for Bind {
    fn from(value: bool) -> Self {
        Self::Integer(Some(value.into()))
    }
}
impl From<Time> for Bind {
    fn from(value: Time) -> Self {
        Self::Integer(Some(value.as_millis()))
    }
}
impl From<&str> for Bind {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}
impl From<String> for Bind {
    fn from(value: String) -> Self {
        Self::Text(Some(storable(value)))
    }
}
impl From<Option<&str>> for Bind {
    fn from(value: Option<&str>) -> Self {
        Self::from(value.map(str::to_owned))
    }
}
impl From<Option<String>> for Bind {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(storable))
    }
}
impl From<&[u8]> for Bind {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
impl From<Vec<u8>> for Bind {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}
impl From<Option<&[u8]>> for Bind {
    fn from(value: Option<&[u8]>) -> Self {
        Self::Bytes(value.map(<[u8]>::to_vec))
    }
}

/// The binds of a statement, in order.
macro_rules! binds {
    ($($value:expr),* $(,)?) => { [$($crate::store::sql::Bind::from($value)),*] };
}
pub(super) use binds;

/// A connection within a transaction, or one that only reads.
pub(super) enum Tx<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

type SqliteQuery = sqlx::query::Query<'static, Sqlite, SqliteArguments>;
type PostgresQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

impl Tx<'_> {
    /// Runs a statement and counts the rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        binds: &[Bind],
    ) -> Result<u64, sqlx::Error> {
        let sql = sql.into();
        Ok(match self {
            Self::Sqlite(c) => sqlite_query(sql, binds).execute(&mut **c).await?.rows_affected(),
            Self::Postgres(c) => {
                postgres_query(sql, binds).execute(&mut **c).await?.rows_affected()
            }
        })
    }

    /// Runs a statement and gives the rows it returns.
    pub(super) async fn rows(
        &mut self,
        sql: impl Into<Sql>,
        binds: &[Bind],
    ) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sql.into();
        Ok(match self {
            Self::Sqlite(c) => {
                let rows = sqlite_query(sql, binds).fetch_all(&mut **c).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(c) => {
                let rows = postgres_query(sql, binds).fetch_all(&mut **c).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs a statement and gives the first row it returns.
    pub(super) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        binds: &[Bind],
    ) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, binds).await?.into_iter().next())
    }
}

fn sqlite_query(sql: Sql, binds: &[Bind]) -> SqliteQuery {
    binds.iter().fold(sqlx::query(sql.sqlite), |query, bind| match bind.clone() {
        Bind::Integer(value) => query.bind(value),
        Bind::Text(value) => query.bind(value),
        Bind::Bytes(value) => query.bind(value),
    })
}

fn postgres_query(sql: Sql, binds: &[Bind]) -> PostgresQuery {
    binds.iter().fold(sqlx::query(sql.postgres), |query, bind| match bind.clone() {
        Bind::Integer(value) => query.bind(value),
        Bind::Text(value) => query.bind(value),
        Bind::Bytes(value) => query.bind(value),
    })
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that a column of either database can be read as.
pub(super) trait Column:
    Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>
{
}
impl<T> Column for T where
    T: Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>
{
}

impl Row {
    /// A column's value.
    pub(super) fn get<T: Column>(&self, column: &'static str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// Reads the columns of one row of one table, and says which when it cannot.
pub(super) struct Reader<'r> {
    table: &'static str,
    row: &'r Row,
}

impl<'r> Reader<'r> {
    pub(super) fn new(table: &'static str, row: &'r Row) -> Self {
        Self { table, row }
    }

    /// A column as the database has it.
    pub(super) fn get<T: Column>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| self.unreadable(column, error))
    }

    /// A column as a domain type.
    pub(super) fn parse<T, R>(
        &self,
        column: &'static str,
        parse: impl FnOnce(R) -> Option<T>,
    ) -> Result<T, StoreError>
    where
        R: Column,
    {
        parse(self.get(column)?).ok_or_else(|| self.unreadable(column, "not a value it may have"))
    }

    /// A text column as a domain type.
    pub(super) fn text<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.parse(column, |text: String| text.parse().ok())
    }

    /// The same, where it may be NULL.
    pub(super) fn text_if_any<T: std::str::FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.parse(column, |text: Option<String>| match text {
            Some(text) => text.parse().ok().map(Some),
            None => Some(None),
        })
    }

    /// A text column that holds JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        self.parse(column, |text: String| serde_json::from_str(&text).ok())
    }

    /// The same, where it may be NULL.
    pub(super) fn json_if_any<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.parse(column, |text: Option<String>| match text {
            Some(text) => serde_json::from_str(&text).ok().map(Some),
            None => Some(None),
        })
    }

    /// A column of milliseconds since the Unix epoch.
    pub(super) fn time(&self, column: &'static str) -> Result<Time, StoreError> {
        self.parse(column, Time::from_millis)
    }

    /// The same, where it may be NULL.
    pub(super) fn time_if_any(&self, column: &'static str) -> Result<Option<Time>, StoreError> {
        self.parse(column, |ms: Option<i64>| match ms {
            Some(ms) => Time::from_millis(ms).map(Some),
            None => Some(None),
        })
    }

    /// A column that is 0 or 1.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.get::<i64>(column)? != 0)
    }

    /// The same, where it may be NULL.
    pub(super) fn flag_if_any(&self, column: &'static str) -> Result<Option<bool>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(|flag| flag != 0))
    }

    /// A column that counts.
    pub(super) fn count(&self, column: &'static str) -> Result<u32, StoreError> {
        self.parse(column, |n: i64| u32::try_from(n).ok())
    }

    fn unreadable(&self, column: &'static str, reason: impl ToString) -> StoreError {
        let id = self.row.get::<String>("id").unwrap_or_else(|_| "(unnamed)".to_owned());
        StoreError::Row { table: self.table, column, id, reason: reason.to_string() }
    }
}

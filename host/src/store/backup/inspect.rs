//! Whether a file is a store, whole, and one that this program can work with.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use super::super::migrations;

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What is in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// The version of its tables.
    pub version: i64,
    /// The size of the file.
    pub bytes: u64,
    /// How many events it has.
    pub events: u64,
    /// How many runs.
    pub runs: u64,
    /// How many tasks.
    pub tasks: u64,
    /// How many sessions.
    pub sessions: u64,
    /// How many definitions.
    pub definitions: u64,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is something else.
    #[error("it is not a Hillock store")]
    Foreign,
    /// Its log, which may hold more, lies beside it.
    #[error(
        "a write-ahead log lies beside it: it is a store in use, or left by a crash, and no \
             backup; `hillock backup` makes one of it"
    )]
    Unfolded,
    /// It was made by a newer version of Hillock.
    #[error(
        "it was made by a newer version of Hillock: its tables are of version {version}, and this \
         program knows them up to {known}"
    )]
    Newer {
        /// The version of its tables.
        version: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Some of it is missing or wrong.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

const SELECT_TABLES: &str = "\
SELECT count(*)
  FROM sqlite_schema
 WHERE type = 'table'
   AND name IN ('_sqlx_migrations', 'events', 'runs')";

const SELECT_VERSIONS: &str = "\
SELECT version, checksum
  FROM _sqlx_migrations
 WHERE success
 ORDER BY version";

const SELECT_COUNTS: &str = "\
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM runs) AS runs,
       (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM sessions) AS sessions,
       (SELECT count(*) FROM definitions) AS definitions";

/// The tables of the first version, before there were tasks, sessions and definitions.
const SELECT_FIRST_COUNTS: &str = "\
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM runs) AS runs,
       0 AS tasks, 0 AS sessions, 0 AS definitions";

/// Reads all of the file and says what is in it.
///
/// # Errors
/// When it is no whole store that this program can work with.
pub async fn inspect(file: &Path) -> Result<Inspected, Unsound> {
    let bytes = recognise(file)?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        // Nobody writes to it, and nothing is to be made beside it.
        .immutable(true)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(damaged)?;
    let version = version(&mut connection).await?;
    whole(&mut connection).await?;
    let inspected = count(&mut connection, version, bytes).await.map_err(damaged)?;
    connection.close().await.map_err(damaged)?;
    Ok(inspected)
}

fn recognise(file: &Path) -> Result<u64, Unsound> {
    let read = || -> io::Result<(u64, Vec<u8>)> {
        let mut file = File::open(file)?;
        let mut begin = vec![];
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begin)?;
        Ok((file.metadata()?.len(), begin))
    };
    let (bytes, begin) = read().map_err(Unsound::Unreadable)?;
    match begin == MAGIC {
        true => Ok(bytes),
        false => Err(Unsound::Foreign),
    }
}

fn damaged(error: sqlx::Error) -> Unsound {
    Unsound::Damaged(match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    })
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, Unsound> {
    let tables = sqlx::query(SELECT_TABLES).fetch_one(&mut *connection).await.map_err(damaged)?;
    if tables.get::<i64, _>(0) < 3 {
        return Err(Unsound::Foreign);
    }
    let rows = sqlx::query(SELECT_VERSIONS).fetch_all(connection).await.map_err(damaged)?;
    let known = migrations::sqlite_versions();
    let newest = known.last().map_or(0, |(version, _)| *version);
    let mut version = 0;
    for row in &rows {
        version = row.try_get("version").map_err(damaged)?;
        let checksum: Vec<u8> = row.try_get("checksum").map_err(damaged)?;
        if version > newest {
            return Err(Unsound::Newer { version, known: newest });
        }
        if !known.contains(&(version, checksum)) {
            return Err(Unsound::Foreign);
        }
    }
    if version == 0 { Err(Unsound::Foreign) } else { Ok(version) }
}

async fn whole(connection: &mut SqliteConnection) -> Result<(), Unsound> {
    let rows = sqlx::query("PRAGMA integrity_check(1)").fetch_all(connection).await;
    let rows = rows.map_err(damaged)?;
    let said: String =
        rows.first().map_or(Ok(String::new()), |row| row.try_get(0)).map_err(damaged)?;
    if said == "ok" { Ok(()) } else { Err(Unsound::Damaged(said)) }
}

async fn count(
    connection: &mut SqliteConnection,
    version: i64,
    bytes: u64,
) -> Result<Inspected, sqlx::Error> {
    let sql = if version < 3 { SELECT_FIRST_COUNTS } else { SELECT_COUNTS };
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let number = |column| -> Result<u64, sqlx::Error> {
        Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
    };
    Ok(Inspected {
        version,
        bytes,
        events: number("events")?,
        runs: number("runs")?,
        tasks: number("tasks")?,
        sessions: number("sessions")?,
        definitions: number("definitions")?,
    })
}

//! What a store is like, seen without changing anything in it: before a host brings its tables up to
//! date, and for who looks after it.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::sql::{Reader, Sql, Tx};
use super::{StoreError, migrations, postgres, sqlite};
use crate::model::time::Time;

/// How long a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version of its tables; none when it has none yet.
    pub version: Option<i64>,
    /// The version that this program makes of them.
    pub wanted: i64,
    /// When the latest thing in it happened, by the clock of whoever noted it.
    pub latest: Option<Time>,
}

// A relation of that name on the search path.
const HAS_TABLES: Sql = Sql {
    sqlite: "SELECT count(*) AS found FROM sqlite_schema WHERE name = '_sqlx_migrations'",
    postgres: "SELECT count(*) AS found FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
};

const SELECT_VERSION: &str = "\
SELECT CAST(COALESCE(MAX(version), 0) AS bigint) AS version
  FROM _sqlx_migrations
 WHERE success";

// Of the last ones that came: a clock may have gone back since.
const SELECT_LATEST: &str = "\
SELECT MAX(received_at) AS latest
  FROM (SELECT received_at
          FROM events
         ORDER BY seq DESC
         LIMIT 1000) AS found";

impl Seen {
    fn empty() -> Self {
        Self { version: None, wanted: migrations::newest(), latest: None }
    }

    /// Whether a host changes its tables, and there is something in them.
    pub fn is_to_be_migrated(&self) -> bool {
        self.version.is_some_and(|version| version < self.wanted)
    }
}

/// Looks at the store at `url`.
///
/// # Errors
/// When it cannot be opened, or was made by a newer version of Hillock.
pub async fn look(url: &str) -> Result<Seen, StoreError> {
    let looked = match sqlite::file(url) {
        Some(file) => tokio::time::timeout(PATIENCE, of_sqlite(url, file)).await,
        None => tokio::time::timeout(PATIENCE, of_postgres(url)).await,
    };
    let seen = looked.map_err(|_| StoreError::Silent { patience: PATIENCE })??;
    match seen.version {
        Some(version) if version > seen.wanted => {
            Err(StoreError::Newer { version, known: seen.wanted })
        }
        _ => Ok(seen),
    }
}

async fn of_sqlite(url: &str, file: &Path) -> Result<Seen, StoreError> {
    let failed = |source| StoreError::Open { place: url.to_owned(), source };
    if !file.try_exists().map_err(|error| failed(error.into()))? {
        let folder = file.parent().filter(|folder| *folder != Path::new(""));
        return match folder.is_none_or(Path::is_dir) {
            true => Ok(Seen::empty()),
            false => Err(failed(std::io::Error::other("its folder is not there").into())),
        };
    }
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
    let seen = of_tables(&mut Tx::Sqlite(&mut connection)).await?;
    connection.close().await.map_err(failed)?;
    Ok(seen)
}

async fn of_postgres(url: &str) -> Result<Seen, StoreError> {
    let unreadable = |source| StoreError::Open { place: "its URL".to_owned(), source };
    let options = PgConnectOptions::from_str(url).map_err(unreadable)?.disable_statement_logging();
    let options = postgres::with_password(options, url);
    let failed = |source| StoreError::Open { place: postgres::place(&options), source };
    let mut connection = options.connect().await.map_err(failed)?;
    let seen = of_tables(&mut Tx::Postgres(&mut connection)).await?;
    connection.close().await.map_err(failed)?;
    Ok(seen)
}

async fn of_tables(tx: &mut Tx<'_>) -> Result<Seen, StoreError> {
    let failed = |source| StoreError::database("look at its tables", source);
    let found = tx.row(HAS_TABLES, &[]).await.map_err(failed)?;
    let has = match &found {
        Some(row) => Reader::new("_sqlx_migrations", row).count("found")? > 0,
        None => false,
    };
    let version = match has {
        true => tx.row(SELECT_VERSION, &[]).await.map_err(failed)?,
        false => return Ok(Seen::empty()),
    };
    let version = match &version {
        Some(row) => Reader::new("_sqlx_migrations", row).get::<i64>("version")?,
        None => 0,
    };
    if version == 0 {
        return Ok(Seen::empty());
    }
    let latest = tx.row(SELECT_LATEST, &[]).await.map_err(failed)?;
    let latest = match &latest {
        Some(row) => Reader::new("events", row).time_if_any("latest")?,
        None => None,
    };
    Ok(Seen { version: Some(version), latest, ..Seen::empty() })
}

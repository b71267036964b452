//! A database of a test's own, gone when the test is.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, postgres::PgConnectOptions,
};
use tempfile::TempDir;

/// Where `tests/run` says that its PostgreSQL is.
const SERVER: &str = "HILLOCK_TEST_POSTGRES";

pub(crate) enum Database {
    Sqlite(TempDir),
    /// Without a name, one of somebody else's, who sees to its end.
    Postgres {
        name: Option<String>,
        url: String,
    },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hillock_{}_{count}", std::process::id());
        administer(format!("CREATE DATABASE {name}")).await;
        let mut url: reqwest::Url = server().parse().unwrap();
        url.set_path(&name);
        Self::Postgres { name: Some(name), url: url.into() }
    }

    pub(crate) fn elsewhere(url: String) -> Self {
        Self::Postgres { name: None, url }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite://{}", file(dir.path())),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Takes a PostgreSQL database away from everybody, or gives it back.
    pub(crate) async fn reachable(&self, reachable: bool) {
        let Self::Postgres { name: Some(name), .. } = self else {
            panic!("a file is always reachable")
        };
        administer(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {reachable}")).await;
        let sessions = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        administer(sessions).await;
    }

    /// Executes statements past all of the host's own code.
    pub(crate) async fn execute(&self, statements: &str) {
        self.try_execute(statements).await.unwrap();
    }

    /// The same, where the database may refuse.
    pub(crate) async fn try_execute(&self, statements: &str) -> sqlx::Result<()> {
        let statements = AssertSqlSafe(statements.to_owned());
        match self {
            Self::Sqlite(dir) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file(dir.path()));
                let mut connection = options.connect().await.unwrap();
                let done = sqlx::raw_sql(statements).execute(&mut connection).await;
                // The host's own journal, left as it was.
                connection.close().await.unwrap();
                done.map(drop)
            }
            Self::Postgres { url, .. } => {
                let options: PgConnectOptions = url.parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                let done = sqlx::raw_sql(statements).execute(&mut connection).await;
                connection.close().await.unwrap();
                done.map(drop)
            }
        }
    }

    /// How SQLite would answer a query.
    pub(crate) async fn plan(&self, query: &'static str) -> String {
        let Self::Sqlite(dir) = self else { panic!("SQLite's plan") };
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file(dir.path()));
        let mut connection = options.read_only(true).connect().await.unwrap();
        let query = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
    }

    /// How many rows a table has, past all of the host's own code.
    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        let query = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        match self {
            Self::Sqlite(dir) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file(dir.path()));
                let mut connection = options.read_only(true).connect().await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
            Self::Postgres { url, .. } => {
                let options: PgConnectOptions = url.parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
        }
    }
}

fn file(dir: &Path) -> String {
    dir.join("hillock.db").display().to_string()
}

fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!("{SERVER} is not set: `tests/run` starts a PostgreSQL and runs the tests on it")
    })
}

async fn administer(statement: String) {
    let options: PgConnectOptions = server().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { name: Some(name), .. } = self else { return };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // The test's own runtime is ending, or unwinding.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(administer(statement));
        });
        if dropping.join().is_err() {
            eprintln!("the database {name} was not dropped");
        }
    }
}

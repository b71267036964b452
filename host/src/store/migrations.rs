//! The tables, brought up to date at start. Migrations are only ever added, under the same number
//! and name for both databases; one that has run is never changed, and its checksum sees to it.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqliteConnection};

use super::StoreError;

/// How often SQLite's migrations are tried.
const TRIES_MAX: u32 = 5;

macro_rules! migrations {
    ($database:literal: $($version:literal $name:literal),* $(,)?) => {
        [$((
            $version,
            $name,
            include_str!(concat!("../../../migrations/", $database, "/", $name, ".sql")),
        )),*]
    };
}

const SQLITE: [(i64, &str, &str); 12] = migrations!(
    "sqlite": 1 "0001_inbox_runs_queue",
    2 "0002_automations",
    3 "0003_dispatch",
    4 "0004_controllers",
    5 "0005_audit",
    6 "0006_retention",
    7 "0007_repeats",
    8 "0008_clock",
    9 "0009_histories",
    10 "0010_delivery",
    11 "0011_isolation",
    12 "0012_pauses",
);
const POSTGRES: [(i64, &str, &str); 12] = migrations!(
    "postgres": 1 "0001_inbox_runs_queue",
    2 "0002_automations",
    3 "0003_dispatch",
    4 "0004_controllers",
    5 "0005_audit",
    6 "0006_retention",
    7 "0007_repeats",
    8 "0008_clock",
    9 "0009_histories",
    10 "0010_delivery",
    11 "0011_isolation",
    12 "0012_pauses",
);

/// The version of SQLite's tables by this program, with the checksum of each migration that leads
/// to it.
pub(super) fn sqlite_versions() -> Vec<(i64, Vec<u8>)> {
    migrator(&SQLITE).iter().map(|one| (one.version, one.checksum.to_vec())).collect()
}

/// The version of the tables by this program, which is the same for both databases.
pub(super) fn newest() -> i64 {
    SQLITE.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // A table whose columns change is made anew under its old name; rows of other tables that
    // refer to it must not go with the old one. Within a transaction this cannot be switched.
    set_foreign_keys(connection, "PRAGMA foreign_keys = OFF").await?;
    let migrated = migrate_sqlite(connection).await;
    set_foreign_keys(connection, "PRAGMA foreign_keys = ON").await?;
    migrated
}

async fn set_foreign_keys(
    connection: &mut SqliteConnection,
    pragma: &'static str,
) -> Result<(), StoreError> {
    let set = sqlx::query(pragma).execute(connection).await;
    set.map(|_| ()).map_err(|error| StoreError::Migrate(error.into()))
}

async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrator = migrator(&SQLITE);
    announce(&migrator, connection).await?;
    let mut tries = 1;
    loop {
        match migrator.run_direct(None, connection, false).await {
            // SQLite has no lock for this: another process may have made the same tables meanwhile.
            // Each migration is a transaction, so looking again shows it.
            Err(MigrateError::ExecuteMigration(..)) if tries < TRIES_MAX => tries += 1,
            result => return result.map_err(StoreError::Migrate),
        }
    }
}

pub(super) async fn postgres(pool: &PgPool) -> Result<(), StoreError> {
    // Takes an advisory lock, so that replicas that start together wait for each other.
    let migrator = migrator(&POSTGRES);
    let connection = pool.acquire().await;
    let mut connection = connection.map_err(|error| StoreError::Migrate(error.into()))?;
    announce(&migrator, &mut *connection).await?;
    migrator.run_direct(None, &mut *connection, false).await.map_err(StoreError::Migrate)
}

/// Says so when there is something to do: on a large store it takes its time.
async fn announce(migrator: &Migrator, connection: &mut impl Migrate) -> Result<(), StoreError> {
    let applied = async {
        // PostgreSQL's advisory lock, so that only one host makes the table; none on SQLite.
        connection.lock().await?;
        connection.ensure_migrations_table(&migrator.table_name).await?;
        let applied = connection.list_applied_migrations(&migrator.table_name).await;
        connection.unlock().await?;
        applied
    };
    let applied = applied.await.map_err(StoreError::Migrate)?;
    let pending = migrator.iter().count().saturating_sub(applied.len());
    match (pending, applied.is_empty()) {
        (0, _) => {}
        (_, true) => tracing::info!("migrating the store"),
        (_, false) => tracing::warn!(
            pending,
            "bringing the store's tables up to date, after which no earlier version of Hillock can \
             use them; for a way back, stop a host before it starts with a new version and say \
             `hillock backup FILE` (on PostgreSQL, it shows how)"
        ),
    }
    Ok(())
}

fn migrator(scripts: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, name, script): &(i64, &'static str, &'static str)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(script);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(scripts.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_are_in_step() {
        let names = |scripts: &[(i64, &'static str, &str)]| -> Vec<(i64, &'static str)> {
            scripts.iter().map(|(version, name, _)| (*version, *name)).collect()
        };
        assert_eq!(names(&SQLITE), names(&POSTGRES));
    }
}

//! A copy of a store that others may be writing to.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::super::StoreError;

/// How long to wait for a host that is just beginning or ending.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Copies the store in `from`, as it is at one instant, into the empty file `into`. Writers go on
/// meanwhile; what they commit after the beginning is not in it.
///
/// # Errors
/// When there is no store, or not enough room.
pub async fn copy(from: &Path, into: &Path) -> Result<(), StoreError> {
    let place = || from.display().to_string();
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let opened = options.connect().await;
    let mut connection = opened.map_err(|source| StoreError::Open { place: place(), source })?;
    let failed = |source| StoreError::database("copy itself", source);
    let mode = sqlx::query("SELECT auto_vacuum FROM pragma_auto_vacuum");
    let mode: i64 = mode.fetch_one(&mut connection).await.map_err(failed)?.get(0);
    if mode == 0 {
        // Made by an earlier version: the copy can give back what is removed.
        let pragma = sqlx::query("PRAGMA auto_vacuum = INCREMENTAL");
        pragma.execute(&mut connection).await.map_err(failed)?;
    }
    let into_text = into.to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO $1").bind(into_text).execute(&mut connection).await;
    copied.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    // SQLite leaves that to the file system.
    File::open(into).and_then(|file| file.sync_all()).map_err(|error| failed(error.into()))
}

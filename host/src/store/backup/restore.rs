//! A backup in the store's place.
//!
//! ```text
//! lock        nobody has the store open, nor opens it until this is done
//! copy        the backup beside the store, on disk, and looked at: all that can be refused is
//! fold        the old store's log into its file, or, when it cannot be read, aside with it
//! link        the old store under its new name
//! rename      the copy over the store: before this, a host finds the old one, afterwards the new
//! ```

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tempfile::NamedTempFile;

use super::super::lock::{self, beside};
use super::super::private;
use super::{Inspected, Unsound, inspect};
use crate::model::time::Time;

/// How long to wait for somebody who reads the old store.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What may lie beside a store's file, and belongs to it.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the store holds now.
    pub holds: Inspected,
    /// Where the old store is, if there was one.
    pub kept: Option<PathBuf>,
}

/// Why nothing was restored. The old store is where it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A host is running.
    #[error("a host has the store {} open: stop it first", .0.display())]
    InUse(PathBuf),
    /// Something else has it open.
    #[error("another program has the store {} open", .0.display())]
    Busy(PathBuf),
    /// The backup is of no use.
    #[error("cannot restore {}", .path.display())]
    Unsound {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: Unsound,
    },
    /// A file cannot be written.
    #[error("cannot {doing} {}", .path.display())]
    Files {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Puts the backup `from` in the place of the store at `store`.
///
/// # Errors
/// When a host has the store open, or the backup is no whole store of this or an earlier version.
pub async fn restore(store: &Path, from: &Path, now: Time) -> Result<Restored, RestoreError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Files { doing, path, source }
    };
    let lock = lock::alone(store).map_err(failed("lock the store", store))?;
    let _lock = lock.ok_or_else(|| RestoreError::InUse(store.to_owned()))?;
    let unsound = |source| RestoreError::Unsound { path: from.to_owned(), source };
    if beside(from, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Err(unsound(Unsound::Unfolded));
    }
    let copy = copied(store, from).map_err(failed("copy the backup beside", store))?;
    let holds = inspect(copy.path()).await.map_err(unsound)?;
    let kept = keep(store, now).await?;
    copy.persist(store).map_err(|error| failed("replace", store)(error.error))?;
    let folder = File::open(folder(store)).and_then(|folder| folder.sync_all());
    folder.map_err(failed("write the folder of", store))?;
    Ok(Restored { holds, kept })
}

fn folder(store: &Path) -> &Path {
    match store.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A copy beside the store, on disk, whose owner is the old store's.
fn copied(store: &Path, from: &Path) -> io::Result<NamedTempFile> {
    let mut copy = NamedTempFile::new_in(folder(store))?;
    io::copy(&mut File::open(from)?, copy.as_file_mut())?;
    if let Ok(old) = fs::metadata(store) {
        let new = copy.as_file().metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            chown(copy.path(), Some(old.uid()), Some(old.gid()))?;
        }
        let mode = old.mode() & 0o700;
        copy.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    copy.as_file().sync_all()?;
    Ok(copy)
}

/// Gives the old store another name, its log with it; the present name stays until another file takes
/// it. A log that stayed behind would be taken for the new store's.
async fn keep(store: &Path, now: Time) -> Result<Option<PathBuf>, RestoreError> {
    let name: String = now.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let kept = beside(store, &format!(".before-restore-{name}"));
    let failed = |source| RestoreError::Files { doing: "keep", path: store.to_owned(), source };
    if store.exists() {
        fold(store).await?;
    }
    private::tighten(store).map_err(failed)?;
    for end in SIDECARS {
        private::tighten(&beside(store, end)).map_err(failed)?;
        match fs::rename(beside(store, end), beside(&kept, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    match fs::hard_link(store, &kept) {
        Ok(()) => Ok(Some(kept)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Not every file system has links.
        Err(_) => fs::rename(store, &kept).map(|()| Some(kept)).map_err(failed),
    }
}

/// Folds the old store's log into its file. One that cannot be read is left as it is.
async fn fold(store: &Path) -> Result<(), RestoreError> {
    let options = SqliteConnectOptions::new()
        .filename(store)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let Ok(mut connection) = options.connect().await else { return Ok(()) };
    let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await;
    let busy = folded.is_ok_and(|row| row.try_get::<i64, _>(0).is_ok_and(|busy| busy != 0));
    // The last to close removes the log.
    let _ = connection.close().await;
    if busy { Err(RestoreError::Busy(store.to_owned())) } else { Ok(()) }
}

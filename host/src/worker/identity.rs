//! Who a process is, across restarts: a worker, or a replica of the host.
//!
//! It keeps its identifier in a file and a lock on that file for as long as it lives. The next
//! process in the same folder is then the same one, and gets back at once what the dead one held. A
//! second live process in the folder is another, with an identifier of its own that nothing
//! remembers.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::id::InvalidId;

/// The file of a worker's identifier in its data folder.
pub const WORKER: &str = "worker.id";
/// The file of a host's.
pub const REPLICA: &str = "replica.id";

/// An identifier, a process's own while this lives.
#[derive(Debug)]
pub struct Identity<I> {
    /// The identifier.
    pub id: I,
    _lock: Option<File>,
}

/// Why a process does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file, or the folder it is in, cannot be read or made.
    #[error("cannot keep this process's identifier in {}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold an identifier: remove it to get a new one", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        source: InvalidId,
    },
}

/// The identity kept in the file of `data_dir`, made with `mint` when there is none or when another
/// live process has it. The folder is made if it is missing.
///
/// # Errors
/// When the file cannot be used, or holds something else.
pub fn claim<I>(
    data_dir: &Path,
    file: &str,
    mint: impl FnOnce() -> I,
) -> Result<Identity<I>, IdentityError>
where
    I: Display + FromStr<Err = InvalidId>,
{
    let path = data_dir.join(file);
    let unusable = |source| IdentityError::Unusable { path: path.clone(), source };
    std::fs::create_dir_all(data_dir).map_err(unusable)?;
    let mut file = open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Identity { id: mint(), _lock: None }),
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unusable)?;
    let id = match text.trim() {
        "" => write(&mut file, mint()).map_err(unusable)?,
        text => text.parse().map_err(|source| IdentityError::Foreign { path, source })?,
    };
    Ok(Identity { id, _lock: Some(file) })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn write<I: Display>(file: &mut File, id: I) -> io::Result<I> {
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::id::WorkerId;
    use crate::model::time::Time;

    fn numbered(n: u8) -> WorkerId {
        WorkerId::mint(Time::from_millis(1_000).unwrap(), [n; 10])
    }

    #[test]
    fn a_restarted_worker_is_the_same_and_a_second_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("made/on/demand");
        let first = claim(&data_dir, WORKER, || numbered(1)).unwrap();
        assert_eq!(first.id, numbered(1));
        assert_eq!(claim(&data_dir, WORKER, || numbered(2)).unwrap().id, numbered(2));
        drop(first);
        assert_eq!(claim(&data_dir, WORKER, || numbered(3)).unwrap().id, numbered(1));
    }

    #[test]
    fn only_its_owner_can_read_the_file() {
        let folder = tempfile::tempdir().unwrap();
        claim(folder.path(), WORKER, || numbered(1)).unwrap();
        let mode = folder.path().join(WORKER).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_something_else_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WORKER);
        std::fs::write(&path, "key_00000000000070008000000000000000").unwrap();
        let error = claim(folder.path(), WORKER, || numbered(1)).unwrap_err();
        assert!(matches!(&error, IdentityError::Foreign { path: named, .. } if *named == path));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("key_"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::NamedTempFile::new().unwrap();
        let error = claim(folder.path(), WORKER, || numbered(1)).unwrap_err();
        assert!(matches!(error, IdentityError::Unusable { .. }));
    }
}

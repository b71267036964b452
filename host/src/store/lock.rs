//! Who has a SQLite store open: every host shares a lock on a file beside it; a restore needs it
//! alone. It ends with the process, however that ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A part in the lock of a store; none while it is being restored.
pub(super) fn shared(store: &Path) -> io::Result<Option<File>> {
    held(open(store)?, File::try_lock_shared)
}

/// The whole lock of a store; none while anybody has it open.
pub(super) fn alone(store: &Path) -> io::Result<Option<File>> {
    held(open(store)?, File::try_lock)
}

fn held(file: File, lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<File>> {
    match lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

// A file of its own: closing the store's would let go of SQLite's locks on it.
fn open(store: &Path) -> io::Result<File> {
    let path = beside(store, ".lock");
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The file of this name's end beside the store.
pub(super) fn beside(store: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(end);
    name.into()
}

//! A SQLite store's files are its owner's alone. SQLite makes the files beside a store with the
//! store's own mode, so what is made once is right ever after.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::lock::beside;

/// What a store's files may be used for, and by whom.
const MODE: u32 = 0o600;
/// The ends of the names of a store's files.
const FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Makes the store's file, if there is none, so that only its owner can use it, and takes the files
/// there are back from everybody else.
pub(super) fn secure(store: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(store) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for end in FILES {
        tighten(&beside(store, end))?;
    }
    Ok(())
}

/// Takes a file back from others who could use it; they may have.
pub(super) fn tighten(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(meta) if meta.is_file() && meta.mode() & 0o077 != 0 => {
            match fs::set_permissions(file, Permissions::from_mode(meta.mode() & 0o700)) {
                // It belongs to somebody who lets this user write: that is their decision.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    tracing::warn!("{} can be used by others, and is not ours", file.display());
                    Ok(())
                }
                tightened => tightened.map(|()| {
                    tracing::warn!(
                        "{} could be read by others; it cannot any more",
                        file.display()
                    );
                }),
            }
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

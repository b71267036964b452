//! What a worker got when it joined a host: its identifier and its credential, which is shown once.
//!
//! They are kept in a file for each host, readable by its owner only, and the file is locked for as
//! long as the worker lives: two processes with one credential would take each other's connection.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::id::WorkerId;

/// Who a worker is for one host, and the proof of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The host's URL.
    pub host: String,
    /// The identifier that the host gave.
    pub id: WorkerId,
    /// What opens the host's door.
    pub credential: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("host", &self.host).field("id", &self.id).finish()
    }
}

/// The file of one host's credential, this process's own while this lives.
#[derive(Debug)]
pub struct Keep {
    path: PathBuf,
    file: File,
}

/// Why a credential cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read or written.
    #[error("cannot keep this worker's credential in {}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process is this worker.
    #[error(
        "another process is the worker whose credential is in {}: give this one a --data-dir of \
         its own",
        .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{} does not hold a worker's credential: remove it, and join again", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Keep {
    /// The file for `host` in `data_dir`; none when there is no such file and it is not to be made.
    ///
    /// # Errors
    /// When it cannot be used, or another process does.
    pub fn open(data_dir: &Path, host: &str, make: bool) -> Result<Option<Self>, CredentialError> {
        let key = hex::encode(&Sha256::digest(host)[..8]);
        let path = data_dir.join(format!("worker.{key}.json"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(make).truncate(false).mode(0o600);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && !make => return Ok(None),
            Err(source) => return Err(CredentialError::Unusable { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, file })),
            Err(TryLockError::WouldBlock) => Err(CredentialError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(CredentialError::Unusable { path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept, if anything is.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn credential(&mut self) -> Result<Option<Credential>, CredentialError> {
        let path = || self.path.clone();
        let mut text = String::new();
        let unusable = |source| CredentialError::Unusable { path: path(), source };
        self.file.rewind().map_err(unusable)?;
        self.file.read_to_string(&mut text).map_err(unusable)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|source| CredentialError::Foreign { path: path(), source })
    }

    /// Keeps a credential, in place of any other.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, credential: &Credential) -> Result<(), CredentialError> {
        self.replace(credential)
            .map_err(|source| CredentialError::Unusable { path: self.path.clone(), source })
    }

    fn replace(&mut self, credential: &Credential) -> io::Result<()> {
        self.file.rewind()?;
        self.file.set_len(0)?;
        serde_json::to_writer(&self.file, credential)?;
        self.file.write_all(b"\n")?;
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::time::Time;

    fn credential(host: &str) -> Credential {
        let id = WorkerId::mint(Time::from_millis(1_000).unwrap(), [1; 10]);
        Credential { host: host.to_owned(), id, credential: "hlk_wrk_1".to_owned() }
    }

    #[test]
    fn what_is_kept_is_read_back_for_that_host_only() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = ("https://one/", "https://other/");
        assert!(Keep::open(folder.path(), one, false).unwrap().is_none());
        let mut keep = Keep::open(folder.path(), one, true).unwrap().unwrap();
        assert_eq!(keep.credential().unwrap(), None);
        keep.write(&credential("https://a-longer-one-that-is-replaced/")).unwrap();
        keep.write(&credential(one)).unwrap();
        assert_eq!(keep.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(keep);
        let mut keep = Keep::open(folder.path(), one, false).unwrap().unwrap();
        assert_eq!(keep.credential().unwrap(), Some(credential(one)));
        assert!(Keep::open(folder.path(), other, false).unwrap().is_none());
        assert!(!format!("{:?}", credential(one)).contains("hlk_wrk"));
    }

    #[test]
    fn one_process_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let _keep = Keep::open(folder.path(), "https://h/", true).unwrap();
        let error = Keep::open(folder.path(), "https://h/", true).unwrap_err();
        assert!(matches!(error, CredentialError::InUse { .. }));
    }

    #[test]
    fn a_file_of_something_else_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut keep = Keep::open(folder.path(), "https://h/", true).unwrap().unwrap();
        std::fs::write(keep.path(), "hlk_1").unwrap();
        assert!(matches!(keep.credential(), Err(CredentialError::Foreign { .. })));
        assert_eq!(std::fs::read_to_string(keep.path()).unwrap(), "hlk_1");
    }
}

//! The data folder: the first key, the address, and the cache of compiled components. It is the
//! host's own; nobody else can read it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::config::{ADMIN_KEY, content};
use crate::store::{Store, keys};

/// The file that says where a running host is reached.
const ADDRESS: &str = "address";
/// The longest file with a key, in bytes.
const KEY_BYTES_MAX: u64 = 4096;

/// The data folder.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data folder {}", path.display()))?;
        // An absolute path: the program's working folder is not the host's to rely on.
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot use the data folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where compiled components are kept.
    pub fn component_cache(&self) -> PathBuf {
        self.0.join("cache").join("components")
    }

    /// The admin's key, made and written to a file of its owner's only when there is none. The
    /// store gets its hash.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the store fails.
    pub async fn admin_key(&self, store: &Store, clock: Clock) -> anyhow::Result<String> {
        let file = self.0.join(ADMIN_KEY);
        let key = match content::read_text(&file, KEY_BYTES_MAX) {
            Ok(text) => {
                make_private(&file).with_context(|| cannot_write(&file))?;
                text.trim().to_owned()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = format!("hlk_{}", hex::encode(clock.random::<32>()));
                write_owned(&file, &key).with_context(|| cannot_write(&file))?;
                tracing::info!("the admin's API key is in {}", file.display());
                key
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        ensure!(
            !key.is_empty(),
            "{} is empty: remove it, and the next start makes a key",
            file.display()
        );
        let hash = Sha256::digest(key.as_bytes()).into();
        keys::admit(store, hash, clock.key_id(), clock.now()).await?;
        Ok(key)
    }

    /// Says where the host is reached, for clients of this machine.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish_address(&self, address: SocketAddr) -> anyhow::Result<()> {
        let file = self.0.join(ADDRESS);
        fs::write(&file, format!("http://{address}\n")).with_context(|| cannot_write(&file))
    }
}

/// Takes a key file back from others who could read it; they may have.
fn make_private(file: &Path) -> std::io::Result<()> {
    if fs::metadata(file)?.mode() & 0o077 != 0 {
        tracing::warn!("{} could be read by others; it cannot any more", file.display());
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn cannot_write(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

fn write_owned(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

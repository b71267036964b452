//! What a run brings with it beside its prompt, in files: a folder of the run's own, which nobody else
//! may read, and which goes when its program has ended. Nothing is too long for a file.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde::Serialize;
use tempfile::{Builder, TempDir};

use super::account::Account;
use super::program::Order;

/// How the folder's name begins.
const PREFIX: &str = "hillock-run-";

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Context(TempDir);

impl Context {
    /// A folder within `folder` with all that the order brings, for this user's program if that is
    /// another's than the worker's.
    ///
    /// # Errors
    /// When it cannot be written; says why.
    pub(super) fn of(
        folder: &Path,
        order: &Order,
        account: Option<&Account>,
    ) -> Result<Self, String> {
        let written = Self::write(folder, order, account);
        written.map_err(|error| format!("cannot write what comes with the run: {error}"))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(folder: &Path, order: &Order, account: Option<&Account>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let private = Permissions::from_mode(0o700);
        let made = Builder::new().prefix(PREFIX).permissions(private).tempdir_in(folder)?;
        let context = Self(made);
        context.fill(order)?;
        if let Some(account) = account {
            for entry in std::fs::read_dir(context.path())? {
                account.own(&entry?.path())?;
            }
            account.own(context.path())?;
        }
        Ok(context)
    }

    fn fill(&self, order: &Order) -> io::Result<()> {
        let terms = &order.terms;
        if let Some(text) = &terms.system_prompt {
            self.put("system_prompt", text.as_bytes())?;
        }
        if !terms.attachments.is_empty() {
            self.put_json("attachments.json", &terms.attachments)?;
        }
        if let Some(spawned_by) = &terms.spawned_by {
            self.put_json("spawned_by.json", spawned_by)?;
        }
        if let Some(policy) = &terms.policy {
            self.put_json("policy.json", policy)?;
        }
        Ok(())
    }

    fn put_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.put(name, &serde_json::to_vec(value)?)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path().join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file?.write_all(bytes)
    }
}

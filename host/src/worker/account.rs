//! The user that programs run as, where that is another than the worker's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid};

use super::environment::Variables;
use crate::environment;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: Uid,
    gid: Gid,
    /// What it is called; a number alone may be nobody's.
    name: Option<String>,
    home: PathBuf,
    shell: PathBuf,
}

impl Account {
    /// The user with this name or number; none when that is this process's own.
    ///
    /// # Errors
    /// When there is none, or this process may not run programs as another.
    pub(super) fn find(text: &str) -> Result<Option<Self>, String> {
        let account = Self::known(text)?;
        match geteuid() {
            own if own == account.uid => Ok(None),
            own if own.is_root() => Ok(Some(account)),
            own => Err(format!(
                "programs cannot run as the user `{text}`: only root may do that, and this is user \
                 {own}"
            )),
        }
    }

    fn known(text: &str) -> Result<Self, String> {
        let uid = text.parse().ok().map(Uid::from_raw);
        let user = match uid {
            Some(uid) => User::from_uid(uid),
            None => User::from_name(text),
        };
        match user.map_err(|error| format!("cannot look for the user `{text}`: {error}"))? {
            Some(user) => Ok(Self {
                uid: user.uid,
                gid: user.gid,
                name: Some(user.name),
                home: user.dir,
                shell: user.shell,
            }),
            None => uid.map(Self::nameless).ok_or_else(|| format!("there is no user `{text}`")),
        }
    }

    fn nameless(uid: Uid) -> Self {
        let gid = Gid::from_raw(uid.as_raw());
        Self { uid, gid, name: None, home: "/".into(), shell: "/bin/sh".into() }
    }

    /// Whether it is root, who may do everything.
    pub(super) fn is_root(&self) -> bool {
        self.uid.is_root()
    }

    /// The beginning of an argument list that goes on as this user, by `setpriv`.
    pub(super) fn become_by(&self, setpriv: &Path) -> Vec<OsString> {
        let groups = if self.name.is_some() { "--init-groups" } else { "--clear-groups" };
        vec![
            setpriv.into(),
            format!("--reuid={}", self.uid).into(),
            format!("--regid={}", self.gid).into(),
            groups.into(),
            "--inh-caps=-all".into(),
            "--no-new-privs".into(),
            "--".into(),
        ]
    }

    /// Gives a file or folder to this user.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn own(&self, path: &Path) -> std::io::Result<()> {
        Ok(nix::unistd::chown(path, Some(self.uid), Some(self.gid))?)
    }

    /// Where it works unless something else is said.
    pub(super) fn home(&self) -> &Path {
        if self.home.is_dir() { &self.home } else { Path::new("/") }
    }

    /// What its programs find in their environment.
    pub(super) fn variables(&self) -> Variables {
        let name = self.name.clone().unwrap_or_else(|| self.uid.to_string());
        let mut variables: Variables = vec![
            ("HOME".to_owned(), self.home().into()),
            ("USER".to_owned(), name.clone().into()),
            ("LOGNAME".to_owned(), name.into()),
            ("SHELL".to_owned(), self.shell.clone().into()),
        ];
        variables.extend(self.path().map(|path| ("PATH".to_owned(), path)));
        variables
    }

    /// The folders of the worker's `PATH` that it can enter: programs in others are not its own to run.
    fn path(&self) -> Option<OsString> {
        let path = environment::var_os("PATH")?;
        std::env::join_paths(std::env::split_paths(&path).filter(|folder| self.enters(folder))).ok()
    }

    /// Whether it can enter a folder, by the modes of all that are on the way; its further groups are
    /// not looked at.
    pub(super) fn enters(&self, folder: &Path) -> bool {
        let enters = |folder: &Path| {
            fs::metadata(folder)
                .is_ok_and(|meta| self.may_read(meta.uid(), meta.gid(), meta.mode() << 2))
        };
        folder.canonicalize().is_ok_and(|folder| folder.ancestors().all(enters))
    }

    /// Whether it may read a file or folder that has this owner, group and mode; its further groups
    /// are not looked at.
    pub(super) fn may_read(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bits = match (owner == self.uid.as_raw(), group == self.gid.as_raw()) {
            (true, _) => mode >> 6,
            (_, true) => mode >> 3,
            _ => mode,
        };
        self.is_root() || bits & 0o4 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = Account::known("root").unwrap();
        assert_eq!(Account::known("0"), Ok(root.clone()));
        assert!(root.is_root());
        let nobodys = Account::known("4000000001").unwrap();
        assert_eq!((nobodys.home(), nobodys.name.as_deref()), (Path::new("/"), None));
        let argv = nobodys.become_by(Path::new("/bin/setpriv"));
        assert!(
            argv.contains(&"--clear-groups".into()) && argv.contains(&"--reuid=4000000001".into())
        );
        assert_eq!(
            Account::known("no such user"),
            Err("there is no user `no such user`".to_owned())
        );
        assert_eq!(Account::find(&geteuid().to_string()), Ok(None));
    }

    #[test]
    fn a_mode_says_who_reads() {
        let user = Account::nameless(Uid::from_raw(7));
        for (owner, group, mode, may) in [
            (7, 0, 0o400, true),
            (7, 7, 0o044, false),
            (0, 7, 0o040, true),
            (0, 7, 0o404, false),
            (0, 0, 0o004, true),
            (0, 0, 0o640, false),
        ] {
            assert_eq!(user.may_read(owner, group, mode), may, "{owner} {group} {mode:o}");
        }
    }
}

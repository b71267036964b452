//! What a machine has for keeping programs within bounds, found out by trying it.
//!
//! Nothing is taken for granted: bubblewrap may be installed and not allowed to make namespaces, as
//! in most containers. What does not work here is not offered, and no command that needs it comes.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::confinement::Confinement;
use super::sight::Sight;
use crate::model::policy::{Enforces, HostKind, RuntimeType, Security, WorkspaceAccess};

/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(10);
/// How much memory the trial of a limit allows, in bytes.
const TRIAL_MEMORY: u64 = 1 << 30;

/// The programs that bound others, as far as they work here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Means {
    /// `prlimit`, of util-linux: limits memory.
    pub(super) prlimit: Option<PathBuf>,
    /// `setpriv`, of util-linux: becomes another user.
    pub(super) setpriv: Option<PathBuf>,
    /// bubblewrap: takes the network away, and what is not a program's business of the files.
    pub(super) bubblewrap: Option<Bubblewrap>,
}

/// bubblewrap, and what lets a program end in its own time when the whole group is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bubblewrap {
    /// `bwrap`.
    pub(super) bwrap: PathBuf,
    /// `env`, of coreutils.
    pub(super) env: PathBuf,
}

impl Means {
    /// What works of what is found on this `PATH`.
    pub(super) async fn find(path: Option<&OsStr>) -> Self {
        let found = |name| program(path, name);
        let bubblewrap = found("bwrap").zip(found("env"));
        let there = Self {
            prlimit: found("prlimit"),
            setpriv: found("setpriv"),
            bubblewrap: bubblewrap.map(|(bwrap, env)| Bubblewrap { bwrap, env }),
        };
        let limited = Confinement { memory_bytes: Some(TRIAL_MEMORY), ..Confinement::default() };
        let work = Some(PathBuf::from("/"));
        let apart = Confinement {
            no_network: true,
            sight: Some(Sight::default()),
            work,
            ..Confinement::default()
        };
        let limits = there.prlimit.is_some() && there.hold(&limited).await;
        let prlimit = there.prlimit.clone().filter(|_| limits);
        let there = Self { prlimit, ..there };
        let parts = there.bubblewrap.is_some() && there.hold(&apart).await;
        Self { bubblewrap: there.bubblewrap.filter(|_| parts), ..there }
    }

    /// Whether a harmless program runs within these bounds.
    async fn hold(&self, confinement: &Confinement) -> bool {
        let Ok(argv) = confinement.around(&["true".to_owned()], self) else { return false };
        let mut trial = Command::new(&argv[0]);
        trial.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        trial.kill_on_drop(true);
        matches!(timeout(TRIAL, trial.status()).await, Ok(Ok(status)) if status.success())
    }

    /// The policies that can be enforced with these.
    pub(super) fn enforces(&self) -> Enforces {
        let apart = self.bubblewrap.is_some();
        let accesses = WorkspaceAccess::ALL.iter().map(|(access, _)| *access);
        let workspace_access =
            accesses.filter(|access| apart || *access == WorkspaceAccess::Rw).collect();
        Enforces {
            host: [HostKind::Sandbox].into(),
            // It never starts anything but what its configuration names; what that starts in turn
            // it cannot keep it from.
            security: [Security::Allowlist, Security::Full].into(),
            runtime_type: [RuntimeType::Process].into(),
            workspace_access,
            network_off: apart,
            interactive: true,
            cpu: false,
            memory: self.prlimit.is_some(),
            gpu: 0,
        }
    }
}

/// A program on this `PATH`. Relative entries don't count: they would mean the agents' folders.
fn program(path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    let folders = std::env::split_paths(path?).filter(|folder| folder.is_absolute());
    let executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    folders.map(|folder| folder.join(name)).find(executable)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn script(folder: &Path, name: &str, text: &str) {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_offered() {
        let folder = tempfile::tempdir().unwrap();
        for path in [None, Some(folder.path().as_os_str())] {
            let means = Means::find(path).await;
            assert_eq!(means, Means::default());
            let enforces = means.enforces();
            assert!(!enforces.network_off && !enforces.memory);
            assert_eq!(enforces.workspace_access, [WorkspaceAccess::Rw].into());
        }
    }

    /// As in a container, where bubblewrap may not make namespaces.
    #[tokio::test]
    async fn what_is_there_and_does_not_work_is_not_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bwrap", "prlimit", "env"] {
            script(folder.path(), name, "echo No permissions >&2; exit 1");
        }
        assert_eq!(Means::find(Some(folder.path().as_os_str())).await, Means::default());
    }

    #[tokio::test]
    async fn what_works_is_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bwrap", "prlimit", "env"] {
            script(folder.path(), name, "exit 0");
        }
        let means = Means::find(Some(folder.path().as_os_str())).await;
        let enforces = means.enforces();
        assert!(enforces.network_off && enforces.memory && enforces.interactive);
        assert_eq!(enforces.workspace_access.len(), 3);
        assert_eq!((enforces.cpu, enforces.gpu), (false, 0));
    }

    /// They would mean the folder of whatever agent is started.
    #[tokio::test]
    async fn relative_entries_of_the_path_do_not_count() {
        assert_eq!(Means::find(Some(OsStr::new("."))).await, Means::default());
        assert_eq!(program(Some(OsStr::new("bin")), "sh"), None);
    }
}

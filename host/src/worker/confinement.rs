//! The bounds that are set to a program, as an argument list around the program's own. No shell reads
//! it.
//!
//! ```text
//! env --ignore-signal=TERM bwrap …          the jailer outlives the asking to end
//!   env --default-signal=TERM               the program hears it
//!     setpriv --reuid=… --no-new-privs      another user than the worker's, who goes to its folder
//!       prlimit --as=… --core=0             limits, which the program cannot raise again
//!         the program and its arguments
//! ```
//! Where bubblewrap works, a program sees what is its business (`sight.rs`), no process but its own,
//! and no device but those that programs compute with: by way of another's `/proc` entry it would reach
//! what that one sees. Its policy may take more from it. It has no privileges by which it could undo
//! the mounts; what is left to root's programs is what they need to work with files. "The network" is
//! what has addresses: a socket that is a file stays where it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::account::Account;
use super::means::{Bubblewrap, Means};
use super::sight::Sight;
use crate::model::policy::{Policy, WorkspaceAccess};

/// What root's programs may do beside what every user's may. None of it reaches what is out of sight:
/// no mounting, no tracing, no raw devices, no files by number.
const FILE_PRIVILEGES: [&str; 8] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETUID",
];
/// What it takes to become another user.
const TO_BECOME: [&str; 2] = ["CAP_SETGID", "CAP_SETUID"];
/// Where the machine's own settings are, below `/proc`.
const SETTINGS: [&str; 6] = ["acpi", "bus", "fs", "irq", "sys", "sysrq-trigger"];
/// Devices that programs compute with, by the beginnings of their names.
const DEVICES: [&str; 7] = ["accel", "dri", "fuse", "kfd", "kvm", "net", "nvidia"];

/// The bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Confinement {
    /// Whether no images of crashed processes are kept, where `prlimit` is there to see to it.
    pub(super) no_core: bool,
    /// The most memory that each of its processes may have.
    pub(super) memory_bytes: Option<u64>,
    /// Whether it is to reach no network.
    pub(super) no_network: bool,
    /// What it sees, when that is not everything.
    pub(super) sight: Option<Sight>,
    /// Where it works, when something of the files is out of its sight.
    pub(super) work: Option<PathBuf>,
    /// Whose it is, when that is not the worker's user.
    pub(super) account: Option<Account>,
    /// Whether root's programs lose every privilege.
    pub(super) is_strict: bool,
}

impl Confinement {
    /// The bounds that a policy sets, without what it says of the working folder.
    pub(super) fn of(policy: Option<&Policy>) -> Self {
        let Some(policy) = policy else { return Self::default() };
        let is_strict = !policy.network_enabled || policy.workspace_access != WorkspaceAccess::Rw;
        Self {
            no_core: true,
            memory_bytes: policy.resources.memory_bytes,
            no_network: !policy.network_enabled,
            is_strict,
            ..Self::default()
        }
    }

    /// The argument list that runs `command` within these bounds.
    ///
    /// # Errors
    /// When this machine has no means to keep a program within them.
    pub(super) fn around(
        &self,
        command: &[String],
        means: &Means,
    ) -> Result<Vec<OsString>, String> {
        let mut argv = match &means.bubblewrap {
            _ if !self.is_apart() => Vec::new(),
            Some(bubblewrap) => self.apart(bubblewrap),
            None => return Err("this worker has no working bubblewrap".to_owned()),
        };
        match (&self.account, &means.setpriv) {
            (Some(account), Some(setpriv)) => {
                argv.extend(account.become_by(setpriv));
                argv.extend(self.enter(means));
            }
            (Some(_), None) => return Err("this worker has no setpriv".to_owned()),
            (None, _) => {}
        }
        match &means.prlimit {
            Some(prlimit) => argv.extend(self.limits(prlimit)),
            None if self.memory_bytes.is_some() => {
                return Err("this worker has no prlimit".to_owned());
            }
            None => {}
        }
        argv.extend(command.iter().map(OsString::from));
        Ok(argv)
    }

    /// Whether it takes bubblewrap.
    pub(super) fn is_apart(&self) -> bool {
        self.no_network || self.sight.is_some()
    }

    fn apart(&self, Bubblewrap { bwrap, env }: &Bubblewrap) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec![env.into(), "--ignore-signal=TERM".into(), bwrap.into()];
        // What is below /sys can stop and end processes of others.
        argv.extend(["--bind", "/", "/", "--ro-bind-try", "/sys", "/sys"].map(OsString::from));
        argv.extend(self.sight.iter().flat_map(Sight::arguments));
        if let (Some(work), None) = (&self.work, &self.account) {
            argv.extend([OsString::from("--chdir"), work.into()]);
        }
        // After the files, of which the root may be out of sight.
        argv.extend(["--dev", "/dev", "--proc", "/proc"].map(OsString::from));
        argv.extend(devices());
        if geteuid().is_root() && self.account.is_none() {
            argv.extend(closed_to_root());
        }
        argv.extend(["--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL"].map(OsString::from));
        argv.extend(
            self.privileges().iter().flat_map(|one| ["--cap-add", *one].map(OsString::from)),
        );
        if self.no_network {
            argv.push("--unshare-net".into());
        }
        argv.extend(["--".into(), env.into(), "--default-signal=TERM".into()]);
        argv
    }

    /// How another user's program gets to where it works: root has no privilege to go there first.
    fn enter(&self, means: &Means) -> Vec<OsString> {
        let (Some(work), Some(bubblewrap)) = (&self.work, &means.bubblewrap) else {
            return Vec::new();
        };
        let mut change = OsString::from("--chdir=");
        change.push(work);
        vec![OsString::from(&bubblewrap.env), change]
    }

    /// Where the worker is root. The namespace that others make gives none that counts.
    fn privileges(&self) -> &'static [&'static str] {
        match &self.account {
            _ if !geteuid().is_root() => &[],
            Some(_) => &TO_BECOME,
            None if self.is_strict => &[],
            None => &FILE_PRIVILEGES,
        }
    }

    fn limits(&self, prlimit: &Path) -> Vec<OsString> {
        if !self.no_core && self.memory_bytes.is_none() {
            return Vec::new();
        }
        let mut argv: Vec<OsString> = vec![prlimit.into(), "--core=0:0".into()];
        argv.extend(self.memory_bytes.map(|bytes| format!("--as={bytes}:{bytes}").into()));
        argv.push("--".into());
        argv
    }
}

/// The machine's own settings, which root may change without any privilege: what the kernel starts as
/// root at a crash, for one (`core_pattern`).
fn closed_to_root() -> Vec<OsString> {
    let bound = |name: &&str| {
        let path = format!("/proc/{name}");
        ["--ro-bind-try".to_owned(), path.clone(), path].map(OsString::from)
    };
    SETTINGS.iter().flat_map(bound).collect()
}

fn devices() -> Vec<OsString> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let computes = |name: &OsString| {
        DEVICES.iter().any(|device| name.to_str().is_some_and(|name| name.starts_with(device)))
    };
    let mut names: Vec<OsString> =
        entries.map(|entry| entry.file_name()).filter(|name| computes(name)).collect();
    names.sort();
    let bound = |name: OsString| {
        let device = OsString::from(Path::new("/dev").join(name));
        ["--dev-bind-try".into(), device.clone(), device]
    };
    names.into_iter().flat_map(bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::PolicyDraft;
    use crate::model::problem::Problems;

    fn policy(json: &str) -> Policy {
        let value = serde_json::from_str(json).unwrap();
        PolicyDraft::read(&value, "policy", &mut Problems::default()).unwrap().normalize()
    }

    fn all() -> Means {
        let bubblewrap = Bubblewrap { bwrap: "/bin/bwrap".into(), env: "/bin/env".into() };
        Means {
            prlimit: Some("/bin/prlimit".into()),
            setpriv: Some("/bin/setpriv".into()),
            bubblewrap: Some(bubblewrap),
        }
    }

    fn around(confinement: &Confinement, means: &Means) -> Result<String, String> {
        let argv = confinement.around(&["agent".to_owned(), "$HOME `x`".to_owned()], means)?;
        let said = argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        let of_machine = [devices(), closed_to_root()].into_iter().filter(|some| !some.is_empty());
        Ok(of_machine.fold(said, |said, some| {
            let some = some.join(std::ffi::OsStr::new(" ")).into_string().unwrap();
            said.replace(&format!("{some} "), "")
        }))
    }

    #[test]
    fn there_are_the_bounds_that_are_asked_for_and_no_others() {
        let apart = "/bin/env --ignore-signal=TERM /bin/bwrap --bind / / --ro-bind-try /sys /sys";
        let own = "--dev /dev --proc /proc --unshare-pid --unshare-ipc --cap-drop ALL";
        let inside = "-- /bin/env --default-signal=TERM /bin/prlimit --core=0:0 -- agent $HOME `x`";
        for (json, wanted) in [
            ("{}", "/bin/prlimit --core=0:0 -- agent $HOME `x`".to_owned()),
            (
                r#"{"resources":{"memory":4096}}"#,
                "/bin/prlimit --core=0:0 --as=4096:4096 -- agent $HOME `x`".to_owned(),
            ),
            (r#"{"network_enabled":false}"#, format!("{apart} {own} --unshare-net {inside}")),
        ] {
            assert_eq!(around(&Confinement::of(Some(&policy(json))), &all()), Ok(wanted), "{json}");
        }
        assert_eq!(around(&Confinement::of(None), &all()).unwrap(), "agent $HOME `x`");
        let seeing = |confinement: Confinement| Confinement {
            sight: Some(Sight::default()),
            work: Some("/work".into()),
            ..confinement
        };
        let ro = policy(r#"{"workspace_access":"ro"}"#);
        let wanted = format!("{apart} --chdir /work {own} {inside}");
        assert_eq!(around(&seeing(Confinement::of(Some(&ro))), &all()), Ok(wanted));
        let said = around(&seeing(Confinement::of(None)), &all()).unwrap();
        assert_eq!(said.contains("--cap-add CAP_CHOWN"), geteuid().is_root(), "{said}");
        assert!(!said.contains("SYS_ADMIN"), "{said}");
    }

    #[test]
    fn without_the_means_there_is_no_program() {
        let none = Means::default();
        assert_eq!(
            around(&Confinement::of(Some(&policy("{}"))), &none).unwrap(),
            "agent $HOME `x`"
        );
        for (json, means) in [
            (r#"{"network_enabled":false}"#, Means { bubblewrap: None, ..all() }),
            (r#"{"resources":{"memory":4096}}"#, Means { prlimit: None, ..all() }),
        ] {
            around(&Confinement::of(Some(&policy(json))), &means).unwrap_err();
        }
        let confinement = Confinement { sight: Some(Sight::default()), ..Confinement::default() };
        around(&confinement, &Means { bubblewrap: None, ..all() }).unwrap_err();
    }
}

//! The bounds that a policy sets to a program, as an argument list around the program's own. No shell
//! reads it.
//!
//! ```text
//! env --ignore-signal=TERM bwrap …          the jailer outlives the asking to end
//!   env --default-signal=TERM               the program hears it
//!     prlimit --as=… --core=0               limits, which the program cannot raise again
//!       the program and its arguments
//! ```
//! Only what the policy asks for is there. A program that is to be kept from the network or its folder
//! sees no process but its own: by way of another's `/proc` entry it would reach what that one sees.
//! It has no privileges either, as root would undo the mounts with them. "The network" is what has
//! addresses: a socket that is a file stays where it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::means::{Bubblewrap, Means};
use crate::model::policy::{Policy, WorkspaceAccess};

/// The bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cage {
    /// Whether no images of crashed processes are kept, where `prlimit` is there to see to it.
    pub(super) no_core: bool,
    /// The most memory that each of its processes may have.
    pub(super) memory_bytes: Option<u64>,
    /// Whether it is to reach no network.
    pub(super) no_network: bool,
    /// The folder that is closed to it.
    pub(super) folder: Option<(PathBuf, Closure)>,
}

/// How a folder is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closure {
    /// An empty one is in its place.
    Hidden,
    /// It cannot be changed.
    ReadOnly,
}

impl Cage {
    /// The bounds that a policy sets to a program that works in `dir`, or else in the worker's own
    /// folder.
    ///
    /// # Errors
    /// When that folder is not there, or cannot be closed.
    pub(super) fn of(policy: Option<&Policy>, dir: Option<&Path>) -> Result<Self, String> {
        let Some(policy) = policy else { return Ok(Self::default()) };
        let closed = |closure| Ok::<_, String>(Some((folder(dir, closure)?, closure)));
        Ok(Self {
            no_core: true,
            memory_bytes: policy.resources.memory_bytes,
            no_network: !policy.network_enabled,
            folder: match policy.workspace_access {
                WorkspaceAccess::None => closed(Closure::Hidden)?,
                WorkspaceAccess::Ro => closed(Closure::ReadOnly)?,
                WorkspaceAccess::Rw => None,
            },
        })
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
            _ if !self.no_network && self.folder.is_none() => Vec::new(),
            Some(bubblewrap) => self.apart(bubblewrap),
            None => return Err("this worker has no working bubblewrap".to_owned()),
        };
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

    fn apart(&self, Bubblewrap { bwrap, env }: &Bubblewrap) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec![env.into(), "--ignore-signal=TERM".into(), bwrap.into()];
        argv.extend(["--bind", "/", "/"].map(OsString::from));
        if let Some((folder, closure)) = &self.folder {
            argv.extend(closed(folder, *closure));
        }
        // After the folder, which may be the root.
        argv.extend(["--dev", "/dev", "--proc", "/proc"].map(OsString::from));
        argv.extend(["--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL"].map(OsString::from));
        if self.no_network {
            argv.push("--unshare-net".into());
        }
        argv.extend(["--".into(), env.into(), "--default-signal=TERM".into()]);
        argv
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

fn closed(folder: &Path, closure: Closure) -> Vec<OsString> {
    let folder = || OsString::from(folder);
    let mut argv = match closure {
        Closure::ReadOnly => vec!["--ro-bind".into(), folder(), folder()],
        Closure::Hidden => {
            vec!["--tmpfs".into(), folder(), "--remount-ro".into(), folder()]
        }
    };
    argv.extend(["--chdir".into(), folder()]);
    argv
}

fn folder(dir: Option<&Path>, closure: Closure) -> Result<PathBuf, String> {
    let dir = dir.unwrap_or(Path::new("."));
    let folder = dir.canonicalize().map_err(|error| {
        format!("cannot keep the program from its folder {}: {error}", dir.display())
    })?;
    if closure == Closure::Hidden && folder.parent().is_none() {
        return Err("workspace_access = none needs a working folder other than /".to_owned());
    }
    Ok(folder)
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
        Means { prlimit: Some("/bin/prlimit".into()), bubblewrap: Some(bubblewrap) }
    }

    fn around(policy: Option<&Policy>, means: &Means) -> Result<String, String> {
        let command = ["agent".to_owned(), "$HOME `x`".to_owned()];
        let argv = Cage::of(policy, Some(Path::new("/usr/../usr")))?.around(&command, means)?;
        Ok(argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn there_are_the_bounds_that_are_asked_for_and_no_others() {
        let apart = "/bin/env --ignore-signal=TERM /bin/bwrap --bind / /";
        let own = "--dev /dev --proc /proc --unshare-pid --unshare-ipc --cap-drop ALL";
        let inside = "-- /bin/env --default-signal=TERM /bin/prlimit --core=0:0 -- agent $HOME `x`";
        for (json, wanted) in [
            ("{}", "/bin/prlimit --core=0:0 -- agent $HOME `x`".to_owned()),
            (
                r#"{"resources":{"memory":4096}}"#,
                "/bin/prlimit --core=0:0 --as=4096:4096 -- agent $HOME `x`".to_owned(),
            ),
            (r#"{"network_enabled":false}"#, format!("{apart} {own} --unshare-net {inside}")),
            (
                r#"{"workspace_access":"ro"}"#,
                format!("{apart} --ro-bind /usr /usr --chdir /usr {own} {inside}"),
            ),
            (
                r#"{"workspace_access":"none"}"#,
                format!("{apart} --tmpfs /usr --remount-ro /usr --chdir /usr {own} {inside}"),
            ),
        ] {
            assert_eq!(around(Some(&policy(json)), &all()), Ok(wanted), "{json}");
        }
        assert_eq!(around(None, &all()).unwrap(), "agent $HOME `x`");
    }

    #[test]
    fn without_the_means_there_is_no_program() {
        let none = Means::default();
        assert_eq!(around(Some(&policy("{}")), &none).unwrap(), "agent $HOME `x`");
        for (json, means) in [
            (r#"{"network_enabled":false}"#, Means { bubblewrap: None, ..all() }),
            (r#"{"workspace_access":"ro"}"#, none.clone()),
            (r#"{"resources":{"memory":4096}}"#, Means { prlimit: None, ..all() }),
        ] {
            around(Some(&policy(json)), &means).unwrap_err();
        }
    }

    #[test]
    fn a_folder_that_cannot_be_closed_is_an_error() {
        let hidden = policy(r#"{"workspace_access":"none"}"#);
        Cage::of(Some(&hidden), Some(Path::new("/"))).unwrap_err();
        Cage::of(Some(&hidden), Some(Path::new("/no/such/folder"))).unwrap_err();
    }
}

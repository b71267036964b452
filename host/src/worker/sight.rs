//! What a program sees of the machine's files, where bubblewrap works: all but what is the host's, the
//! worker's and other programs' own.
//!
//! ```text
//! the data folder          an empty folder is in its place, always
//! the configuration's      the same, unless the program works there, or everybody does (`$HOME`, `/etc`
//! another program's          …): then hillock.toml, automations.d and all else that is named are hidden
//! the program's own        there, also within what is hidden, and so are files that its command names
//!                            (to be read only) and what its `visible` says
//! the store, secrets       a device that cannot be opened is in their place
//! ```
//! A path may lead through links; what is hidden is what they lead to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::Private;
use crate::model::policy::WorkspaceAccess;

/// A program's own.
#[derive(Clone, Debug)]
pub(super) struct Own<'p> {
    /// Where it works.
    pub(super) work: &'p Path,
    /// Its user's home.
    pub(super) home: Option<&'p Path>,
    /// Its command.
    pub(super) command: &'p [String],
    /// What it sees besides.
    pub(super) visible: &'p [PathBuf],
    /// What it may do where it works.
    pub(super) access: WorkspaceAccess,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// An empty folder that cannot be written.
    Hidden,
    /// What is there anyway.
    Shown,
    /// The same, to be read only.
    ReadOnly,
    /// A file that cannot be opened.
    Masked,
    /// Another folder, to be read only.
    Instead(PathBuf),
}

/// What a program sees, by path: a folder comes before what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    places: BTreeMap<PathBuf, Place>,
    /// What nothing can show again.
    closed: Vec<PathBuf>,
    /// The private folders that it sees nevertheless, but for the files in them that are named.
    pub(super) open: Vec<PathBuf>,
}

/// Where everybody's things are: such a folder is not hidden because somebody's configuration is in it.
const EVERYBODYS: [&str; 20] = [
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc",
    "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib",
];

impl Sight {
    /// What a program sees of `private`, where the `others` work.
    pub(super) fn of(own: &Own<'_>, private: &Private, others: &[PathBuf]) -> Self {
        let mut sight = Self::default();
        let work = real(own.work);
        for folder in private.closed.iter().filter_map(|folder| real(folder)) {
            sight.closed.push(folder.clone());
            sight.places.insert(folder, Place::Hidden);
        }
        for folder in private.folders.iter().filter_map(|folder| real(folder)) {
            match work.as_ref() == Some(&folder) || is_everybodys(&folder, own.home) {
                true => sight.open.push(folder),
                false => sight.hide(folder),
            }
        }
        for folder in others.iter().filter_map(|folder| real(folder)) {
            if work.as_ref() != Some(&folder) && !is_everybodys(&folder, own.home) {
                sight.hide(folder);
            }
        }
        for file in private.files.iter().filter_map(|file| real(file)) {
            sight.places.entry(file).or_insert(Place::Masked);
        }
        sight.show(own, work.as_deref());
        sight
    }

    fn hide(&mut self, folder: PathBuf) {
        self.places.entry(folder).or_insert(Place::Hidden);
    }

    fn show(&mut self, own: &Own<'_>, work: Option<&Path>) {
        for named in named(own.command, work) {
            self.show_named(named);
        }
        for visible in own.visible.iter().filter_map(|path| real(path)) {
            if !self.is_closed(&visible) {
                self.places.insert(visible, Place::Shown);
            }
        }
        let Some(work) = work else { return };
        match own.access {
            WorkspaceAccess::Rw if self.around(work) == Some(&Place::Hidden) => {
                self.places.insert(work.to_owned(), Place::Shown)
            }
            WorkspaceAccess::Rw => None,
            WorkspaceAccess::Ro => self.places.insert(work.to_owned(), Place::ReadOnly),
            WorkspaceAccess::None => self.places.insert(work.to_owned(), Place::Hidden),
        };
    }

    /// Shows what comes with the program's run, wherever it is.
    pub(super) fn show_context(&mut self, folder: &Path) {
        if let Some(folder) = real(folder) {
            self.places.insert(folder, Place::Shown);
        }
    }

    /// Shows another folder in the place of one.
    pub(super) fn replace(&mut self, folder: &Path, by: PathBuf) {
        self.places.insert(folder.to_owned(), Place::Instead(by));
    }

    /// Shows what the command itself names. With a file comes the folder that it is in, and what it
    /// needs there, unless that is itself what is hidden.
    fn show_named(&mut self, named: PathBuf) {
        if self.is_closed(&named) {
            return;
        }
        if self.places.get(&named) == Some(&Place::Masked) {
            self.places.remove(&named);
        }
        if self.around(&named) != Some(&Place::Hidden) {
            return;
        }
        let folder = named.parent().filter(|_| named.is_file()).unwrap_or(&named);
        let shown = if self.places.contains_key(folder) { &named } else { folder };
        self.places.insert(shown.to_owned(), Place::ReadOnly);
    }

    fn is_closed(&self, path: &Path) -> bool {
        self.closed.iter().any(|closed| path.starts_with(closed))
    }

    /// Whether a path is out of sight.
    pub(super) fn hides(&self, path: &Path) -> bool {
        let path = &real(path).unwrap_or_else(|| path.to_owned());
        let at = self.places.get(path).or_else(|| self.around(path));
        matches!(at, Some(Place::Hidden | Place::Masked))
    }

    /// What is at the nearest folder around a path.
    fn around(&self, path: &Path) -> Option<&Place> {
        path.ancestors().skip(1).find_map(|folder| self.places.get(folder))
    }

    /// What bubblewrap is told, on top of the whole of the machine's files.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let (mut argv, mut closing) = (Vec::new(), Vec::new());
        for (path, place) in &self.places {
            let path = || OsString::from(path);
            let around = self.around(Path::new(&path()));
            let is_within_hidden = around == Some(&Place::Hidden);
            match place {
                Place::Hidden | Place::Masked if is_within_hidden => {}
                Place::Hidden => {
                    argv.extend(["--tmpfs".into(), path()]);
                    closing.extend(["--remount-ro".into(), path()]);
                }
                Place::Masked => {
                    argv.extend(["--ro-bind".into(), "/dev/null".into(), path()]);
                }
                Place::Shown => argv.extend(["--bind".into(), path(), path()]),
                Place::ReadOnly => argv.extend(["--ro-bind".into(), path(), path()]),
                Place::Instead(other) => {
                    argv.extend(["--ro-bind".into(), other.into(), path()]);
                }
            }
        }
        argv.extend(closing);
        argv
    }
}

fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Whether a folder is one that everybody's things are in.
pub(super) fn is_everybodys(folder: &Path, home: Option<&Path>) -> bool {
    let homes = home.and_then(real).is_some_and(|home| home.starts_with(folder));
    homes || folder.parent().is_none() || EVERYBODYS.iter().any(|known| folder == Path::new(known))
}

/// The files and folders that a command names.
fn named(command: &[String], work: Option<&Path>) -> Vec<PathBuf> {
    let path = |word: &String| {
        let path = work.unwrap_or(Path::new("/")).join(word);
        if word.contains('/') { real(&path) } else { None }
    };
    command.iter().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        /// A configuration in `c`, with the data folder, a script and two agents' folders within.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["c/data/work", "c/automations.d", "c/scripts", "c/one", "c/two", "home/x"]
            {
                fs::create_dir_all(folder.path().join(name)).unwrap();
            }
            for name in ["c/hillock.toml", "c/store.db", "c/scripts/run.py", "secret"] {
                fs::write(folder.path().join(name), "").unwrap();
            }
            Self { folder }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().canonicalize().unwrap().join(name)
        }

        fn private(&self) -> Private {
            Private {
                closed: vec![self.at("c/data"), self.at("c/automations.d")],
                folders: vec![self.at("c")],
                files: vec![self.at("c/hillock.toml"), self.at("c/store.db"), self.at("secret")],
            }
        }

        fn sight(&self, work: &str, command: &[&str], visible: &[&str]) -> (Vec<String>, Sight) {
            let (work, home) = (self.at(work), self.at("home"));
            let command: Vec<String> = command
                .iter()
                .map(|word| word.replace("@", &self.at("").display().to_string()))
                .collect();
            let visible: Vec<PathBuf> = visible.iter().map(|name| self.at(name)).collect();
            let own = Own {
                work: &work,
                home: Some(&home),
                command: &command,
                visible: &visible,
                access: WorkspaceAccess::Rw,
            };
            let sight = Sight::of(&own, &self.private(), &[self.at("c/one"), self.at("c/two")]);
            let root = self.at("").display().to_string();
            let said = sight.arguments();
            let said = said.iter().map(|word| word.to_str().unwrap().replace(&root, ""));
            (said.collect(), sight)
        }
    }

    #[test]
    fn a_program_elsewhere_sees_nothing_of_the_configurations_folder() {
        let machine = Machine::new();
        let (said, sight) = machine.sight("home/x", &["sh"], &[]);
        assert_eq!(said.join(" "), "--tmpfs c --ro-bind /dev/null secret --remount-ro c");
        assert!(sight.open.is_empty() && sight.hides(&machine.at("c/data/work")));
        assert!(!sight.hides(&machine.at("home")));
    }

    #[test]
    fn its_own_folder_and_its_script_are_there_within_what_is_hidden() {
        let machine = Machine::new();
        let (said, _) = machine.sight("c/one", &["python3", "@c/scripts/run.py"], &["c/two"]);
        let wanted = "--tmpfs c --bind c/one c/one --ro-bind c/scripts c/scripts \
                      --bind c/two c/two --ro-bind /dev/null secret --remount-ro c";
        assert_eq!(said.join(" "), wanted);
        // What is the host's alone cannot be shown.
        let (said, _) = machine.sight("home/x", &["cat", "@c/data/work"], &["c/data"]);
        assert_eq!(said.join(" "), "--tmpfs c --ro-bind /dev/null secret --remount-ro c");
        // A secret that the command itself names is meant for it.
        let (said, _) = machine.sight("home/x", &["cat", "@secret", "@c/hillock.toml"], &[]);
        let wanted = "--tmpfs c --ro-bind c/hillock.toml c/hillock.toml --remount-ro c";
        assert_eq!(said.join(" "), wanted);
    }

    #[test]
    fn who_works_in_the_configurations_folder_sees_the_rest_of_it() {
        let machine = Machine::new();
        let (said, sight) = machine.sight("c", &["sh"], &[]);
        let wanted = "--tmpfs c/automations.d --tmpfs c/data --ro-bind /dev/null c/hillock.toml \
                      --tmpfs c/one --ro-bind /dev/null c/store.db --tmpfs c/two \
                      --ro-bind /dev/null secret --remount-ro c/automations.d --remount-ro c/data \
                      --remount-ro c/one --remount-ro c/two";
        assert_eq!(said.join(" "), wanted);
        assert_eq!(sight.open, [machine.at("c")]);
        assert!(
            sight.hides(&machine.at("c/hillock.toml")) && !sight.hides(&machine.at("c/scripts"))
        );
    }

    #[test]
    fn everybodys_folders_stay() {
        let home = Path::new("/home/u");
        for folder in ["/", "/etc", "/home", "/var/lib", "/tmp"] {
            assert!(is_everybodys(Path::new(folder), Some(home)), "{folder}");
        }
        for folder in ["/etc/hillock", "/home/u/work", "/var/lib/hillock", "/srv/agents"] {
            assert!(!is_everybodys(Path::new(folder), Some(home)), "{folder}");
        }
    }

    #[test]
    fn a_policy_has_the_last_word_on_where_it_works() {
        let machine = Machine::new();
        let (work, command) = (machine.at("c/one"), ["sh".to_owned()]);
        for (access, wanted) in [
            (WorkspaceAccess::Ro, "--ro-bind c/one c/one"),
            (WorkspaceAccess::None, "--tmpfs c/one"),
        ] {
            let own = Own { work: &work, home: None, command: &command, visible: &[], access };
            let sight = Sight::of(&own, &Private::default(), &[]);
            let said: Vec<_> =
                sight.arguments().into_iter().map(|w| w.into_string().unwrap()).collect();
            let root = machine.at("").display().to_string();
            assert!(said.join(" ").replace(&root, "").starts_with(wanted), "{said:?}");
        }
    }
}

//! The files below a granted folder: what is there, and what has changed since it was looked at.
//!
//! Symbolic links are not followed, wherever they lead, and are no files themselves; nor are
//! sockets, pipes and devices.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::model::time::Time;

/// How many files a granted folder may hold.
pub(super) const FILES_MAX: usize = 100_000;

/// A file as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: u64,
    /// When its content changed, in nanoseconds since the Unix epoch.
    modified_ns: i128,
    /// When anything of it changed. It tells a file from one of the same name, size and time that
    /// was there before, and says nothing of the content.
    changed_ns: i128,
    inode: u64,
}

impl File {
    fn of(metadata: &Metadata) -> Self {
        let ns = |secs: i64, ns: i64| i128::from(secs) * 1_000_000_000 + i128::from(ns);
        Self {
            bytes: metadata.len(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// When its content changed; none for an instant that nobody writes.
    pub(super) fn modified_at(&self) -> Option<Time> {
        Time::from_millis(i64::try_from(self.modified_ns / 1_000_000).ok()?)
    }

    /// What tells this state of the file from all others.
    pub(super) fn mark(&self) -> String {
        format!("{} {} {}", self.bytes, self.modified_ns, self.changed_ns)
    }

    fn has_content_of(&self, other: &Self) -> bool {
        let content = |file: &Self| (file.bytes, file.modified_ns, file.inode);
        content(self) == content(other)
    }
}

/// Something that happened to a file, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    Removed,
    Created,
    Modified,
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Created => "created",
            Self::Modified => "modified",
        }
    }
}

/// Which file, as it is, or as it was before it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) change: Change,
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// What is there at a path and below it, by paths relative to the granted folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    files: BTreeMap<PathBuf, File>,
    /// Folders that cannot be read: of what is in them, nothing is known.
    closed: Vec<PathBuf>,
}

/// The files below a granted folder, by their relative paths.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<PathBuf, File>);

impl Tree {
    /// The files that were found, of which nobody is told.
    pub(super) fn new(found: Found) -> Self {
        Self(found.files)
    }

    /// Takes over what was found at a path and below it, and says what has changed: first what was
    /// removed, then by path. What is `held` is left for later.
    pub(super) fn update(
        &mut self,
        at: &Path,
        found: Found,
        held: impl Fn(&Path) -> bool,
    ) -> Vec<Changed> {
        let Found { files, closed } = found;
        let unknown = |path: &Path| held(path) || closed.iter().any(|c| path.starts_with(c));
        let below = self.0.range(at.to_owned()..).take_while(|(path, _)| path.starts_with(at));
        let gone = below.filter(|(path, _)| !files.contains_key(*path) && !unknown(path));
        let change = Change::Removed;
        let mut changes: Vec<Changed> =
            gone.map(|(path, file)| Changed { change, path: path.clone(), file: *file }).collect();
        for Changed { path, .. } in &changes {
            self.0.remove(path);
        }
        for (path, file) in files.into_iter().filter(|(path, _)| !held(path)) {
            let change = match self.0.insert(path.clone(), file) {
                None => Change::Created,
                Some(before) if !before.has_content_of(&file) => Change::Modified,
                Some(_) => continue,
            };
            changes.push(Changed { change, path, file });
        }
        changes
    }
}

/// What is there at a relative path of a folder, which is given by its real path; nothing when it
/// is gone, or lies behind a link.
///
/// # Errors
/// When the path cannot be read, or has more than [`FILES_MAX`] files below it.
pub(super) fn look(folder: &Path, at: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let path = folder.join(at);
    let parent = at.parent().map_or_else(|| folder.to_owned(), |parent| folder.join(parent));
    let metadata = match fs::canonicalize(&parent) {
        Ok(real) if real == parent => fs::symlink_metadata(&path),
        Ok(_) => return Ok(found),
        Err(error) => Err(error),
    };
    match metadata {
        Ok(metadata) if metadata.is_dir() => walk(folder, at, &mut found)?,
        Ok(metadata) if metadata.is_file() => {
            found.files.insert(at.to_owned(), File::of(&metadata));
        }
        Ok(_) => {}
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn walk(folder: &Path, top: &Path, found: &mut Found) -> io::Result<()> {
    let mut folders = vec![top.to_owned()];
    while let Some(at) = folders.pop() {
        let entries = match fs::read_dir(folder.join(&at)) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => continue,
            Err(error) if at == top => return Err(error),
            Err(error) => {
                tracing::warn!(folder = %folder.join(&at).display(), %error, "folder not watched");
                found.closed.push(at);
                continue;
            }
        };
        for entry in entries {
            let entry = entry?;
            let path = at.join(entry.file_name());
            // Of the entry itself: a link is not followed.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) if metadata.is_file() => {
                    found.files.insert(path, File::of(&metadata));
                }
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if found.files.len() > FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} files in it")));
        }
    }
    Ok(())
}

/// Whether something is not there any more: what was a folder may be a file now.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Folder {
        _dir: tempfile::TempDir,
        path: PathBuf,
        tree: Tree,
    }

    impl Folder {
        fn new(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().canonicalize().unwrap();
            let folder = Self { _dir: dir, path, tree: Tree::default() };
            files.iter().for_each(|name| folder.write(name, "first"));
            Self { tree: Tree::new(look(&folder.path, Path::new("")).unwrap()), ..folder }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// What has changed at a path, with `held` left out.
        fn changes(&mut self, at: &str, held: &str) -> Vec<(&'static str, String)> {
            let at = Path::new(at);
            let found = look(&self.path, at).unwrap();
            let changes = self.tree.update(at, found, |path| path == Path::new(held));
            changes.iter().map(|c| (c.change.as_str(), c.path.display().to_string())).collect()
        }
    }

    fn is(change: &'static str, path: &str) -> (&'static str, String) {
        (change, path.to_owned())
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut folder = Folder::new(&["kept", "changed", "gone", "sub/gone"]);
        assert!(folder.changes("", "-").is_empty());
        folder.write("changed", "second");
        folder.write("new", "");
        fs::remove_file(folder.path.join("gone")).unwrap();
        fs::remove_dir_all(folder.path.join("sub")).unwrap();
        let told = folder.changes("", "-");
        assert_eq!(
            told,
            [
                is("removed", "gone"),
                is("removed", "sub/gone"),
                is("modified", "changed"),
                is("created", "new")
            ]
        );
        assert!(folder.changes("", "-").is_empty());
    }

    #[test]
    fn a_rename_is_one_removed_and_one_created() {
        let mut folder = Folder::new(&["a", "deep/1", "deep/2"]);
        fs::rename(folder.path.join("a"), folder.path.join("b")).unwrap();
        assert_eq!(folder.changes("a", "-"), [is("removed", "a")]);
        assert_eq!(folder.changes("b", "-"), [is("created", "b")]);
        fs::rename(folder.path.join("deep"), folder.path.join("far")).unwrap();
        assert_eq!(folder.changes("deep", "-"), [is("removed", "deep/1"), is("removed", "deep/2")]);
        assert_eq!(folder.changes("far", "-"), [is("created", "far/1"), is("created", "far/2")]);
    }

    #[test]
    fn a_file_put_in_anothers_place_is_modified() {
        let mut folder = Folder::new(&["page"]);
        folder.write(".page.tmp", "first");
        fs::rename(folder.path.join(".page.tmp"), folder.path.join("page")).unwrap();
        assert_eq!(folder.changes("", "-"), [is("modified", "page")]);
    }

    #[test]
    fn what_is_held_is_left_for_later() {
        let mut folder = Folder::new(&["old"]);
        folder.write("sub/new", "");
        fs::remove_file(folder.path.join("old")).unwrap();
        assert_eq!(folder.changes("", "old"), [is("created", "sub/new")]);
        assert_eq!(folder.changes("", "-"), [is("removed", "old")]);
    }

    #[test]
    fn links_are_not_followed() {
        let outside = Folder::new(&["secret", "sub/secret"]);
        let mut folder = Folder::new(&["own"]);
        symlink(&outside.path, folder.path.join("folder")).unwrap();
        symlink(outside.path.join("secret"), folder.path.join("file")).unwrap();
        symlink(folder.path.join("own"), folder.path.join("self")).unwrap();
        for at in ["", "folder", "file", "self", "folder/secret", "folder/sub/secret"] {
            assert!(folder.changes(at, "-").is_empty(), "{at}");
        }
    }

    #[test]
    fn a_file_may_become_a_folder() {
        let mut folder = Folder::new(&["x"]);
        fs::remove_file(folder.path.join("x")).unwrap();
        folder.write("x/y", "");
        assert_eq!(folder.changes("x", "-"), [is("removed", "x"), is("created", "x/y")]);
        fs::remove_dir_all(folder.path.join("x")).unwrap();
        folder.write("x", "");
        assert_eq!(folder.changes("x/y", "-"), [is("removed", "x/y")]);
        assert_eq!(folder.changes("x", "-"), [is("created", "x")]);
    }
}

//! Paths that something happens to, until they have been left alone for a while.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// How many paths may be on hold; beyond, all of the folder is.
const PATHS_MAX: usize = 10_000;

/// The paths on hold, each until an instant.
#[derive(Debug)]
pub(super) struct Quiet {
    span: Duration,
    until: HashMap<PathBuf, Instant>,
}

impl Quiet {
    /// Holds paths until nothing has happened to them for this long.
    pub(super) fn new(span: Duration) -> Self {
        Self { span, until: HashMap::new() }
    }

    /// Something happens to a path below `folder`.
    pub(super) fn touch(&mut self, folder: &PathBuf, path: PathBuf, now: Instant) {
        let full = self.until.len() >= PATHS_MAX && !self.until.contains_key(&path);
        let path = if full {
            self.until.retain(|held, _| !held.starts_with(folder));
            folder.clone()
        } else {
            path
        };
        self.until.insert(path, now + self.span);
    }

    /// Whether a path is on hold by itself.
    pub(super) fn holds(&self, path: &std::path::Path) -> bool {
        self.until.contains_key(path)
    }

    /// When the first of them has been left alone long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.until.values().min().copied()
    }

    /// Lets go of those that have been left alone long enough, in order.
    pub(super) fn release(&mut self, now: Instant) -> Vec<PathBuf> {
        let mut released: Vec<PathBuf> =
            self.until.extract_if(|_, until| *until <= now).map(|(path, _)| path).collect();
        released.sort();
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(500);

    fn path(text: &str) -> PathBuf {
        text.into()
    }

    #[test]
    fn a_path_is_released_when_it_has_been_left_alone() {
        let (folder, begin) = (path("/f"), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        let mut quiet = Quiet::new(SPAN);
        assert_eq!(quiet.next(), None);
        quiet.touch(&folder, path("/f/a"), at(0));
        quiet.touch(&folder, path("/f/b"), at(100));
        quiet.touch(&folder, path("/f/a"), at(400));
        assert_eq!(quiet.next(), Some(at(600)));
        assert!(quiet.release(at(599)).is_empty());
        assert_eq!(quiet.release(at(600)), [path("/f/b")]);
        assert!(quiet.holds(&path("/f/a")) && !quiet.holds(&path("/f/b")));
        assert_eq!(quiet.release(at(900)), [path("/f/a")]);
        assert_eq!(quiet.next(), None);
    }

    #[test]
    fn too_many_paths_are_their_folder() {
        let (folder, other, now) = (path("/f"), path("/g"), Instant::now());
        let mut quiet = Quiet::new(SPAN);
        quiet.touch(&other, path("/g/a"), now);
        for i in 0..PATHS_MAX {
            quiet.touch(&folder, path(&format!("/f/{i}")), now);
        }
        assert_eq!(quiet.release(now + SPAN), [folder, path("/g/a")]);
    }
}

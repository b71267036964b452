//! Files below granted folders, watched for one observer.
//!
//! ```text
//!   the kernel: something happens at a path ─► quiet for `debounce`? ─► look ─► compare ─► tell
//! ```
//! The kernel's word is only where to look; what has happened is what differs from the time before.
//! So a file that was written several times was created or modified once, one that came and went
//! was nothing, a renamed one was removed and created, and when the kernel loses words, everything
//! is looked at.
//!
//! What is there when the watching begins is not told. A folder that is missing is one without
//! files, and an error until it is there. What is known is held in memory: what happens while the
//! host is down is not told either. With several hosts, each watches its own machine's files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::quiet::Quiet;
use super::tree::{self, Changed, Tree};
use super::{Observers, Seen};
use crate::model::definition::{Observer, Watch};
use crate::store::StoreError;

/// How many of the kernel's words may wait; when there are more, everything is looked at.
const HINTS_MAX: usize = 4096;
/// How often to see whether the folders are still the same.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a folder that cannot be watched is left alone.
const FAULT_PAUSE: Duration = Duration::from_secs(10);
/// The shortest time that a file is left alone.
const DEBOUNCE_MIN: Duration = Duration::from_millis(20);
/// How much an observer is told in one go.
const BATCH: usize = 100;
/// How long to wait for a store that fails.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Observers {
    /// The observers of files that are switched on.
    pub fn of_files(&self) -> Vec<Observer> {
        let definitions = self.catalog.now();
        let files = definitions
            .observers
            .iter()
            .filter(|observer| observer.enabled && matches!(observer.watch, Watch::Files { .. }));
        files.cloned().collect()
    }

    /// Watches the files of one observer until `stop` is called.
    pub async fn watch_files(&self, observer: &Observer, stop: &CancellationToken) {
        let Watch::Files { folders, debounce } = &observer.watch else { return };
        let mut watching = Watching {
            observers: self,
            id: observer.id.to_string(),
            folders: folders.iter().cloned().map(Folder::new).collect(),
            quiet: Quiet::new((*debounce).max(DEBOUNCE_MIN)),
            fault: None,
            is_reported: false,
        };
        while let Some(Err(error)) = stop.run_until_cancelled(watching.watch()).await {
            watching.report(Some(format!("cannot watch files: {error}"))).await;
            stop.run_until_cancelled(sleep(FAULT_PAUSE)).await;
        }
    }
}

/// What the kernel says.
struct Hints {
    paths: mpsc::Receiver<PathBuf>,
    /// Words were lost.
    lost: Arc<AtomicBool>,
}

struct Watching<'o> {
    observers: &'o Observers,
    id: String,
    folders: Vec<Folder>,
    quiet: Quiet,
    /// What is wrong with what is watched.
    fault: Option<String>,
    /// Whether that is kept; what an earlier host has kept is old.
    is_reported: bool,
}

/// A granted folder.
struct Folder {
    /// As it is granted.
    granted: PathBuf,
    /// As it was found last.
    root: Option<Root>,
    is_watched: bool,
    /// What is known to be in it; nothing before it was looked at.
    tree: Option<Tree>,
    fault: Option<String>,
    /// Not before this instant it is tried again.
    retry_at: Option<Instant>,
}

/// A folder by its real path, and what tells it from another one there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Root {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Watching walks through folders, and so blocks.
type Kernel = Arc<Mutex<RecommendedWatcher>>;

impl Watching<'_> {
    /// Watches for ever.
    async fn watch(&mut self) -> notify::Result<()> {
        let (kernel, mut hints) = listen()?;
        loop {
            self.look(&kernel).await;
            let next_look = Instant::now() + LOOK_INTERVAL;
            while Instant::now() < next_look {
                let until = self.quiet.next().map_or(next_look, |next| next.min(next_look));
                tokio::select! {
                    Some(path) = hints.paths.recv() => self.hear(path, &mut hints.paths),
                    () = sleep_until(until) => {}
                }
                if hints.lost.swap(false, Ordering::Relaxed) {
                    self.hear_of_everything();
                }
                self.settle(&kernel).await;
            }
        }
    }

    /// Sees whether the folders are where they were, and watches those that were not.
    async fn look(&mut self, kernel: &Kernel) {
        for folder in &mut self.folders {
            if folder.retry_at.is_none_or(|at| at <= Instant::now()) {
                folder.look(kernel, &mut self.quiet).await;
            }
        }
        let fault = self.folders.iter().find_map(|folder| folder.fault.clone());
        if fault != self.fault || !self.is_reported {
            self.report(fault).await;
        }
    }

    fn hear(&mut self, path: PathBuf, others: &mut mpsc::Receiver<PathBuf>) {
        let mut next = Some(path);
        while let Some(path) = next {
            let mut roots = self.folders.iter().filter_map(|folder| folder.root.as_ref());
            if let Some(root) = roots.find(|root| path.starts_with(&root.path)) {
                self.quiet.touch(&root.path, path, Instant::now());
            }
            next = others.try_recv().ok();
        }
    }

    fn hear_of_everything(&mut self) {
        tracing::warn!(
            observer = self.id,
            "too many file changes at once; rescanning all watched folders"
        );
        for root in self.folders.iter().filter_map(|folder| folder.root.as_ref()) {
            self.quiet.touch(&root.path, root.path.clone(), Instant::now());
        }
    }

    /// Tells of what has been left alone long enough.
    async fn settle(&mut self, kernel: &Kernel) {
        let mut changes = Vec::new();
        for path in self.quiet.release(Instant::now()) {
            for folder in &mut self.folders {
                let changed = folder.compare(&path, &self.quiet, kernel).await;
                changes.extend(changed.into_iter().map(|one| (folder.granted.clone(), one)));
            }
        }
        changes.sort_by_key(|(_, changed)| changed.change);
        for some in changes.chunks(BATCH) {
            let seen: Vec<Seen> =
                some.iter().map(|(granted, changed)| self.seen(granted, changed)).collect();
            self.tell(&seen).await;
        }
    }

    fn seen(&self, granted: &Path, changed: &Changed) -> Seen {
        let Changed { change, path, file } = changed;
        let (folder, path) = (granted.to_string_lossy(), path.to_string_lossy());
        let (change, mark) = (change.as_str(), file.mark());
        let id = format!("{}\0{folder}\0{path}\0{change} {mark}", self.id);
        Seen {
            id: hex::encode(Sha256::digest(id)),
            at: self.observers.asking.clock.now(),
            data: json!({
                "path": path,
                "folder": folder,
                "change": change,
                "bytes": file.bytes,
                "modified_at": file.modified_at(),
            })
            .to_string(),
            depth: 0,
            causes: Vec::new(),
        }
    }

    /// Keeps what is wrong with what is watched, or that nothing is.
    async fn report(&mut self, fault: Option<String>) {
        if let Some(fault) = &fault {
            tracing::error!(observer = self.id, fault, "failed to watch files");
        }
        (self.fault, self.is_reported) = (fault, true);
        self.tell(&[]).await;
    }

    /// Goes on until the store has it: nobody else knows of these changes.
    async fn tell(&self, seen: &[Seen]) {
        while let Err(error) = self.tell_once(seen).await {
            tracing::error!(
                observer = self.id, %error,
                "failed to store file events; trying again"
            );
            sleep(STORE_PAUSE).await;
        }
    }

    async fn tell_once(&self, seen: &[Seen]) -> Result<(), StoreError> {
        // Its configuration may have changed since the watching began.
        match self.observers.find(&self.id) {
            Some(observer) => self.observers.tell(&observer, seen, self.fault.as_deref()).await,
            None => Ok(()),
        }
    }
}

impl Folder {
    fn new(granted: PathBuf) -> Self {
        // The same in events, wherever the host was started.
        let granted = std::path::absolute(&granted).unwrap_or(granted);
        let (root, tree, fault, retry_at) = (None, None, None, None);
        Self { granted, root, is_watched: false, tree, fault, retry_at }
    }

    async fn look(&mut self, kernel: &Kernel, quiet: &mut Quiet) {
        let granted = self.granted.clone();
        let root = match blocking(move || Root::of(&granted)).await {
            Ok(root) => root,
            Err(error) => return self.miss(&error, kernel, quiet).await,
        };
        if self.is_watched && self.root.as_ref() == Some(&root) {
            return;
        }
        self.unwatch(kernel).await;
        let path = root.path.clone();
        self.root = Some(root);
        // Watch before looking: what happens in between must not be lost.
        if let Err(error) = watch(kernel, path.clone()).await {
            return self.fail(&error, kernel).await;
        }
        (self.is_watched, self.fault, self.retry_at) = (true, None, None);
        if self.tree.is_some() {
            return quiet.touch(&path, path.clone(), Instant::now());
        }
        match blocking(move || tree::look(&path, Path::new(""))).await {
            Ok(found) => self.tree = Some(Tree::new(found)),
            Err(error) => self.fail(&error, kernel).await,
        }
    }

    /// What has changed at a path, if it is in this folder.
    async fn compare(&mut self, path: &Path, quiet: &Quiet, kernel: &Kernel) -> Vec<Changed> {
        let (Some(root), Some(tree)) = (&self.root, &mut self.tree) else { return Vec::new() };
        let Ok(at) = path.strip_prefix(&root.path) else { return Vec::new() };
        let (folder, below) = (root.path.clone(), at.to_owned());
        match blocking(move || tree::look(&folder, &below)).await {
            Ok(found) => tree.update(at, found, |path| quiet.holds(&root.path.join(path))),
            Err(error) => {
                self.fail(&error, kernel).await;
                Vec::new()
            }
        }
    }

    /// The folder is not where it should be. What was in it is gone, if that is why.
    async fn miss(&mut self, error: &io::Error, kernel: &Kernel, quiet: &mut Quiet) {
        if tree::is_gone(error) {
            self.tree.get_or_insert_default();
            if let Some(root) = self.root.as_ref().filter(|_| self.is_watched) {
                quiet.touch(&root.path, root.path.clone(), Instant::now());
            }
        }
        self.unwatch(kernel).await;
        self.fault = Some(format!("{}: {error}", self.granted.display()));
    }

    /// The folder cannot be watched, or not be looked at.
    async fn fail(&mut self, error: &(dyn std::error::Error + Sync), kernel: &Kernel) {
        self.unwatch(kernel).await;
        self.fault = Some(format!("{}: {error}", self.granted.display()));
        self.retry_at = Some(Instant::now() + FAULT_PAUSE);
    }

    async fn unwatch(&mut self, kernel: &Kernel) {
        let Some(root) = self.root.clone().filter(|_| self.is_watched) else { return };
        self.is_watched = false;
        let kernel = Arc::clone(kernel);
        // The folder may be gone, and the watch with it.
        let _ = blocking(move || Ok(lock(&kernel).unwatch(&root.path))).await;
    }
}

impl Root {
    fn of(granted: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(granted)?;
        let metadata = fs::metadata(&path)?;
        match metadata.is_dir() {
            true => Ok(Self { path, device: metadata.dev(), inode: metadata.ino() }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

async fn watch(kernel: &Kernel, path: PathBuf) -> io::Result<()> {
    let kernel = Arc::clone(kernel);
    let watching = move || lock(&kernel).watch(&path, RecursiveMode::Recursive);
    blocking(move || watching().map_err(io::Error::other)).await
}

fn lock(kernel: &Kernel) -> MutexGuard<'_, RecommendedWatcher> {
    kernel.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Begins to listen to the kernel.
fn listen() -> notify::Result<(Kernel, Hints)> {
    let (sender, paths) = mpsc::channel(HINTS_MAX);
    let lost = Arc::new(AtomicBool::new(false));
    let losing = Arc::clone(&lost);
    let hear = move |said: notify::Result<notify::Event>| {
        let Ok(event) = said else { return losing.store(true, Ordering::Relaxed) };
        if event.need_rescan() {
            losing.store(true, Ordering::Relaxed);
        }
        // Looking is an access, too.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths {
            if sender.try_send(path).is_err() {
                losing.store(true, Ordering::Relaxed);
            }
        }
    };
    let config = notify::Config::default().with_follow_symlinks(false);
    let kernel = RecommendedWatcher::new(hear, config)?;
    Ok((Arc::new(Mutex::new(kernel)), Hints { paths, lost }))
}

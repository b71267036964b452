//! A folder that holds a `hillock.toml`, as an operator has it, and a data folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::database::Database;
use super::host::Host;
use super::process::{Process, hillock};
use super::wait;

/// The secret that [`Folder`] gives to every host, by this variable.
pub(crate) const SECRET_VARIABLE: &str = "GITHUB_WEBHOOK_SECRET";
/// The variable that names the file by which a host's clock is led.
const CLOCK_VARIABLE: &str = "HILLOCK_CLOCK_FILE";
pub(crate) const SECRET: &str = "It's a Secret to Everybody";

pub(crate) struct Folder {
    dir: TempDir,
    pub(crate) database: Database,
    store_url: String,
    environment: Vec<(String, String)>,
}

impl Folder {
    /// A folder with this `hillock.toml`; compiled components are there already.
    pub(crate) async fn new(database: Database, config: &str) -> Self {
        let folder = Self::empty(database, config);
        copy_files(warm_cache().await, &folder.data_dir().join("cache"));
        folder
    }

    fn empty(database: Database, config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let store_url = database.url();
        let folder = Self { dir, database, store_url, environment: vec![] };
        make_private(&folder.data_dir());
        folder.write("hillock.toml", config);
        folder.env(SECRET_VARIABLE, SECRET)
    }

    /// The same, with a variable in the environment of all that runs in it.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, on another folder's database and by its clock: a second host.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.store_url.clone_from(&other.store_url);
        self.env(CLOCK_VARIABLE, &other.clock_file().display().to_string())
    }

    /// The same, with a clock that the test puts forward.
    pub(crate) fn with_clock(self) -> Self {
        let file = self.clock_file().display().to_string();
        self.env(CLOCK_VARIABLE, &file)
    }

    fn clock_file(&self) -> PathBuf {
        self.path().join("clock")
    }

    /// Puts the clock forward.
    pub(crate) fn advance(&self, span: Duration) {
        let lead = self.read("clock").map_or(0, |text| text.parse().unwrap());
        self.lead(Duration::from_millis(lead) + span);
    }

    /// Puts the clock this far ahead of the machine's.
    pub(crate) fn lead(&self, lead: Duration) {
        let partial = tempfile::NamedTempFile::new_in(self.path()).unwrap();
        fs::write(partial.path(), lead.as_millis().to_string()).unwrap();
        partial.persist(self.clock_file()).unwrap();
    }

    /// Where the host's store is.
    pub(crate) fn store_url(&self) -> &str {
        &self.store_url
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path().join(name)).ok()
    }

    /// The program, to be run in this folder.
    pub(crate) fn hillock(&self, args: &[&str]) -> Command {
        let mut command = hillock(args);
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("HILLOCK_DATA_DIR", self.data_dir())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Keeps what a host here has compiled for those that come: of another engine than theirs.
    pub(crate) fn keep_compiled(&self) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        copy_files(&self.data_dir().join("cache"), &kept);
    }

    /// A running host, ready, on a free port.
    pub(crate) async fn serve(&self) -> Host {
        self.serve_on("127.0.0.1:0").await
    }

    /// The same, on a certain address.
    pub(crate) async fn serve_on(&self, listen: &str) -> Host {
        Host::ready(self, self.start(listen)).await
    }

    /// A host that has only been started.
    pub(crate) fn start(&self, listen: &str) -> Process {
        let _ = fs::remove_file(self.data_dir().join("address"));
        let mut command = self.hillock(&["serve", "--config", "hillock.toml"]);
        command.env("HILLOCK_LISTEN", listen).env("HILLOCK_STORE_URL", &self.store_url);
        Process::start(command, &self.path().join("serve.log"))
    }
}

/// The cache of a host that has compiled the built-in components once.
async fn warm_cache() -> &'static Path {
    static WARM: OnceCell<PathBuf> = OnceCell::const_new();
    WARM.get_or_init(|| async {
        let folder = Folder::empty(Database::sqlite(), "");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        copy_files(&kept, &folder.data_dir().join("cache"));
        let mut serving = folder.start("127.0.0.1:0");
        // An unoptimised build compiles them for minutes on a machine that is busy otherwise.
        let patience = Duration::from_secs(300);
        wait::within(patience, "the first host to have compiled its components", async || {
            assert!(!serving.has_ended(), "the first host does not start");
            folder.data_dir().join("address").exists().then_some(())
        })
        .await;
        copy_files(&folder.data_dir().join("cache"), &kept);
        kept
    })
    .await
}

/// Copies a folder's content, if there is one, into one that only this user can read.
fn copy_files(from: &Path, to: &Path) {
    make_private(to);
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries.map(Result::unwrap) {
        // What others are still writing there is theirs, and gone in a moment.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_files(&entry.path(), &target);
            continue;
        }
        // Whole or not at all: other processes read what is kept.
        let partial = tempfile::NamedTempFile::new_in(to).unwrap();
        fs::copy(entry.path(), partial.path()).unwrap();
        partial.persist(target).unwrap();
    }
}

fn make_private(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::set_permissions(dir, Permissions::from_mode(0o700)).unwrap();
}

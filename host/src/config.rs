//! `hillock.toml`: read, overlaid by environment and flags, and parsed into definitions.
//!
//! The shapes here are the file's own; what leaves this module are the types of `model`. Everything
//! that is wrong is reported at once, each with its dotted path.

mod automations;
pub mod content;
mod controllers;
pub mod definitions;
mod file;
pub mod programs;
mod prompts;
mod queue;
mod retention;
pub mod secrets;
mod settings;
mod telemetry;
pub mod unmade;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment;
use crate::model::definition::{Agent, Definitions, Plugin};
use crate::model::id::WorkerId;
use crate::model::problem::Problems;
use crate::model::prompts::Prompts;
use crate::model::routing::Offer;
pub use automations::to_json;
pub use controllers::ControllerSettings;
use definitions::{Broken, Declared};
pub use queue::{QueueLimits, WorkspaceLimits};
pub use retention::{KEPT_MIN, Keep, RetentionSettings};
pub use telemetry::{LogFormat, Telemetry};

/// The file's usual name.
pub const FILE_NAME: &str = "hillock.toml";

/// The largest file of configuration, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The file of the data folder with the first API key.
pub const ADMIN_KEY: &str = "admin.key";

/// Everything that a host, or a worker, is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// What was said over the file.
    pub overrides: Overrides,
    /// Where the host listens.
    pub listen: SocketAddr,
    /// Where the host keeps its rows: `sqlite://PATH` or `postgres://…`.
    pub store_url: String,
    /// Where the host keeps keys and caches.
    pub data_dir: PathBuf,
    /// The limits of guests.
    pub limits: Limits,
    /// How extensions reach the network.
    pub egress: EgressLimits,
    /// How much is kept of what runs say.
    pub logs: LogLimits,
    /// What is kept of the audit.
    pub audit: AuditLimits,
    /// What is defined in files.
    pub declared: Vec<Declared>,
    /// The parts of prompts that have a name.
    pub prompts: Prompts,
    /// The operator's own components.
    pub plugins: Vec<Plugin>,
    /// What this process's worker runs, if it has one.
    pub worker: Option<Worker>,
    /// How long the host waits for work in hand when it stops.
    pub drain_grace: Duration,
    /// How many runs may be under way at once; the others wait.
    pub max_concurrent_runs: u32,
    /// How many connections may wait for their clients; beyond, one gives way.
    pub connections_max: usize,
    /// What the queue holds, and lets out.
    pub queue: QueueLimits,
    /// How the background loops are driven.
    pub controllers: ControllerSettings,
    /// How long what has ended is kept.
    pub retention: RetentionSettings,
    /// How the program tells of itself.
    pub telemetry: Telemetry,
    /// What was passed over among the files, and why.
    pub passed_over: Problems,
}

/// What files say, right or wrong.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The main file.
    pub path: PathBuf,
    /// Everything that is wrong.
    pub problems: Problems,
    /// What they say, with a default for each setting that is wrong; none when the main file is not
    /// even TOML.
    pub config: Option<Config>,
    /// What is left of definitions that are wrong, to look for what else is wrong with them.
    pub broken: Vec<Broken>,
    /// The place in `worker.agents` of each of the worker's programs.
    pub programs_at: Vec<usize>,
    /// Why the main file is not even TOML.
    syntax: Option<Syntax>,
}

/// What a guest may use in one call. Exceeding one ends the call with an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of computation, about one per instruction.
    pub fuel: u64,
    /// Wall clock.
    pub time: Duration,
    /// Linear memory, in bytes.
    pub memory_bytes: usize,
    /// What one call may hand to the host, in bytes.
    pub output_bytes: usize,
    /// Lines to the log.
    pub log_lines: u32,
    /// Bytes to the log.
    pub log_bytes: usize,
    /// Calls into the host.
    pub host_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            time: Duration::from_secs(1),
            memory_bytes: 64 * 1024 * 1024,
            output_bytes: 4 * 1024 * 1024,
            log_lines: 100,
            log_bytes: 64 * 1024,
            host_calls: 100_000,
        }
    }
}

/// How much is kept of what a run says. What is left out is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// All of a run's log, in bytes.
    pub run_bytes: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { run_bytes: 16 * 1024 * 1024 }
    }
}

/// How much is kept of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLimits {
    /// How old a row may get.
    pub retention: Duration,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self { retention: Duration::from_secs(365 * 24 * 60 * 60) }
    }
}

/// Whom extensions trust on the network, and how much of it they may use in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// Certificates to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// From the first name resolved to the last byte, redirects included.
    pub time: Duration,
    /// For one connection, TLS included.
    pub connect_time: Duration,
    /// The longest answer, in bytes.
    pub body_bytes: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            ca_file: None,
            time: Duration::from_secs(20),
            connect_time: Duration::from_secs(5),
            body_bytes: 4 * 1024 * 1024,
        }
    }
}

/// A worker's own side of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// What people call it; see [`Worker::called`] when nobody says.
    pub name: Option<String>,
    /// How many programs it runs at once.
    pub capacity: u32,
    /// What it has; what it runs on and can enforce is found out when it starts.
    pub offer: Offer,
    /// The programs, one per agent.
    pub programs: Vec<Program>,
    /// How long a program has to end by itself when it is canceled.
    pub cancel_grace: Duration,
    /// How long a stopping worker waits for its programs before it hands their commands back.
    pub drain_grace: Duration,
    /// Whether its programs are kept from the host and from one another.
    pub isolation: Isolation,
    /// Whose programs they are, by name or number; the worker's own user's when absent.
    pub user: Option<String>,
}

/// Whether programs are kept from the host, the worker and one another by bubblewrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Where that works.
    #[default]
    Auto,
    /// Always: a worker that cannot does not begin.
    Required,
    /// Not unless a policy asks for it.
    Off,
}

/// What is not for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private {
    /// Folders that no program has any business in.
    pub closed: Vec<PathBuf>,
    /// Folders that are hidden where they are nobody's place of work.
    pub folders: Vec<PathBuf>,
    /// Files.
    pub files: Vec<PathBuf>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            name: None,
            capacity: 4,
            offer: Offer::default(),
            programs: Vec::new(),
            cancel_grace: Duration::from_secs(10),
            drain_grace: Duration::from_secs(30),
            isolation: Isolation::Auto,
            user: None,
        }
    }
}

impl Worker {
    /// What the worker with this identifier is called: as it is configured, else by the machine and
    /// by what distinguishes it from the machine's other workers.
    pub fn called(&self, id: &WorkerId) -> String {
        let own = || format!("{}-{}", machine_name(), id.ending());
        self.name.clone().unwrap_or_else(own)
    }
}

/// How long a program may run unless somebody says otherwise.
pub const PROGRAM_TIMEOUT: Duration = Duration::from_secs(600);

/// The program that does an agent's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The agent.
    pub agent: Agent,
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// Environment variables passed on beyond the few that every program needs.
    pub env: Vec<String>,
    /// Its working folder; the worker's own when absent.
    pub dir: Option<PathBuf>,
    /// How long it may run.
    pub timeout: Duration,
    /// Whether it reads lines of JSON on its standard input as long as it runs, whatever the run's
    /// policy says.
    pub interactive: bool,
    /// Files and folders that it sees though they would be hidden from it.
    pub visible: Vec<PathBuf>,
    /// Whose program it is, instead of the worker's `user`.
    pub user: Option<String>,
}

/// What the command line says over environment and file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`, else `HILLOCK_LISTEN`.
    pub listen: Option<String>,
    /// `--store-url`, else `HILLOCK_STORE_URL`.
    pub store_url: Option<String>,
    /// `--data-dir`, else `HILLOCK_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file was named and none was found.
    #[error(
        "no {FILE_NAME} here nor in {}: name one with --config, or try `hillock dev`",
        .searched.display()
    )]
    Missing {
        /// The folder searched after the current one.
        searched: PathBuf,
    },
    /// The file could not be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML of this shape.
    #[error("{} is not a configuration", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Syntax,
    },
    /// The file says what cannot be.
    #[error("{} has errors:\n{problems}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Problems,
    },
}

impl ConfigError {
    /// What is wrong within the files by its dotted path, and what is wrong with a file by the
    /// file's own.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        match self {
            Self::Invalid { problems: all, .. } => problems.append(all.clone()),
            Self::Missing { .. } => problems.add(FILE_NAME, self),
            Self::Unreadable { path, source } => problems.add(path.display().to_string(), source),
            Self::Malformed { path, source } => problems.add(path.display().to_string(), source),
        }
        problems
    }
}

/// Where a file is not TOML of the expected shape, and why. The line itself is not repeated: it may
/// hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct Syntax {
    line: usize,
    column: usize,
    reason: String,
}

impl Syntax {
    fn of(error: &toml::de::Error, text: &str) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: error.message().to_owned(),
        }
    }
}

impl Config {
    /// What is defined in files, as the host works with it.
    pub fn definitions(&self) -> Definitions {
        definitions::snapshot(&self.declared)
    }

    /// What is not for agents' programs, with the secrets that these definitions name.
    pub fn private(&self, definitions: &Definitions) -> Private {
        let folder = |path: &Path| match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut private = Private::of_this_user();
        private
            .closed
            .extend([self.data_dir.clone(), self.folder().join(automations::FOLDER_NAME)]);
        private.folders.push(folder(&self.path));
        private.files.push(self.path.clone());
        private.files.extend(secrets::files(definitions));
        if let Some(store) = self.store_url.strip_prefix("sqlite://").map(Path::new) {
            // The store, and what is beside it: its log, its lock, what a restore kept.
            let name = store.file_name().unwrap_or_default().as_encoded_bytes();
            let beside = std::fs::read_dir(folder(store)).into_iter().flatten().flatten();
            let belongs = |file: &PathBuf| {
                file.file_name().is_some_and(|other| other.as_encoded_bytes().starts_with(name))
            };
            private.files.extend(beside.map(|entry| entry.path()).filter(belongs));
        }
        private
    }

    /// The folder that relative paths are below.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The same file as it is now, right or wrong, below the same overrides.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn draft_again(&self) -> Result<Draft, ConfigError> {
        Self::draft(&self.path, &self.overrides)
    }

    /// The sections in which `other` says what takes effect at a start only.
    pub fn restart_needed(&self, other: &Self) -> Vec<&'static str> {
        let server = |config: &Self| {
            let Self { listen, data_dir, drain_grace, .. } = config.clone();
            let Self { max_concurrent_runs, connections_max, .. } = *config;
            (listen, data_dir, drain_grace, max_concurrent_runs, connections_max)
        };
        let sections = [
            ("server", server(self) != server(other)),
            ("store", self.store_url != other.store_url),
            ("sandbox", self.limits != other.limits),
            ("egress", self.egress != other.egress),
            ("logs", self.logs != other.logs),
            ("audit", self.audit != other.audit),
            ("queue", self.queue != other.queue),
            ("controllers", self.controllers != other.controllers),
            ("retention", self.retention != other.retention),
            ("telemetry", self.telemetry != other.telemetry),
            ("plugins", self.plugins != other.plugins),
        ];
        sections.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section).collect()
    }

    /// Reads `path`, or the first `hillock.toml` of the current and the XDG config folder.
    ///
    /// # Errors
    /// When there is none, or anything in it is wrong.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let path = Self::place(path)?;
        Self::draft(&path, overrides)?.sound()
    }

    /// What a file says, right or wrong.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn draft(path: &Path, overrides: &Overrides) -> Result<Draft, ConfigError> {
        let text = content::read_text(path, CONFIG_BYTES_MAX)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Ok(Draft::parse(&text, path, overrides))
    }

    /// The file that is meant: `path`, or the first `hillock.toml` of the current and the XDG config
    /// folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(path: Option<&Path>) -> Result<PathBuf, ConfigError> {
        match path {
            Some(path) => Ok(path.to_owned()),
            None => find(),
        }
    }

    /// Parses a file's text with the files in `automations.d` beside it; relative paths in them are
    /// below the file's folder.
    ///
    /// # Errors
    /// When anything in them is wrong.
    pub fn parse(text: &str, path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        Draft::parse(text, path, overrides).sound()
    }
}

impl Draft {
    fn parse(text: &str, path: &Path, overrides: &Overrides) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut problems = Problems::default();
        let (mut main, syntax) = match toml_of(text) {
            Ok(table) => (Some(table), None),
            Err(syntax) => (None, Some(syntax)),
        };
        let others = automations::read(folder, &mut problems);
        let mut passed_over = others.passed_over.clone();
        let table = main.as_mut().and_then(|main| main.remove("prompts"));
        let prompts = prompts::read(table, folder, &mut problems, &mut passed_over);
        let automations = automations::parse(main.as_mut(), others, folder, &mut problems);
        let broken = automations.broken.clone();
        let read = main.map(|main| {
            let file = file::File::read(main, &mut problems);
            file.into_config(path, folder, overrides, automations, &mut problems)
        });
        let (config, programs_at) = read.unzip();
        let config = config.map(|config| Config { passed_over, prompts, ..config });
        let programs_at = programs_at.unwrap_or_default();
        Self { path: path.to_owned(), problems, config, broken, programs_at, syntax }
    }

    /// What the files say, when all of it is right.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn sound(self) -> Result<Config, ConfigError> {
        let Self { path, mut problems, config, syntax, .. } = self;
        match (config, syntax) {
            (Some(config), None) if problems.is_empty() => Ok(config),
            (_, Some(source)) if problems.is_empty() => {
                Err(ConfigError::Malformed { path, source })
            }
            (_, syntax) => {
                if let Some(syntax) = syntax {
                    problems.add(path.display().to_string(), syntax);
                }
                Err(ConfigError::Invalid { path, problems })
            }
        }
    }
}

/// A file's text as TOML.
fn toml_of(text: &str) -> Result<toml::Table, Syntax> {
    // Some editors put a mark of the byte order before it.
    let text = text.trim_start_matches('\u{feff}');
    toml::from_str(text).map_err(|error| Syntax::of(&error, text))
}

fn find() -> Result<PathBuf, ConfigError> {
    let here = PathBuf::from(FILE_NAME);
    let searched = xdg("XDG_CONFIG_HOME", ".config").join("hillock");
    let home = searched.join(FILE_NAME);
    [here, home].into_iter().find(|path| path.is_file()).ok_or(ConfigError::Missing { searched })
}

/// Where clients of this machine reach a host that listens on `bound`.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

impl Private {
    /// What belongs to whatever host this user runs without having said where.
    pub fn of_this_user() -> Self {
        let pgpass = environment::var_os("PGPASSFILE").map(PathBuf::from);
        Self {
            closed: vec![default_data_dir()],
            folders: vec![xdg("XDG_CONFIG_HOME", ".config").join("hillock")],
            files: pgpass.into_iter().collect(),
        }
    }
}

/// Where keys and caches are kept unless somebody says otherwise.
pub fn default_data_dir() -> PathBuf {
    xdg("XDG_DATA_HOME", ".local/share").join("hillock")
}

/// The longest label, capability, tool, cluster or region, in bytes.
const TAG_BYTES_MAX: usize = 128;

/// A word by which workers are chosen, as it is.
///
/// # Errors
/// When it is empty, long, or would not be seen whole; says what is wanted.
pub fn tag(text: &str) -> Result<String, String> {
    let sound = (1..=TAG_BYTES_MAX).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(char::is_control);
    let wanted = || format!("`{text}` is not 1 to {TAG_BYTES_MAX} printable characters");
    sound.then(|| text.to_owned()).ok_or_else(wanted)
}

/// The name of this machine.
pub fn machine_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "worker".to_owned())
}

fn xdg(variable: &str, below_home: &str) -> PathBuf {
    match environment::var_os(variable) {
        Some(path) if Path::new(&path).is_absolute() => path.into(),
        _ => PathBuf::from(environment::var_os("HOME").unwrap_or_default()).join(below_home),
    }
}

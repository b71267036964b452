//! The shape of `hillock.toml`, and its parsing into what the host works with.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::automations::Automations;
use super::controllers::ControllersTable;
use super::definitions::Declared;
use super::definitions::fields::unknown;
use super::queue::QueueTable;
use super::retention::RetentionTable;
use super::settings::{nested, section};
use super::telemetry::TelemetryTable;
use super::{
    AuditLimits, Config, EgressLimits, Isolation, Limits, LogLimits, Overrides, PROGRAM_TIMEOUT,
    Program, Worker, default_data_dir,
};
use crate::environment;
use crate::model::definition::{Agent, Definition, DefinitionKind};
use crate::model::name::InvalidName;
use crate::model::problem::Problems;
use crate::model::prompts::Prompts;
use crate::model::routing::Offer;
use crate::model::scope::Scope;

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);
const STORE_URL: &str = "sqlite://hillock.db";
const DRAIN_GRACE: Duration = Duration::from_secs(30);
/// How many runs may be under way for each of the machine's cores.
const RUNS_PER_CORE: u32 = 5;
/// More than the slow clients that one machine can open without trouble.
const CONNECTIONS_MAX: u32 = 16_384;

/// The settings. Definitions are read apart.
pub(super) struct File {
    server: ServerTable,
    store: StoreTable,
    sandbox: SandboxTable,
    egress: EgressTable,
    queue: QueueTable,
    retention: RetentionTable,
    logs: LogsTable,
    controllers: ControllersTable,
    audit: AuditTable,
    telemetry: TelemetryTable,
    worker: Option<WorkerTable>,
}

/// Every table of settings.
const SECTIONS: [&str; 11] = [
    "server",
    "store",
    "sandbox",
    "egress",
    "queue",
    "retention",
    "logs",
    "controllers",
    "audit",
    "telemetry",
    "worker",
];

impl File {
    /// The settings in a file that the definitions were taken out of.
    pub(super) fn read(mut file: toml::Table, problems: &mut Problems) -> Self {
        let file = &mut file;
        let read = Self {
            server: section(file, "server", problems),
            store: section(file, "store", problems),
            sandbox: section(file, "sandbox", problems),
            egress: section(file, "egress", problems),
            queue: section(file, "queue", problems),
            retention: section(file, "retention", problems),
            logs: section(file, "logs", problems),
            controllers: section(file, "controllers", problems),
            audit: section(file, "audit", problems),
            telemetry: section(file, "telemetry", problems),
            worker: file.contains_key("worker").then(|| section(file, "worker", problems)),
        };
        let lists = DefinitionKind::ALL.iter().map(|(_, _, plural)| *plural);
        let known: Vec<&str> =
            SECTIONS.into_iter().chain(lists).chain(["plugins", "prompts"]).collect();
        for name in file.keys() {
            problems.add(name, unknown(&known, name));
        }
        read
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    listen: Option<String>,
    data_dir: Option<PathBuf>,
    drain_grace: Option<String>,
    max_concurrent_runs: Option<u32>,
    connections_max: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SandboxTable {
    fuel: Option<u64>,
    time: Option<String>,
    memory_bytes: Option<usize>,
    output_bytes: Option<usize>,
    log_lines: Option<u32>,
    log_bytes: Option<usize>,
    host_calls: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EgressTable {
    ca_file: Option<PathBuf>,
    time: Option<String>,
    connect_time: Option<String>,
    body_bytes: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsTable {
    run_bytes_max: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditTable {
    retention: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerTable {
    name: Option<String>,
    capacity: Option<u32>,
    cancel_grace: Option<String>,
    drain_grace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    capabilities: BTreeSet<String>,
    #[serde(default)]
    tools: BTreeSet<String>,
    cluster: Option<String>,
    region: Option<String>,
    #[serde(default)]
    isolation: Isolation,
    user: Option<UserEntry>,
    #[serde(default)]
    agents: Vec<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramEntry {
    name: Option<String>,
    #[serde(default)]
    workspace: String,
    command: Option<Vec<String>>,
    #[serde(default)]
    env: Vec<String>,
    dir: Option<PathBuf>,
    timeout: Option<String>,
    #[serde(default)]
    interactive: bool,
    #[serde(default)]
    visible: Vec<PathBuf>,
    user: Option<UserEntry>,
}

/// A user, by name or by number.
#[derive(Deserialize)]
#[serde(untagged)]
enum UserEntry {
    Name(String),
    Number(u32),
}

impl UserEntry {
    fn read(self, path: &str, problems: &mut Problems) -> Option<String> {
        match self {
            Self::Name(name) if name.trim().is_empty() => {
                problems.add(path, "names no user");
                None
            }
            Self::Name(name) => Some(name),
            Self::Number(number) => Some(number.to_string()),
        }
    }
}

impl File {
    /// The configuration, where what is wrong has its default, and the places in it of the worker's
    /// programs.
    pub(super) fn into_config(
        self,
        path: &Path,
        folder: &Path,
        overrides: &Overrides,
        automations: Automations,
        problems: &mut Problems,
    ) -> (Config, Vec<usize>) {
        let listen = overrides.listen.clone().or(self.server.listen);
        let store_url = overrides.store_url.clone().or(self.store.url);
        let listen = listen.map_or(LISTEN, |text| listen_address(&text, problems));
        let store_url = store_url_in(folder, store_url.as_deref().unwrap_or(STORE_URL), problems);
        let in_file = self.server.data_dir.map(|dir| folder.join(dir));
        let data_dir = overrides.data_dir.clone().or(in_file).unwrap_or_else(default_data_dir);
        let drain_grace =
            duration("server.drain_grace", self.server.drain_grace, DRAIN_GRACE, problems);
        let limits = self.sandbox.into_limits(problems);
        let egress = self.egress.into_limits(folder, problems);
        let queue = self.queue.into_limits(problems);
        let retention = self.retention.into_settings(problems);
        let logs = self.logs.into_limits(problems);
        let controllers = self.controllers.into_settings(problems);
        let audit = self.audit.into_limits(problems);
        let telemetry = self.telemetry.into_telemetry(problems);
        let worker = self.worker.map(|worker| worker.into_worker(folder, problems));
        let Automations { declared, broken, plugins, complete } = automations;
        if let Some((worker, places)) = &worker {
            let rest = broken.iter().filter(|broken| broken.is_named());
            let known = declared.iter().chain(rest.map(|broken| &broken.declared));
            hold_against(&worker.programs, places, known, complete, problems);
        }
        let max_concurrent_runs = at_least_one(
            "server.max_concurrent_runs",
            self.server.max_concurrent_runs,
            RUNS_PER_CORE * cores(),
            problems,
        );
        let connections_max = at_least_one(
            "server.connections_max",
            self.server.connections_max,
            CONNECTIONS_MAX,
            problems,
        );
        let (worker, places) = worker.unzip();
        let config = Config {
            path: path.to_owned(),
            overrides: overrides.clone(),
            listen,
            store_url,
            data_dir,
            limits,
            egress,
            logs,
            audit,
            declared,
            prompts: Prompts::default(),
            plugins,
            worker,
            drain_grace,
            max_concurrent_runs,
            connections_max: connections_max as usize,
            queue,
            controllers,
            retention,
            telemetry,
            passed_over: Problems::default(),
        };
        (config, places.unwrap_or_default())
    }
}

fn listen_address(text: &str, problems: &mut Problems) -> SocketAddr {
    let parsed = text.parse().map_err(|_| {
        format!("`{text}` is not an address and a port, such as 127.0.0.1:7878 or [::1]:7878")
    });
    problems.take("server.listen", parsed).unwrap_or(LISTEN)
}

/// The store's URL, with a relative SQLite path taken from the file's folder; or, when there is no
/// such file yet and systemd gives the host a folder to write to, from that.
fn store_url_in(folder: &Path, url: &str, problems: &mut Problems) -> String {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return url.to_owned();
    }
    let path = url.strip_prefix("sqlite://").filter(|path| !path.is_empty());
    let Some(path) = path else {
        // The URL itself is not repeated: it may hold a password.
        problems.add("store.url", "neither sqlite://PATH nor postgres://USER@HOST/DATABASE");
        return STORE_URL.to_owned();
    };
    let (here, state) = (folder.join(path), environment::var_os("STATE_DIRECTORY"));
    let state = state.and_then(|state| std::env::split_paths(&state).next());
    let file = match state.filter(|state| state.is_absolute() && !here.exists()) {
        Some(state) => state.join(path),
        None => here,
    };
    format!("sqlite://{}", file.display())
}

pub(super) fn duration(
    path: &str,
    text: Option<String>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let Some(text) = text else { return default };
    let parsed = humantime::parse_duration(&text)
        .map_err(|reason| format!("`{text}` is not a duration such as 30s or 5m: {reason}"))
        .and_then(|span| match span.is_zero() {
            true => Err("a duration of zero".to_owned()),
            false => Ok(span),
        });
    problems.take(path, parsed).unwrap_or(default)
}

pub(super) fn at_least_one<T: PartialOrd + From<u8>>(
    path: &str,
    value: Option<T>,
    default: T,
    problems: &mut Problems,
) -> T {
    match value {
        Some(value) if value < T::from(1) => {
            problems.add(path, "must be at least 1");
            default
        }
        Some(value) => value,
        None => default,
    }
}

impl SandboxTable {
    fn into_limits(self, problems: &mut Problems) -> Limits {
        let d = Limits::default();
        let memory_bytes = self.memory_bytes.unwrap_or(d.memory_bytes);
        // The pooling allocator reserves address space for this much in every slot.
        if !(1 << 20..=1 << 30).contains(&memory_bytes) {
            problems.add("sandbox.memory_bytes", "must lie between 1 MiB and 1 GiB");
        }
        Limits {
            fuel: at_least_one("sandbox.fuel", self.fuel, d.fuel, problems),
            time: duration("sandbox.time", self.time, d.time, problems),
            memory_bytes,
            output_bytes: at_least_one(
                "sandbox.output_bytes",
                self.output_bytes,
                d.output_bytes,
                problems,
            ),
            log_lines: self.log_lines.unwrap_or(d.log_lines),
            log_bytes: self.log_bytes.unwrap_or(d.log_bytes),
            host_calls: at_least_one("sandbox.host_calls", self.host_calls, d.host_calls, problems),
        }
    }
}

impl EgressTable {
    fn into_limits(self, folder: &Path, problems: &mut Problems) -> EgressLimits {
        let d = EgressLimits::default();
        EgressLimits {
            ca_file: self.ca_file.map(|file| folder.join(file)),
            time: duration("egress.time", self.time, d.time, problems),
            connect_time: duration(
                "egress.connect_time",
                self.connect_time,
                d.connect_time,
                problems,
            ),
            body_bytes: at_least_one("egress.body_bytes", self.body_bytes, d.body_bytes, problems),
        }
    }
}

impl WorkerTable {
    /// The worker, and the places in the file of its programs.
    fn into_worker(self, folder: &Path, problems: &mut Problems) -> (Worker, Vec<usize>) {
        if self.agents.is_empty() {
            problems.add("worker.agents", "a worker needs at least one [[worker.agents]]");
        }
        let programs = self.agents.into_iter().enumerate().filter_map(|(i, entry)| {
            let path = format!("worker.agents[{i}]");
            let entry: ProgramEntry = nested(&path, entry, problems);
            Some((i, entry.into_program(&path, folder, problems)?))
        });
        let (places, programs) = programs.unzip();
        let d = Worker::default();
        let offer = Offer {
            capabilities: self.capabilities,
            tools: self.tools,
            labels: self.labels,
            cluster: self.cluster,
            region: self.region,
            ..d.offer
        };
        check_offer(&offer, problems);
        let worker = Worker {
            name: self.name,
            capacity: at_least_one("worker.capacity", self.capacity, d.capacity, problems),
            offer,
            programs,
            cancel_grace: duration(
                "worker.cancel_grace",
                self.cancel_grace,
                d.cancel_grace,
                problems,
            ),
            drain_grace: duration("worker.drain_grace", self.drain_grace, d.drain_grace, problems),
            isolation: self.isolation,
            user: self.user.and_then(|user| user.read("worker.user", problems)),
        };
        (worker, places)
    }
}

/// What a worker says that it has is short and printable.
fn check_offer(offer: &Offer, problems: &mut Problems) {
    let Offer { capabilities, tools, labels, cluster, region, .. } = offer;
    let listed = |field: &'static str, tags: &BTreeSet<String>| {
        tags.iter().map(|tag| (format!("worker.{field}"), tag.clone())).collect::<Vec<_>>()
    };
    let labeled = labels.iter().flat_map(|(key, value)| {
        let path = format!("worker.labels.{key}");
        [("worker.labels".to_owned(), key.clone()), (path, value.clone())]
    });
    let places = [("worker.cluster", cluster), ("worker.region", region)];
    let places = places.into_iter().filter_map(|(path, tag)| Some((path.to_owned(), tag.clone()?)));
    let tags = listed("capabilities", capabilities).into_iter().chain(listed("tools", tools));
    for (path, tag) in tags.chain(labeled).chain(places) {
        if let Err(reason) = super::tag(&tag) {
            problems.add(path, reason);
        }
    }
}

/// Each agent has one program; and where the file has agents, there are no others.
fn hold_against<'d>(
    programs: &[Program],
    places: &[usize],
    declared: impl Iterator<Item = &'d Declared>,
    complete: bool,
    problems: &mut Problems,
) {
    let agents: Vec<&Agent> = declared
        .filter_map(|one| match &one.definition {
            Definition::Agent(profile) => Some(&profile.agent),
            _ => None,
        })
        .collect();
    let mut seen = HashSet::new();
    for (i, Program { agent, .. }) in places.iter().zip(programs) {
        let path = format!("worker.agents[{i}].name");
        if !seen.insert(agent) {
            problems.add(&path, "stands twice among the worker's agents");
        }
        if complete && !agents.is_empty() && !agents.contains(&agent) {
            let Agent { scope, name } = agent;
            problems.add(&path, format!("there is no agent `{name}` ({scope})"));
        }
    }
}

impl LogsTable {
    fn into_limits(self, problems: &mut Problems) -> LogLimits {
        let LogLimits { run_bytes } = LogLimits::default();
        let run_bytes = at_least_one("logs.run_bytes_max", self.run_bytes_max, run_bytes, problems);
        LogLimits { run_bytes }
    }
}

impl AuditTable {
    fn into_limits(self, problems: &mut Problems) -> AuditLimits {
        let AuditLimits { retention } = AuditLimits::default();
        let retention = duration("audit.retention", self.retention, retention, problems);
        AuditLimits { retention }
    }
}

/// The longest argument of a program, in bytes (`MAX_ARG_STRLEN` of Linux).
const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;
/// All of them, in bytes: a quarter of the usual stack is what Linux has for them and the environment,
/// and half of that may be the run's.
const COMMAND_BYTES_MAX: usize = 1024 * 1024;

impl ProgramEntry {
    /// What no program could be started with.
    fn must_start(&self, path: &str, problems: &mut Problems) {
        for (i, argument) in self.command.iter().flatten().enumerate() {
            if argument.contains('\0') {
                problems.add(format!("{path}.command[{i}]"), "holds a NUL character");
            }
            if argument.len() > ARGUMENT_BYTES_MAX {
                let reason = format!("is longer than {ARGUMENT_BYTES_MAX} bytes");
                problems.add(format!("{path}.command[{i}]"), reason);
            }
        }
        if self.command.iter().flatten().map(|argument| argument.len() + 1).sum::<usize>()
            > COMMAND_BYTES_MAX
        {
            let reason = format!("is longer than {COMMAND_BYTES_MAX} bytes altogether");
            problems.add(format!("{path}.command"), reason);
        }
        for (i, name) in self.env.iter().enumerate() {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.add(format!("{path}.env[{i}]"), "is not the name of a variable");
            }
        }
        if self.dir.as_ref().is_some_and(|dir| dir.as_os_str().as_encoded_bytes().contains(&0)) {
            problems.add(format!("{path}.dir"), "holds a NUL character");
        }
    }

    fn into_program(self, path: &str, folder: &Path, problems: &mut Problems) -> Option<Program> {
        self.must_start(path, problems);
        let command = self.command.unwrap_or_default();
        if command.first().is_none_or(String::is_empty) {
            problems.add(format!("{path}.command"), "names no program");
        }
        let name = self.name.ok_or_else(|| "is missing".to_owned());
        let name = name.and_then(|name| name.parse().map_err(|bad: InvalidName| bad.to_string()));
        let name = problems.take(&format!("{path}.name"), name);
        let scope = problems.take(&format!("{path}.workspace"), Scope::parse(&self.workspace));
        let timeout = duration(&format!("{path}.timeout"), self.timeout, PROGRAM_TIMEOUT, problems);
        Some(Program {
            agent: Agent { scope: scope?, name: name? },
            command,
            env: self.env,
            dir: self.dir.map(|dir| folder.join(dir)),
            timeout,
            interactive: self.interactive,
            visible: self.visible.into_iter().map(|path| folder.join(path)).collect(),
            user: self.user.and_then(|user| user.read(&format!("{path}.user"), problems)),
        })
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_says_what_it_has_and_how_its_programs_are_told() {
        let text = r#"
            labels = { team = "core" }
            capabilities = ["git"]
            tools = ["cargo", "npm"]
            cluster = "a"
            region = "eu"
            agents = [{ name = "chat", command = ["chat"], interactive = true }]
        "#;
        let mut problems = Problems::default();
        let table: WorkerTable = toml::from_str(text).unwrap();
        let (worker, _) = table.into_worker(Path::new(""), &mut problems);
        let Offer { capabilities, tools, labels, cluster, region, .. } = worker.offer;
        assert_eq!((capabilities.len(), tools.len(), &*labels["team"]), (1, 2, "core"));
        assert_eq!((cluster.as_deref(), region.as_deref()), (Some("a"), Some("eu")));
        assert!(worker.programs[0].interactive);
        assert_eq!((worker.capacity, problems.iter().count()), (4, 0));

        let text = "labels = { \"\" = \"x\", team = \"\" }\ncapabilities = [\" git\"]\n\
                    region = \"a\\tb\"\nagents = [{ name = \"a\", command = [\"a\"] }]";
        let table: WorkerTable = toml::from_str(text).unwrap();
        table.into_worker(Path::new(""), &mut problems);
        let paths: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
        let wanted =
            ["worker.capabilities", "worker.labels", "worker.labels.team", "worker.region"];
        assert_eq!(paths, wanted);
    }

    #[test]
    fn the_audit_is_kept_for_a_year() {
        let retention = |text: &str| {
            let mut problems = Problems::default();
            let file = File::read(toml::from_str(text).unwrap(), &mut problems);
            let AuditLimits { retention } = file.audit.into_limits(&mut problems);
            let days = retention.as_secs() / (24 * 60 * 60);
            (days, problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>())
        };
        assert_eq!(retention(""), (365, vec![]));
        assert_eq!(retention("[audit]\nretention = \"90d\""), (90, vec![]));
        for bad in ["0s", "soon"] {
            let wanted = (365, vec!["audit.retention".to_owned()]);
            assert_eq!(retention(&format!("[audit]\nretention = \"{bad}\"")), wanted);
        }
    }

    fn egress(text: &str) -> (EgressLimits, Vec<String>) {
        let mut problems = Problems::default();
        let file = File::read(toml::from_str(text).unwrap(), &mut problems);
        let limits = file.egress.into_limits(Path::new("/etc/hillock"), &mut problems);
        (limits, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn egress_has_limits_of_its_own() {
        assert_eq!(egress(""), (EgressLimits::default(), vec![]));
        let text = "[egress]\nca_file = \"ca.pem\"\ntime = \"1m\"\nconnect_time = \"2s\"\n\
                    body_bytes = 1024";
        let wanted = EgressLimits {
            ca_file: Some("/etc/hillock/ca.pem".into()),
            time: Duration::from_secs(60),
            connect_time: Duration::from_secs(2),
            body_bytes: 1024,
        };
        assert_eq!(egress(text), (wanted, vec![]));
        let text = "[egress]\ntime = \"0s\"\nconnect_time = \"soon\"\nbody_bytes = 0";
        assert_eq!(egress(text).1, ["egress.time", "egress.connect_time", "egress.body_bytes"]);
    }
}

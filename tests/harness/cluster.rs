//! A PostgreSQL server of a test's own, that can be killed and started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

/// Where `tests/run` says that PostgreSQL's programs are.
const PROGRAMS: &str = "HILLOCK_TEST_POSTGRES_PROGRAMS";
/// Whose server it is where the tests run as root, whom PostgreSQL refuses.
const USER: &str = "postgres";

pub(crate) struct Cluster {
    dir: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    /// A server that runs, with no database of anybody's.
    pub(crate) fn start() -> Self {
        let programs = std::env::var_os(PROGRAMS).unwrap_or_else(|| {
            panic!("{PROGRAMS} is not set: `tests/run` finds PostgreSQL's programs")
        });
        let dir = TempDir::new().unwrap();
        if nix::unistd::geteuid().is_root() {
            let owner = nix::unistd::User::from_name(USER).unwrap().expect("the package's user");
            nix::unistd::chown(dir.path(), Some(owner.uid), Some(owner.gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { dir, programs: programs.into(), port };
        let data = cluster.data();
        let made = cluster.program("initdb", |command| {
            command.arg("--pgdata").arg(data).arg(format!("--username={USER}"));
            command.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        });
        assert!(made.success(), "{made:?}");
        cluster.begin();
        cluster
    }

    /// The URL of the database that every server has.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn begin(&self) {
        let folder = self.dir.path().display();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={folder} \
             -c max_connections=200 -c fsync=on",
            self.port
        );
        let log = self.dir.path().join("server.log");
        let begun = self.control("start", |command| {
            command.args(["--wait", "--silent", "--options", &options]).arg("--log").arg(&log);
        });
        assert!(begun.success(), "{begun:?}\n{:?}", std::fs::read_to_string(log));
    }

    /// Ends the server as a crash does: it writes nothing more, and recovers when it begins again.
    pub(crate) fn crash(&self) {
        let ended = self.control("stop", |command| {
            command.args(["--mode=immediate", "--silent"]);
        });
        assert!(ended.success(), "{ended:?}");
    }

    fn control(&self, verb: &str, more: impl FnOnce(&mut Command)) -> ExitStatus {
        self.program("pg_ctl", |command| {
            command.arg(verb).arg("--pgdata").arg(self.data());
            more(command);
        })
    }

    fn program(&self, name: &str, arguments: impl FnOnce(&mut Command)) -> ExitStatus {
        let program = self.programs.join(name);
        let mut command = match nix::unistd::geteuid().is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--init-groups", "--reuid", USER, "--regid", USER]).arg(program);
                command
            }
            false => Command::new(program),
        };
        arguments(&mut command);
        // What the server inherits must not keep the test's own output open.
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.current_dir(self.dir.path()).status().unwrap()
    }

    fn data(&self) -> PathBuf {
        Path::new(self.dir.path()).join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control("stop", |command| {
            command.args(["--mode=immediate", "--silent"]);
        });
    }
}

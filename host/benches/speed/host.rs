//! The built host, as a user starts it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load;
use crate::payload::SECRET;

const STARTS: usize = 9;
const READY_MS_MAX: u128 = 300;
const IDLE_MIB_MAX: f64 = 60.0;

/// What becomes of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Nothing: no trigger considers it.
    None,
    /// One trigger's filter looks at it and refuses it.
    Refuses,
}

/// A folder with a warm cache of compiled components.
pub(crate) struct Host {
    folder: TempDir,
}

/// A process that ends with this.
pub(crate) struct Running {
    child: Child,
    address: String,
    key: String,
}

impl Running {
    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The admin's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for (name, kind) in [("none", "github.ping"), ("refuses", "github.push")] {
            let config = format!(
                r#"
                [server]
                listen = "127.0.0.1:0"
                data_dir = "data"
                [store]
                url = "sqlite://{name}.db"
                [[agents]]
                name = "nobody"
                [[endpoints]]
                slug = "github"
                source = "github"
                secret_ref = "env:SECRET"
                [[triggers]]
                name = "pushes"
                event = "{kind}"
                agent = "nobody"
                filter = {{ "data.ref" = "refs/heads/release" }}
                prompt = "Look at {{{{data.after}}}}"
                "#
            );
            std::fs::write(folder.path().join(format!("{name}.toml")), config).expect("a file");
        }
        let workers = r#"
            server = { listen = "127.0.0.1:0", data_dir = "data" }
            store = { url = "sqlite://workers.db" }
            agents = [{ name = "nobody" }, { name = "nobody-else" }]
            triggers = [{ name = "by-hand", event = "webhook", agent = "nobody",
                          prompt = "Look after it.", fire_limit = "none" }]
        "#;
        std::fs::write(folder.path().join("workers.toml"), workers).expect("a file");
        Self { folder }
    }

    /// Prints how long a start takes and what the host then holds.
    pub(crate) async fn measure_start(&self) {
        drop(self.start(Trigger::None).await);
        let (mut ready_ms, mut idle) = (Vec::new(), 0.0);
        for _ in 0..STARTS {
            let begin = Instant::now();
            let host = self.start(Trigger::None).await;
            ready_ms.push(begin.elapsed().as_millis());
            idle = resident_mib(host.child.id());
        }
        ready_ms.sort_unstable();
        let median = ready_ms[STARTS / 2];
        println!("start to ready, warm cache: {median} ms (at most {READY_MS_MAX})");
        println!("idle memory: {idle:.1} MiB (at most {IDLE_MIB_MAX})");
    }

    /// Accepted deliveries per second.
    pub(crate) async fn hillock_rate(&self, trigger: Trigger, time: Duration) -> f64 {
        let host = self.start(trigger).await;
        load::rate(&host.address, "/webhooks/github", time).await
    }

    /// The same of the bare handler.
    pub(crate) async fn bare_rate(&self, time: Duration) -> f64 {
        let bare = self.start_bare();
        load::rate(&bare.address, "/hook", time).await
    }

    async fn start(&self, trigger: Trigger) -> Running {
        self.start_named(if trigger == Trigger::None { "none" } else { "refuses" }).await
    }

    /// A host with one of the configurations of [`Host::prepare`].
    pub(crate) async fn start_named(&self, name: &str) -> Running {
        let folder = self.folder.path();
        let address = folder.join("data").join("address");
        let _ = std::fs::remove_file(&address);
        let child = Command::new(env!("CARGO_BIN_EXE_hillock"))
            .args(["serve", "--config"])
            .arg(folder.join(format!("{name}.toml")))
            .env("SECRET", SECRET)
            .env("HILLOCK_LOG", "error")
            .spawn()
            .expect("the host starts");
        let mut running = Running { child, address: String::new(), key: String::new() };
        running.address = published(&address).await;
        ready(&running.address).await;
        let key = std::fs::read_to_string(folder.join("data").join("admin.key"));
        running.key = key.expect("a key").trim().to_owned();
        running
    }

    fn start_bare(&self) -> Running {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("bare")
            .arg(self.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bare server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
            .expect("its address");
        Running { child, address: line.trim().to_owned(), key: String::new() }
    }
}

async fn published(file: &Path) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(url) if url.ends_with('\n') => {
                return url.trim().trim_start_matches("http://").to_owned();
            }
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

async fn ready(address: &str) {
    while !answers(address).await.is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn answers(address: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib / 1024.0
}

//! The workers: the built program, ten times.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::{RngExt as _, rngs::ChaCha8Rng};

use super::site::Site;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::process::Process;

/// What an agent's program does: most succeed at once, some take a while, and some fail, but not
/// every time they are tried, or the class's breaker would rightly leave them alone.
const CONFIG: &str = r#"
[worker]
capacity = 4

[[worker.agents]]
name = "mill"
command = ["sh", "-c", "read -r line; echo \"$line\"; case $HILLOCK_COMMAND_ID in *3) exit 1;; *7) sleep 1;; esac"]
"#;

pub(super) struct Fleet {
    /// The process before its folder: what it wrote is shown when a test fails.
    workers: Vec<(Process, Folder)>,
}

impl Fleet {
    pub(super) async fn start(site: &Site, count: usize) -> Self {
        let mut workers = vec![];
        for n in 0..count {
            let folder = Folder::new(Database::sqlite(), CONFIG).await;
            let process = begin(&folder, site, n);
            workers.push((process, folder));
        }
        Self { workers }
    }

    /// `kill -9`, and another start, for a host that may be another.
    pub(super) async fn kill(&mut self, dice: &mut ChaCha8Rng, site: &Site) -> &'static str {
        let n = dice.random_range(0..self.workers.len());
        let (process, folder) = &mut self.workers[n];
        process.kill().await;
        *process = begin(folder, site, dice.random_range(0..100));
        "workers killed"
    }

    pub(super) async fn stop(&self, dice: &mut ChaCha8Rng, span: Duration) -> &'static str {
        let (process, _) = &self.workers[dice.random_range(0..self.workers.len())];
        process.signal(Signal::SIGSTOP);
        tokio::time::sleep(span).await;
        process.signal(Signal::SIGCONT);
        "workers stopped"
    }

    pub(super) async fn end(mut self) {
        for (process, _) in &mut self.workers {
            assert!(process.stop().await.success(), "{}", process.written());
        }
    }
}

fn begin(folder: &Folder, site: &Site, n: usize) -> Process {
    let hosts: Vec<_> = site.hosts().collect();
    let host = hosts[n % hosts.len()];
    let mut command = folder.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    Process::start(command, &folder.path().join("worker.log"))
}

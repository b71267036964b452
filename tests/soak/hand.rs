//! A worker, which lives several times: the built program in a folder of its own.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::ledger::{Ledger, Mishap};
use super::record::{self, LIFE, moment};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::{Process, given};
use crate::harness::wait;

/// How long the keepers of a worker that has ended may take.
const KEEPERS: Duration = Duration::from_secs(3);

/// The process before its folder: what it wrote is shown when a test fails.
pub(super) struct Hand {
    process: Process,
    pub(super) number: usize,
    /// How often it has begun.
    lives: u32,
    /// When it was frozen, if it is.
    frozen_at: Option<u64>,
    folder: Folder,
}

impl Hand {
    /// A worker that has been started.
    pub(super) async fn new(number: usize, outside: &Path, host: &Host) -> Self {
        let script = Value::from(record::script(outside));
        let config = format!(
            "[worker]\nname = \"hand-{number}\"\ncapacity = 4\n[[worker.agents]]\n\
             name = \"mill\"\nenv = [\"{LIFE}\"]\ncommand = [\"sh\", \"-c\", {script}]\n"
        );
        let folder = Folder::new(Database::sqlite(), &config).await;
        let process = start(&folder, host, &life(number, 0));
        Self { process, number, lives: 0, frozen_at: None, folder }
    }

    pub(super) fn name(&self) -> String {
        format!("hand-{}", self.number)
    }

    fn life(&self) -> String {
        life(self.number, self.lives)
    }

    /// Begins to live again, with the folder that it had.
    pub(super) fn begin(&mut self, host: &Host) {
        self.lives += 1;
        self.process = start(&self.folder, host, &self.life());
    }

    /// `kill -9`. Its programs end with it.
    pub(super) async fn kill(&mut self, ledger: &mut Ledger) {
        ledger.note(&self.life(), Mishap::Killed { at: moment() });
        self.process.kill().await;
        self.is_followed().await;
    }

    /// Asks it to stop, which it does when its programs have ended and the host knows.
    pub(super) async fn stop(&mut self, ledger: &mut Ledger) {
        ledger.note(&self.life(), Mishap::Stopped);
        assert!(self.process.stop().await.success(), "{}", self.process.written());
        self.is_followed().await;
    }

    /// Waits until its programs have ended with it, and their keepers.
    async fn is_followed(&self) {
        let left = format!("what {} has begun to end with it", self.life());
        wait::within(KEEPERS, &left, async || self.has_no_program().then_some(())).await;
    }

    pub(super) fn freeze(&mut self) {
        self.frozen_at = Some(moment());
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on; it was lost or not.
    pub(super) fn thaw(&mut self, ledger: &mut Ledger, lost: bool) {
        self.process.signal(Signal::SIGCONT);
        let from = self.frozen_at.take().expect("it is frozen");
        let mishap = if lost { Mishap::Lost { from, to: moment() } } else { Mishap::Frozen };
        ledger.note(&self.life(), mishap);
    }

    /// Waits until the host has heard it, by the host's present clock.
    pub(super) async fn is_heard(&self, host: &Host) {
        let path = format!("workers/{}", self.name());
        // Until its first connection, nobody knows its name.
        let heard = async || {
            let answer = host.get(&path).await;
            (answer.status == 200).then(|| answer.json()["last_heartbeat_at"].clone())
        };
        let before = wait::until("the worker to be known", heard).await;
        let asked = host.post(&format!("{path}/health-check")).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        wait::until(&format!("{} to be heard", self.name()), async || {
            heard().await.filter(|at| *at != before).map(drop)
        })
        .await;
    }

    /// Whether nothing lives that this life of it has begun.
    pub(super) fn has_no_program(&self) -> bool {
        given(&format!("{LIFE}={}", self.life()))
            .into_iter()
            .all(|pid| u32::try_from(pid).is_ok_and(|pid| self.process.is(pid)))
    }
}

fn life(number: usize, lives: u32) -> String {
    format!("{number}.{lives}")
}

fn start(folder: &Folder, host: &Host, life: &str) -> Process {
    let mut command = folder.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key).env(LIFE, life);
    Process::start(command, &folder.path().join("worker.log"))
}

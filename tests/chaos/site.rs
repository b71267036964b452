//! The hosts and their database.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::ledger::Ledger;
use crate::harness::cluster::Cluster;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::proxy::Proxy;

const CONFIG: &str = r#"
[server]
max_concurrent_runs = 64

[queue]
timeout = "24h"

[[agents]]
name = "mill"

[[endpoints]]
slug = "github"
source = "github"
secret_ref = "env:GITHUB_WEBHOOK_SECRET"

[[triggers]]
name = "one"
event = "github.issues"
agent = "mill"
prompt = "one {{data.issue.number}}"
fire_limit = "none"
retry = "backoff"

[[triggers]]
name = "other"
event = "github.issues"
agent = "mill"
prompt = "other {{data.issue.number}}"
fire_limit = "none"
"#;
/// How long it may take until everything that was accepted has ended.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the clock is put forward then, and how far: leases of the dead end, and the living have
/// said meanwhile that they live.
const STEP: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(90));
const OPEN_THINGS: &str = "\
SELECT e.id || ' waits for activation'
  FROM events e
 WHERE e.activated_at IS NULL
 UNION ALL
SELECT concat_ws(' ', r.id, r.status, 'attempt', r.attempt, c.id, c.state, 'by', c.worker_id, w.health, w.approval,
                 w.admin_state, 'heard', w.last_heartbeat_at, 'lease until', c.lease_expires_at)
  FROM runs r
  LEFT JOIN commands c ON c.run_id = r.id AND c.ended_at IS NULL
  LEFT JOIN workers w ON w.id = c.worker_id
 WHERE r.ended_at IS NULL";
/// How wrong the clocks of the hosts are.
const SKEWS: [Duration; 3] = [Duration::from_secs(5), Duration::ZERO, Duration::from_secs(10)];

pub(super) struct Site {
    cluster: Cluster,
    hosts: Vec<Place>,
}

/// The host before its folder: what it wrote is shown when a test fails.
struct Place {
    host: Host,
    address: String,
    folder: Folder,
    way: Proxy,
}

impl Site {
    /// As many hosts as this, ready.
    pub(super) async fn open(hosts: usize) -> Self {
        let cluster = Cluster::start();
        let mut site = Self { cluster, hosts: vec![] };
        for skew in SKEWS.into_iter().cycle().take(hosts) {
            let way = Proxy::to(format!("127.0.0.1:{}", site.cluster.port())).await;
            let url = format!("postgres://postgres@{}/postgres", way.address);
            let folder = Folder::new(Database::elsewhere(url), CONFIG).await.with_clock();
            folder.lead(skew);
            let host = folder.serve().await;
            let address = host.address().to_owned();
            site.hosts.push(Place { host, address, folder, way });
        }
        site
    }

    /// Each host, whether it is up or not.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().map(|place| &place.host)
    }

    /// `kill -9`, and another start.
    pub(super) async fn kill_host(&mut self, host: usize) -> &'static str {
        let place = &mut self.hosts[host];
        place.host.process.kill().await;
        place.host = place.folder.serve_on(&place.address).await;
        "hosts killed"
    }

    pub(super) async fn stop_host(&self, host: usize, span: Duration) -> &'static str {
        let process = &self.hosts[host].host.process;
        process.signal(Signal::SIGSTOP);
        tokio::time::sleep(span).await;
        process.signal(Signal::SIGCONT);
        "hosts stopped"
    }

    /// Cuts the host's connections to the database.
    pub(super) fn cut(&self, host: usize) -> &'static str {
        self.hosts[host].way.cut();
        "ways cut"
    }

    pub(super) async fn kill_database(&self, span: Duration) -> &'static str {
        self.cluster.crash();
        tokio::time::sleep(span).await;
        self.cluster.begin();
        "databases killed"
    }

    /// Past all of the hosts.
    pub(super) async fn connection(&self) -> PgConnection {
        let options: PgConnectOptions = self.cluster.url().parse().unwrap();
        options.connect().await.unwrap()
    }

    /// Lets everything come to its end, and says what does not.
    pub(super) async fn drain(&self, ledger: &mut Ledger) -> Vec<String> {
        let (begin, mut stepped) = (Instant::now(), Instant::now());
        loop {
            if stepped.elapsed() >= STEP.0 {
                stepped = Instant::now();
                self.hosts.iter().for_each(|place| place.folder.advance(STEP.1));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            ledger.look(self).await;
            let open = self.open_things().await;
            if open.is_empty() || begin.elapsed() >= PATIENCE {
                return open;
            }
        }
    }

    /// Events that are not activated, and runs that have not ended, with their commands.
    async fn open_things(&self) -> Vec<String> {
        let mut connection = self.connection().await;
        let open = sqlx::query_scalar(OPEN_THINGS).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        open
    }
}

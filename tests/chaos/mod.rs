//! Three hosts on one PostgreSQL, ten workers and a load, and everything that may happen to them:
//! `kill -9`, `SIGSTOP`, connections cut, the database killed; and the ledger afterwards.
//!
//! ```text
//!   senders ──► host 1 ──► way ──┐
//!           ──► host 2 ──► way ──┼──► PostgreSQL          each way can be cut,
//!           ──► host 3 ──► way ──┘                        each process killed or stopped
//!                 ▲
//!              workers, each of one host
//! ```
//! All of them are real processes and real sockets. What was answered with 202 must be there at the
//! end, with one run, which has ended; and what was once seen as ended must never change again.

mod fleet;
mod ledger;
mod senders;
mod site;

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use crate::harness::budget::budget;
use crate::harness::seed::seed;
use fleet::Fleet;
use ledger::Ledger;
use senders::Senders;
use site::Site;

const HOSTS: usize = 3;
const WORKERS: usize = 10;
/// The longest that a process is stopped, or the database away: others take over from the first
/// only when leases end.
const STOPPED_MAX_MS: u64 = 4000;

#[tokio::test]
async fn nothing_is_lost_whatever_happens() {
    let seed = seed();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut site = Site::open(HOSTS).await;
    let mut fleet = Fleet::start(&site, WORKERS).await;
    let senders = Senders::start(&site);
    let mut ledger = Ledger::default();

    let begin = Instant::now();
    while begin.elapsed() < budget() {
        // Not waiting for anything: the moment is what is tried out.
        tokio::time::sleep(Duration::from_millis(dice.random_range(50..1500))).await;
        let host = dice.random_range(0..HOSTS);
        let stopped = Duration::from_millis(dice.random_range(200..STOPPED_MAX_MS));
        let mishap = match dice.random_range(0..100) {
            0..20 => site.kill_host(host).await,
            20..35 => site.stop_host(host, stopped).await,
            35..50 => site.cut(host),
            50..58 => site.kill_database(stopped).await,
            58..80 => fleet.kill(&mut dice, &site).await,
            80..92 => fleet.stop(&mut dice, stopped).await,
            _ => ledger.look(&site).await,
        };
        *ledger.mishaps.entry(mishap).or_default() += 1;
    }

    let sent = senders.stop().await;
    let open = site.drain(&mut ledger).await;
    ledger.close(&site, &sent).await;
    ledger.print(seed);
    assert!(open.is_empty(), "{} never ended: {open:#?}", open.len());
    ledger.check();
    fleet.end().await;
}

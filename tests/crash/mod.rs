//! `kill -9` of the host under load, at moments that a seed decides; and the ledger afterwards.
//!
//! Senders post deliveries of their own, and again after a lost answer, as real ones do. What was
//! answered with 202 must be there at the end, once, with one run, which has ended.

mod flood;
mod ledger;

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use crate::harness::contract;
use crate::harness::database::Database;
use crate::harness::load::{Load, Senders};
use crate::harness::on_both_databases;
use crate::harness::seed::seed;
use ledger::Ledger;

on_both_databases!(no_accepted_event_is_lost);

const KILLS: usize = 5;
async fn no_accepted_event_is_lost(database: Database) {
    let seed = seed();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let folder = contract::folder_without_limit(database).await;
    let mut host = folder.serve().await;
    let address = host.address().to_owned();
    let senders = Senders::start(&host, Load::STEADY);
    for _ in 0..KILLS {
        // Not waiting for anything: the moment is what is tried out.
        tokio::time::sleep(Duration::from_millis(dice.random_range(50..600))).await;
        host.process.kill().await;
        host = folder.serve_on(&address).await;
    }
    let accepted = senders.stop().await;
    let ledger = Ledger::of(&host, &accepted).await;
    ledger.print(&format!("{KILLS} kills, seed {seed}"));
    ledger.check();
}

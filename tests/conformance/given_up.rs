//! Calls that are given up half-way, as a request is whose client goes: what they began is undone, and
//! nobody who has their connection afterwards notices.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use hillock::store::events::accept;
use hillock::store::figures::figures;

use super::fixture::{at, delivery, event, identity, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(nothing_that_was_begun_stays_open);

/// In how many places a call is given up: it waits for the database in each.
const PLACES: usize = 12;

async fn nothing_that_was_begun_stays_open(database: Database) {
    let store = open(&database).await;
    for place in 1..=PLACES {
        give_up(figures(&store, at(0)), place).await;
        nothing_is_open(&database).await;
        give_up(accept(&store, vec![delivery(event(), &[identity()])]), place).await;
        nothing_is_open(&database).await;
    }
    // Those that go on see what is there.
    let before = figures(&store, at(10)).await.unwrap().inbox;
    accept(&store, vec![delivery(event(), &[identity()])]).await.unwrap();
    assert_eq!(figures(&store, at(10)).await.unwrap().inbox, before + 1);
}

/// Lets a call go on so many times, and drops it.
async fn give_up<T>(call: impl Future<Output = T>, place: usize) {
    let mut call = pin!(call);
    for _ in 0..place {
        if poll!(&mut call).is_ready() {
            return;
        }
        // Time for the database to answer.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn nothing_is_open(database: &Database) {
    if let Database::Sqlite(_) = database {
        // Nobody else could write.
        database.execute("BEGIN IMMEDIATE; COMMIT").await;
        return;
    }
    wait::until("every transaction to end", async || {
        (database
            .count("pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")
            .await
            == 0)
            .then_some(())
    })
    .await;
}

//! Writes: what fails takes nothing along, what is answered is there, and a closed store says so.

use hillock::store::events::{Accepted, accept};
use hillock::store::{Store, StoreError, keys};

use super::fixture::{accepted, delivery, event, identity, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_failing_write_leaves_its_neighbours_alone,
    what_was_answered_is_there_after_a_reopen,
    a_closed_store_says_so,
    the_store_opens_many_times_at_once,
);

/// On SQLite the writes wait for one writer, which commits them together.
async fn a_failing_write_leaves_its_neighbours_alone(database: Database) {
    let store = open(&database).await;
    let taken = event();
    accepted(&store, taken.clone()).await;
    let writes = (0..40).map(|i| {
        let event = if i % 10 == 5 { taken.clone() } else { event() };
        accept(&store, vec![delivery(event, &[identity()])])
    });
    let answers = futures_util::future::join_all(writes).await;
    for (i, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(accepted) => assert!(i % 10 != 5 && matches!(accepted[0], Accepted::New(_)), "{i}"),
            Err(error) => assert!(i % 10 == 5, "write {i}: {error}"),
        }
    }
    assert_eq!((database.count("events").await, database.count("dedupe").await), (37, 36));
}

async fn what_was_answered_is_there_after_a_reopen(database: Database) {
    let store = open(&database).await;
    let hash = identity();
    accepted(&store, event()).await;
    drop(store);
    let again = open(&database).await;
    again.ping().await.unwrap();
    assert_eq!(keys::find(&again, hash).await.unwrap(), None);
    assert_eq!(database.count("events").await, 1);
}

async fn a_closed_store_says_so(database: Database) {
    let store = open(&database).await;
    let accepting = accept(&store, vec![delivery(event(), &[])]);
    accepting.await.unwrap();
    store.close().await;
    let late = accept(&store, vec![delivery(event(), &[])]).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    assert!(store.ping().await.is_err());
    assert_eq!(database.count("events").await, 1);
}

/// A path is a path: nothing in it is an escape or a parameter.
#[tokio::test]
async fn a_sqlite_file_may_have_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a%20b?mode=ro#c.db");
    let store = Store::open(&format!("sqlite://{}", file.display())).await.unwrap();
    accepted(&store, event()).await;
    assert!(file.is_file());
}

async fn the_store_opens_many_times_at_once(database: Database) {
    let url = database.url();
    let stores = futures_util::future::join_all((0..4).map(|_| Store::open(&url))).await;
    for store in stores {
        accepted(&store.unwrap(), event()).await;
    }
    assert_eq!(database.count("events").await, 4);
}

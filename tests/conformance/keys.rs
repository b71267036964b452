//! API keys: known by their hash, or not.

use hillock::model::id::KeyId;
use hillock::store::keys::{admit, is_known};

use super::fixture::{at, identity, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(a_key_is_known_once_it_is_admitted);

async fn a_key_is_known_once_it_is_admitted(database: Database) {
    let store = open(&database).await;
    let hash = identity();
    assert!(!is_known(&store, hash).await.unwrap());
    for random in [1, 2] {
        admit(&store, hash, KeyId::mint(at(0), [random; 10]), at(0)).await.unwrap();
        assert!(is_known(&store, hash).await.unwrap());
    }
    assert!(!is_known(&store, identity()).await.unwrap());
    assert_eq!(database.count("keys").await, 1);
}

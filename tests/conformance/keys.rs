//! API keys: known by their hash, or not.

use hillock::model::id::KeyId;
use hillock::store::keys::{admit, find};

use super::fixture::{at, identity, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(a_key_is_known_once_it_is_admitted);

async fn a_key_is_known_once_it_is_admitted(database: Database) {
    let store = open(&database).await;
    let hash = identity();
    assert_eq!(find(&store, hash).await.unwrap(), None);
    let first = KeyId::mint(at(0), [1; 10]);
    for id in [&first, &KeyId::mint(at(0), [2; 10])] {
        admit(&store, hash, id.clone(), at(0)).await.unwrap();
        assert_eq!(find(&store, hash).await.unwrap().as_ref(), Some(&first));
    }
    assert_eq!(find(&store, identity()).await.unwrap(), None);
    assert_eq!((database.count("keys").await, database.count("audit").await), (1, 1));
}

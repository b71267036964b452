//! What the tests stand on: a folder and a database of each test's own, the program as a process,
//! a client, senders' payloads and signatures.

pub(crate) mod budget;
pub(crate) mod claims;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod components;
pub(crate) mod contract;
pub(crate) mod database;
pub(crate) mod folder;
pub(crate) mod host;
pub(crate) mod load;
pub(crate) mod payloads;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod routes;
pub(crate) mod seed;
pub(crate) mod senders;
pub(crate) mod wait;

/// Runs each of these functions, which take a [`database::Database`], on both databases.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::harness::database::Database::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::harness::database::Database::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

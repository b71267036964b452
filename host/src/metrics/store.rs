//! The database, as this replica sees it.

use std::time::Duration;

use super::book::{Book, Counts, Gauges, Times};

/// A pool's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub busy: u32,
    /// Open, and not in use.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    durations: Times<1>,
    errors: Counts<1>,
    connections: Gauges<1>,
    connections_max: Gauges<0>,
    up: Gauges<0>,
}

impl Store {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            durations: book.moments(
                "hillock_store_operation_duration",
                ["operation"],
                "How long the store took to do what it was asked, waiting for a connection and for \
                 the commit included",
            ),
            errors: book.counts("hillock_store_errors", ["operation"], "What the store did not do"),
            connections: book.gauges(
                "hillock_store_pool_connections",
                ["state"],
                "Connections of the pool; on SQLite those that read, beside the one that writes",
            ),
            connections_max: book.gauges(
                "hillock_store_pool_connections_max",
                [],
                "How many connections the pool may have",
            ),
            up: book.gauges(
                "hillock_store_up",
                [],
                "Whether the store answered when the figures of this scrape were read",
            ),
        }
    }

    /// Something was asked of the store.
    pub fn asked(&self, operation: &'static str, took: Duration, done: bool) {
        self.durations.observe([operation], took);
        if !done {
            self.errors.add([operation], 1);
        }
    }

    /// How the pool is used at present.
    pub fn pool(&self, Connections { busy, idle, max }: Connections) {
        self.connections.set(["busy"], f64::from(busy));
        self.connections.set(["idle"], f64::from(idle));
        self.connections_max.set([], f64::from(max));
    }

    /// Whether the store answers.
    pub fn up(&self, up: bool) {
        self.up.set([], f64::from(u8::from(up)));
    }
}

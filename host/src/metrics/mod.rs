//! What the host measures of itself, for Prometheus.
//!
//! ```text
//!   Metrics ─ book ──── every metric's name, type, unit, labels and meaning, said once
//!           ├ text ──── the book's values as a scraper reads them
//!           └ http, store, plugins, inbox, runs, queue, jobs, controllers, process: what is counted
//! ```
//! A label's value is one of a few words of the host's own: no identifier, no name that a user gave,
//! nothing that a sender says. What is counted within a transaction is a [`Fact`], and counts once
//! the transaction is committed. The handle is cheap to clone; whoever is given none counts into one
//! of its own that nobody reads.

mod book;
mod controllers;
mod fact;
mod http;
mod inbox;
mod jobs;
mod limits;
mod plugins;
mod process;
mod queue;
mod runs;
mod store;
mod text;

use std::sync::Arc;

use book::Book;
pub use book::Described;
pub use controllers::Controllers;
pub use fact::Fact;
pub use http::Http;
pub use inbox::{Inbox, WebhookOutcome};
pub use jobs::Jobs;
pub use plugins::{CallOutcome, Plugins};
pub use queue::{Present, Queue, Workers};
pub use runs::Runs;
pub use store::{Connections, Store};
pub use text::Form;

/// A dashboard for Grafana.
pub const DASHBOARD: &str = include_str!("../../observability/grafana.json");
/// Alert rules for Prometheus.
pub const ALERTS: &str = include_str!("../../observability/alerts.yaml");

/// All metrics of one host.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

#[derive(Debug)]
struct All {
    book: Book,
    controllers: Controllers,
    http: Http,
    inbox: Inbox,
    jobs: Jobs,
    plugins: Plugins,
    queue: Queue,
    runs: Runs,
    store: Store,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut book = Book::default();
        process::note(&mut book);
        Self(Arc::new(All {
            http: Http::new(&mut book),
            inbox: Inbox::new(&mut book),
            runs: Runs::new(&mut book),
            queue: Queue::new(&mut book),
            jobs: Jobs::new(&mut book),
            plugins: Plugins::new(&mut book),
            controllers: Controllers::new(&mut book),
            store: Store::new(&mut book),
            book,
        }))
    }
}

impl Metrics {
    /// The background loops.
    pub fn controllers(&self) -> &Controllers {
        &self.0.controllers
    }

    /// Requests to this host.
    pub fn http(&self) -> &Http {
        &self.0.http
    }

    /// What arrives.
    pub fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    /// Calls into plugins.
    pub fn plugins(&self) -> &Plugins {
        &self.0.plugins
    }

    /// What is stored at present: what waits, and who could take it.
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Counts what a transaction has brought about.
    pub fn count(&self, fact: Fact) {
        let All { inbox, runs, jobs, .. } = &*self.0;
        match fact {
            Fact::Event { source, new } => inbox.event(source, new),
            Fact::Decided(outcome) => inbox.decided(outcome),
            Fact::Limited { trigger, deferred } => inbox.limits().met(&trigger, deferred),
            Fact::RunsMade { owner, count } => runs.made(owner, count),
            Fact::RunsEnded { status, count } => runs.ended(status, count),
            Fact::RunRetried => runs.retried(),
            Fact::CommandsClaimed { of, count } => runs.claimed(of, count),
            Fact::CommandsEnded { state, count } => runs.closed(state, count),
            Fact::CommandLost { again } => runs.lost(again),
            Fact::JobsFired { late } => jobs.fired(late),
            Fact::SlotsMissed(slots) => jobs.missed(slots),
        }
    }

    /// All values, as a scraper reads them.
    pub fn text(&self, form: Form) -> String {
        form.write(&self.0.book)
    }

    /// Every metric that there is.
    pub fn described(&self) -> &[Described] {
        self.0.book.described()
    }
}

//! Handing out, through the library: what does not arrive is as if it had never gone out.

use hillock::catalog::Catalog;
use hillock::clock::Clock;
use hillock::config::{Config, Overrides};
use hillock::dispatch::hub::Hub;
use hillock::dispatch::limits::Limits;
use hillock::dispatch::link::Link;
use hillock::dispatch::outbox::Outbox;
use hillock::dispatch::protocol::{Held, ToHost, ToWorker};
use hillock::dispatch::queue;
use hillock::model::command::Control;
use hillock::model::content::Content;
use hillock::model::definition::{Definitions, Priority, Retry};
use hillock::model::id::{TriggerId, WorkerId};
use hillock::model::run::{NewRun, Owner, Stages, Terms};
use hillock::model::scope::Scope;
use hillock::model::worker::Pass;
use hillock::store::firing::{self, Firing};
use hillock::store::{Store, workers};

use super::{hello, order};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    what_a_worker_was_not_sent_goes_back_when_it_leaves,
    what_finds_its_worker_gone_goes_back,
    a_full_outbox_puts_back,
    a_new_connection_gets_what_waited_for_the_old_one,
    the_least_loaded_is_served_first_then_the_last_heard,
);

/// The number of commands like this.
const PENDING_UNCOUNTED: &str = "commands WHERE state = 'pending' AND dispatch_attempts = 0";
const PENDING: &str = "commands WHERE state = 'pending'";
const SENT_ONCE: &str = "commands WHERE state = 'sent' AND dispatch_attempts = 1";

/// A host without its loops.
pub(super) struct Bare {
    pub(super) store: Store,
    pub(super) hub: Hub,
    limits: Limits,
}

impl Bare {
    pub(super) async fn open(database: &Database) -> Self {
        let store = Store::open(&database.url()).await.unwrap();
        let text = "server = { max_concurrent_runs = 100000 }";
        let config = Config::parse(text, "hillock.toml".as_ref(), &Overrides::default()).unwrap();
        let catalog = Catalog::new(Definitions::default());
        Self { store, hub: Hub::default(), limits: Limits::new(&config, catalog) }
    }

    pub(super) async fn connect(&self, worker: &WorkerId, capacity: u32) -> (Link, Outbox) {
        let (store, hub) = (self.store.clone(), self.hub.clone());
        let hello = hello(worker, capacity, &[]);
        let (link, mut outbox) = Link::open(store, hub, Clock, Pass::Key, hello).await.unwrap();
        assert!(matches!(outbox.next().await, Some(ToWorker::Welcome { .. })));
        (link, outbox)
    }

    pub(super) async fn hand_out(&self) -> usize {
        queue::hand_out(&self.store, &self.hub, Clock, &self.limits).await.unwrap()
    }

    /// Makes this many runs.
    pub(super) async fn fill(&self, count: usize) {
        for _ in 0..count {
            firing::by_hand(&self.store, firing(), Clock.now()).await.unwrap();
        }
    }
}

fn firing() -> Firing {
    let run = NewRun {
        id: Clock.run_id(),
        scope: Scope::Global,
        owner: Owner::Trigger {
            id: TriggerId::derive(&Scope::Global, "all"),
            name: "all".parse().unwrap(),
        },
        event_id: None,
        fire: None,
        agent: "agent".parse().unwrap(),
        prompt: "work".to_owned(),
        content: Content::Trusted,
        task: None,
        priority: Priority::Normal,
        retry: Retry::None,
        depth: 0,
        causes: vec![],
        stages: Stages::default(),
        terms: Terms::default(),
        created_at: Clock.now(),
    };
    Firing { run, command_id: Clock.command_id(), limit: None }
}

async fn what_a_worker_was_not_sent_goes_back_when_it_leaves(database: Database) {
    let host = Bare::open(&database).await;
    let (link, mut outbox) = host.connect(&Clock.worker_id(), 2).await;
    host.fill(2).await;
    assert_eq!(host.hand_out().await, 2);
    order(outbox.next().await);
    link.close(outbox).await;
    assert_eq!(database.count(PENDING_UNCOUNTED).await, 1);
    assert_eq!(database.count(SENT_ONCE).await, 1, "this one the worker may have seen");
    let (_link, mut outbox) = host.connect(&Clock.worker_id(), 2).await;
    assert_eq!(host.hand_out().await, 1);
    order(outbox.next().await);
}

/// The connection drops between the claim and the sending.
async fn what_finds_its_worker_gone_goes_back(database: Database) {
    let host = Bare::open(&database).await;
    let (link, outbox) = host.connect(&Clock.worker_id(), 1).await;
    host.fill(1).await;
    drop(outbox);
    for _ in 0..5 {
        assert_eq!(host.hand_out().await, 0);
        assert_eq!(database.count(PENDING_UNCOUNTED).await, 1);
    }
    drop(link);
    let (_link, mut outbox) = host.connect(&Clock.worker_id(), 1).await;
    assert_eq!(host.hand_out().await, 1);
    order(outbox.next().await);
}

async fn a_full_outbox_puts_back(database: Database) {
    const FULL: usize = 64;
    let host = Bare::open(&database).await;
    let worker = Clock.worker_id();
    let (_link, mut outbox) = host.connect(&worker, 1000).await;
    host.fill(FULL + 6).await;
    assert_eq!(host.hand_out().await, FULL, "no more than there is room for is claimed");
    assert_eq!(database.count(PENDING_UNCOUNTED).await, 6);
    // A word is claimed whatever the room.
    let (id, word) = (Clock.command_id(), Control::HealthCheck);
    workers::tell(&host.store, &Scope::Global, &worker, &id, word, Clock.now()).await.unwrap();
    assert_eq!(host.hand_out().await, 0);
    assert_eq!(database.count(PENDING_UNCOUNTED).await, 7);
    for _ in 0..FULL {
        order(outbox.next().await);
    }
    assert_eq!(host.hand_out().await, 7);
    assert_eq!(database.count(PENDING).await, 0);
    assert!(matches!(outbox.next().await, Some(ToWorker::Control { .. })), "words go first");
}

async fn a_new_connection_gets_what_waited_for_the_old_one(database: Database) {
    let host = Bare::open(&database).await;
    let worker = Clock.worker_id();
    let (old, mut unread) = host.connect(&worker, 1).await;
    host.fill(1).await;
    assert_eq!(host.hand_out().await, 1);
    let (new, mut outbox) = host.connect(&worker, 1).await;
    assert_eq!(host.hand_out().await, 1);
    let held = order(outbox.next().await);
    let Held { command_id, .. } = order(unread.next().await);
    assert_eq!(command_id, held.command_id);
    old.close(unread).await;
    assert!(host.hub.has(&worker), "the old connection's closing leaves the new one its place");
    assert_eq!(database.count(SENT_ONCE).await, 1);
    new.hear(ToHost::Acknowledged { held }).await.unwrap();
    assert_eq!(database.count("commands WHERE state = 'acknowledged'").await, 1);
}

async fn the_least_loaded_is_served_first_then_the_last_heard(database: Database) {
    let host = Bare::open(&database).await;
    let (one, mut at_one) = host.connect(&Clock.worker_id(), 2).await;
    let (_two, mut at_two) = host.connect(&Clock.worker_id(), 2).await;
    let (_three, mut at_three) = host.connect(&Clock.worker_id(), 2).await;
    one.hear(ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents: None })
        .await
        .unwrap();
    let boxes = [&mut at_one, &mut at_two, &mut at_three];
    for wanted in [0, 2, 1] {
        host.fill(1).await;
        assert_eq!(host.hand_out().await, 1);
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, boxes[wanted].next());
        order(waiting.await.expect("it is this one's turn"));
    }
}

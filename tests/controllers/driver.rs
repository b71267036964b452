//! The driver: passes of a controller that the test has made, on the real store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hillock::clock::Clock;
use hillock::config::ControllerSettings;
use hillock::controllers::{Controller, Controllers, Done, Driver, Failure, Ran, RunError};
use hillock::metrics::{Form, Metrics};
use hillock::model::controller::{ControllerName, Holder, Items, Pass, PassResult};
use hillock::model::id::ReplicaId;
use hillock::store::Store;
use hillock::store::controllers::{self, Begin, Turn};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::database::Database;
use crate::harness::{on_both_databases, wait};

on_both_databases!(
    a_pass_begins_at_once_and_then_when_it_is_due,
    a_pass_that_fails_is_counted_and_tried_again,
    a_pass_that_panics_takes_nothing_with_it,
    a_pass_that_takes_too_long_is_ended,
    a_rehearsal_that_panics_takes_nothing_with_it,
    one_replica_at_a_time_has_a_pass,
    a_dead_replicas_pass_is_taken_over_when_its_lease_ends,
    a_restarted_replica_takes_its_own_pass_over_at_once,
    a_pass_is_given_up_when_the_host_ends,
);

/// The controller that the tests pretend to be: it has the shortest interval.
const NAME: ControllerName = ControllerName::Inbox;

/// Does in its passes, one after the other, what it is told; then nothing.
struct Puppet {
    passes: Arc<AtomicU32>,
    acts: Vec<Act>,
}

#[derive(Clone)]
enum Act {
    Count(u64),
    Fail,
    Panic,
    Hang(Arc<Notify>),
}

impl Controller for Puppet {
    const NAME: ControllerName = NAME;

    async fn pass(&self) -> Result<Done, Failure> {
        let pass = self.passes.fetch_add(1, Ordering::SeqCst) as usize;
        match self.acts.get(pass).cloned() {
            None => Ok(Done::default()),
            Some(Act::Count(n)) => Ok(Done::of([("counted", n), ("never", 0)])),
            Some(Act::Fail) => Err("the sky is down".into()),
            Some(Act::Panic) => panic!("a defect"),
            Some(Act::Hang(begun)) => {
                begun.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn rehearse(&self) -> Result<Option<Items>, Failure> {
        panic!("a defect")
    }
}

struct Replica {
    store: Store,
    id: ReplicaId,
    passes: Arc<AtomicU32>,
    bell: Arc<Notify>,
    controllers: Controllers,
    metrics: Metrics,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Replica {
    async fn begin(database: &Database, acts: &[Act]) -> Self {
        Self::begin_as(database, Clock.replica_id(), acts).await
    }

    async fn begin_as(database: &Database, id: ReplicaId, acts: &[Act]) -> Self {
        let store = Store::open(&database.url()).await.unwrap();
        let (stop, tasks, metrics) =
            (CancellationToken::new(), TaskTracker::new(), Metrics::default());
        let settings = ControllerSettings::default();
        let replica = (store.clone(), id.clone());
        let mut driver =
            Driver::new(replica.0, Clock, replica.1, settings, metrics.clone(), stop.clone());
        let passes = Arc::new(AtomicU32::new(0));
        let puppet = Puppet { passes: Arc::clone(&passes), acts: acts.to_vec() };
        let bell = driver.register(puppet);
        let controllers = driver.start(&tasks);
        Self { store, id, passes, bell, controllers, metrics, stop, tasks }
    }

    async fn passed(&self, passes: u32) {
        wait::until("passes", async || {
            (self.passes.load(Ordering::SeqCst) >= passes).then_some(())
        })
        .await;
    }

    /// The last pass, once so many have ended, and how many failed.
    async fn ended(&self, passes: u64) -> (Pass, u64) {
        wait::until("passes to end", async || {
            let standing = controllers::list(&self.store).await.unwrap().pop()?;
            (standing.passes >= passes).then(|| (standing.last.unwrap(), standing.failures))
        })
        .await
    }

    /// A metric of the passes on this replica.
    #[track_caller]
    fn measured(&self, metric: &str, value: &str) {
        let text = self.metrics.text(Form::Plain);
        let series = format!("hillock_controller_{metric} {value}\n");
        assert!(text.contains(&series), "{series} in\n{text}");
    }

    async fn order(&self) -> Result<Pass, RunError> {
        match self.controllers.run(NAME, false).await? {
            Ran::Pass(pass) => Ok(pass),
            Ran::Rehearsal(_) => unreachable!("nobody asked for it"),
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn a_pass_begins_at_once_and_then_when_it_is_due(database: Database) {
    let replica = Replica::begin(&database, &[Act::Count(3)]).await;
    let (pass, failures) = replica.ended(1).await;
    assert_eq!((pass.result, pass.error, failures), (PassResult::Success, None, 0));
    assert_eq!(pass.items.into_iter().collect::<Vec<_>>(), [("counted".to_owned(), 3)]);
    replica.measured("items_processed_total{controller=\"inbox\"}", "3");
    replica.measured("interval_seconds{controller=\"inbox\"}", "5.0");
    let standing = controllers::list(&replica.store).await.unwrap().pop().unwrap();
    assert_eq!(standing.holder, None);
    assert!(standing.next_at <= pass.at + NAME.interval());
    assert!(standing.next_at.since(pass.at) > NAME.interval() / 2);
    // A bell and an order do not wait for that.
    replica.bell.notify_one();
    replica.passed(2).await;
    replica.order().await.unwrap();
    assert!(replica.passes.load(Ordering::SeqCst) >= 3);
    replica.end().await;
}

async fn a_pass_that_fails_is_counted_and_tried_again(database: Database) {
    let replica = Replica::begin(&database, &[Act::Fail]).await;
    let (pass, failures) = replica.ended(1).await;
    assert_eq!((pass.result, failures), (PassResult::Error, 1));
    assert_eq!(pass.error.unwrap(), "the sky is down");
    let (pass, failures) = replica.ended(2).await;
    assert_eq!((pass.result, pass.error, failures), (PassResult::Success, None, 1));
    replica.measured("errors_total{controller=\"inbox\"}", "1");
    replica.end().await;
}

async fn a_pass_that_panics_takes_nothing_with_it(database: Database) {
    let replica = Replica::begin(&database, &[Act::Panic]).await;
    assert_eq!(replica.ended(1).await.0.result, PassResult::Panic);
    assert_eq!(replica.order().await.unwrap().result, PassResult::Success);
    replica.measured("reconcile_total{controller=\"inbox\",result=\"panic\"}", "1");
    replica.measured("running{controller=\"inbox\"}", "0.0");
    replica.end().await;
}

async fn a_pass_that_takes_too_long_is_ended(database: Database) {
    let replica = Replica::begin(&database, &[Act::Hang(Arc::default())]).await;
    let (pass, failures) = replica.ended(1).await;
    assert_eq!((pass.result, failures), (PassResult::Timeout, 1));
    assert_eq!(pass.error.unwrap(), "took longer than 5s");
    replica.ended(2).await;
    replica.end().await;
}

async fn a_rehearsal_that_panics_takes_nothing_with_it(database: Database) {
    let replica = Replica::begin(&database, &[]).await;
    let rehearsed = replica.controllers.run(NAME, true).await;
    assert!(matches!(rehearsed, Err(RunError::Rehearsal(_))), "{rehearsed:?}");
    assert_eq!(replica.order().await.unwrap().result, PassResult::Success);
    replica.end().await;
}

async fn one_replica_at_a_time_has_a_pass(database: Database) {
    let begun = Arc::new(Notify::new());
    let one = Replica::begin(&database, &[Act::Hang(Arc::clone(&begun))]).await;
    begun.notified().await;
    let other = Replica::begin(&database, &[]).await;
    let Err(RunError::Held(holder)) = other.order().await else { panic!("it is held") };
    assert_eq!(holder.replica, one.id);
    assert_eq!(other.passes.load(Ordering::SeqCst), 0);
    // What it was told meanwhile is not lost: it looks as soon as the other has ended.
    one.ended(1).await;
    other.passed(1).await;
    one.end().await;
    other.end().await;
}

fn turn(replica: &ReplicaId, secs: u64, at_once: bool) -> Turn {
    let now = hillock::model::time::Time::EPOCH + Duration::from_secs(secs);
    Turn {
        name: NAME,
        replica: replica.clone(),
        now,
        until: now + Duration::from_secs(60),
        at_once,
    }
}

async fn a_dead_replicas_pass_is_taken_over_when_its_lease_ends(database: Database) {
    let store = Store::open(&database.url()).await.unwrap();
    let (dead, alive) = (Clock.replica_id(), Clock.replica_id());
    let begin = async |replica, secs, at_once| {
        controllers::begin(&store, turn(replica, secs, at_once)).await.unwrap()
    };
    assert_eq!(begin(&dead, 100, false).await, Begin::Begun);
    let until = turn(&dead, 100, false).until;
    let held = Begin::Held(Holder { replica: dead.clone(), until });
    assert_eq!(begin(&alive, 101, true).await, held);
    let just_before = Turn { now: until - Duration::from_millis(1), ..turn(&alive, 160, true) };
    assert_eq!(controllers::begin(&store, just_before).await.unwrap(), held);
    assert_eq!(begin(&alive, 160, false).await, Begin::Begun);
    // The dead one was not: what it says of its pass is not taken.
    let pass = |replica: &ReplicaId| Pass {
        at: until,
        replica: replica.clone(),
        result: PassResult::Success,
        error: None,
        items: Default::default(),
    };
    assert!(!controllers::end(&store, NAME, pass(&dead), until).await.unwrap());
    let next = turn(&alive, 200, false).now;
    assert!(controllers::end(&store, NAME, pass(&alive), next).await.unwrap());
    let just_before = Turn { now: next - Duration::from_millis(1), ..turn(&dead, 200, false) };
    assert_eq!(controllers::begin(&store, just_before).await.unwrap(), Begin::NotDue(next));
    assert_eq!(begin(&dead, 200, false).await, Begin::Begun);
}

async fn a_restarted_replica_takes_its_own_pass_over_at_once(database: Database) {
    let store = Store::open(&database.url()).await.unwrap();
    let replica = Clock.replica_id();
    for secs in [100, 101] {
        let begun = controllers::begin(&store, turn(&replica, secs, true)).await.unwrap();
        assert_eq!(begun, Begin::Begun);
    }
}

async fn a_pass_is_given_up_when_the_host_ends(database: Database) {
    let begun = Arc::new(Notify::new());
    let one = Replica::begin(&database, &[Act::Hang(Arc::clone(&begun))]).await;
    begun.notified().await;
    one.end().await;
    let other = Replica::begin(&database, &[]).await;
    other.passed(1).await;
    other.end().await;
}

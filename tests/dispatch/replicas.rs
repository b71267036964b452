//! Several hosts on one PostgreSQL: a command made here goes out there.

use hillock::clock::Clock;
use hillock::controllers;
use hillock::dispatch::protocol::ToHost;
use hillock::model::run::Ending;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handing_out::Bare;
use super::{Poller, WAIT_MS, folder, order, run};
use crate::harness::database::Database;

/// The other host has no loop that looks: only the hint can wake it.
#[tokio::test]
async fn a_command_of_another_replica_wakes_this_one() {
    let database = Database::postgres().await;
    let (here, there) = (Bare::open(&database).await, Bare::open(&database).await);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(controllers::hints(there.store.clone(), there.hub.clone(), stop.clone()));
    let (_link, mut outbox) = there.connect(&Clock.worker_id(), 1000).await;
    // The worker's coming and the beginning of listening wake it, too, but not so often.
    for _ in 0..8 {
        here.fill(1).await;
        hinted(&there).await;
        assert_eq!(there.hand_out().await, 1);
        order(outbox.next().await);
    }

    // A connection that was lost is opened again, and then there may be something.
    database.reachable(false).await;
    database.reachable(true).await;
    hinted(&there).await;
    here.fill(1).await;
    while there.hand_out().await == 0 {
        hinted(&there).await;
    }
    order(outbox.next().await);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn hinted(host: &Bare) {
    let deadline = std::time::Duration::from_secs(30);
    tokio::time::timeout(deadline, host.hub.notified()).await.expect("a hint");
}

#[tokio::test]
async fn a_worker_of_one_replica_does_the_work_of_all() {
    let folder = folder(Database::postgres().await).await;
    let (one, other) = (folder.serve().await, folder.serve().await);
    let mut poller = Poller::greeted(&other).await;
    for prompt in ["first", "second"] {
        let run = run(&one, prompt).await;
        let held = poller.take().await;
        let finished = ToHost::Finished { held, ending: Ending::Completed };
        poller.poll(vec![finished], WAIT_MS).await;
        one.run_with_status(&run, "completed").await;
    }
    // The other host does not know its place.
    poller.url = poller.url.replace(&other.url, &one.url);
    assert_eq!(poller.exchange(vec![], 0).await.problem(409), "hello_needed");
    poller.greet(&[]).await;
}

//! One worker, two connections: the later one has the place, whatever each of them is.

use hillock::clock::Clock;
use hillock::dispatch::protocol::{ToHost, ToWorker};
use hillock::model::run::Ending;

use super::{Poller, Socket, WAIT_MS, folder, order, run};
use crate::harness::database::Database;

#[tokio::test]
async fn a_socket_takes_over_from_a_poll_and_the_other_way_round() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    let first = run(&host, "first").await;
    let held = poller.take().await;

    let mut socket = Socket::greeted(&host, &poller.id, std::slice::from_ref(&held)).await;
    assert_eq!(poller.exchange(vec![], WAIT_MS).await.problem(409), "hello_needed");
    let settled = ToWorker::Settled { held: held.clone() };
    socket.say(&ToHost::Finished { held, ending: Ending::Completed }).await;
    assert_eq!(socket.hear().await, Some(settled));
    host.run_with_status(&first, "completed").await;
    let second = run(&host, "second").await;
    let held = order(socket.hear().await);

    poller.greet(std::slice::from_ref(&held)).await;
    assert_eq!(socket.hear().await, None, "its connection is closed");
    drop(socket);
    let finished = ToHost::Finished { held: held.clone(), ending: Ending::Completed };
    let words = vec![ToHost::Acknowledged { held: held.clone() }, finished];
    assert_eq!(poller.poll(words, WAIT_MS).await, [ToWorker::Settled { held }]);
    host.run_with_status(&second, "completed").await;
    // The socket's closing has not taken the place away.
    run(&host, "third").await;
    poller.take().await;
}

/// A waiting poll hears at once that it was replaced.
#[tokio::test]
async fn a_poll_that_waits_ends_when_a_socket_takes_over() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let poller = Poller::greeted(&host).await;
    let waiting = poller.exchange(vec![], WAIT_MS);
    let (answer, _socket) = tokio::join!(waiting, Socket::greeted(&host, &poller.id, &[]));
    assert_eq!(answer.problem(409), "hello_needed");
}

/// What was on its way on the old connection when the new one came is not lost, and not done twice.
#[tokio::test]
async fn a_command_in_flight_on_a_replaced_connection_comes_again() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let worker = Clock.worker_id();
    let mut old = Socket::greeted(&host, &worker, &[]).await;
    let run = run(&host, "work").await;
    let first = order(old.hear().await);
    // The worker has not seen it yet when it connects again.
    let mut new = Socket::greeted(&host, &worker, &[]).await;
    let again = order(new.hear().await);
    assert_eq!(again.command_id, first.command_id);
    assert_ne!(again.token, first.token);
    new.say(&ToHost::Acknowledged { held: again.clone() }).await;
    for (held, wanted) in [(first, "refused"), (again, "settled")] {
        new.say(&ToHost::Finished { held, ending: Ending::Completed }).await;
        let answer = serde_json::to_value(new.hear().await).unwrap();
        assert_eq!(answer["type"], wanted);
    }
    host.run_with_status(&run, "completed").await;
}

/// However often it crashes: the worker never saw the command.
#[tokio::test]
async fn a_hosts_crashes_are_not_held_against_a_run() {
    let folder = folder(Database::sqlite()).await;
    let mut host = folder.serve().await;
    let worker = Clock.worker_id();
    let mut socket = Socket::greeted(&host, &worker, &[]).await;
    let run = run(&host, "work").await;
    for _ in 0..4 {
        order(socket.hear().await);
        host.process.kill().await;
        host = folder.serve().await;
        socket = Socket::greeted(&host, &worker, &[]).await;
    }
    let held = order(socket.hear().await);
    socket.say(&ToHost::Acknowledged { held: held.clone() }).await;
    socket.say(&ToHost::Finished { held, ending: Ending::Completed }).await;
    host.run_with_status(&run, "completed").await;
}

//! A worker that polls: everything a socket's can do, and what is special about places.

use std::time::Duration;

use hillock::clock::Clock;
use hillock::dispatch::protocol::{MESSAGE_BYTES_MAX, SILENCE_MAX, ToHost, ToWorker, WAIT_MS_MAX};
use hillock::model::command::Token;
use hillock::model::run::{Ending, LogLine, Stream};
use hillock::model::time::Time;
use serde_json::json;

use super::{Poller, WAIT_MS, folder, hello, order, run};
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::wait;

/// Not enough by itself for a place to be given up, and together with another one it is.
const MOST_OF_SILENCE: Duration = Duration::from_secs(50);

fn line(text: &str) -> LogLine {
    LogLine { at: Clock.now(), stream: Stream::Stdout, text: text.to_owned() }
}

#[tokio::test]
async fn a_run_is_carried_out_by_polling() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    let run = run(&host, "work").await;
    let held = order(poller.poll(vec![], WAIT_MS).await.pop());
    let words = vec![
        ToHost::Acknowledged { held: held.clone() },
        ToHost::Started { held: held.clone() },
        ToHost::Logs { held: held.clone(), first: 1, lines: vec![line("one"), line("two")] },
    ];
    let answers = poller.poll(words, WAIT_MS).await;
    assert_eq!(answers, [ToWorker::Logged { held: held.clone(), through: 2 }]);
    host.run_with_status(&run, "running").await;

    host.post(&format!("runs/{run}/cancel")).await;
    let mut heard = vec![];
    while heard.is_empty() {
        heard = poller
            .poll(
                vec![ToHost::Heartbeat { active: vec![held.clone()], capacity: None, offer: None }],
                WAIT_MS,
            )
            .await;
    }
    assert!(matches!(heard[0], ToWorker::Cancel { .. } | ToWorker::Control { .. }), "{heard:?}");
    let forged = super::Held { token: Token::mint([9; 32]), ..held.clone() };
    let words = vec![
        ToHost::Finished { held: forged.clone(), ending: Ending::Completed },
        ToHost::Finished { held: held.clone(), ending: Ending::Canceled },
    ];
    let mut answers = poller.poll(words, WAIT_MS).await;
    answers.retain(|answer| !matches!(answer, ToWorker::Cancel { .. } | ToWorker::Control { .. }));
    assert_eq!(answers, [ToWorker::Refused { held: forged }, ToWorker::Settled { held }]);
    host.run_with_status(&run, "canceled").await;
}

/// Nothing of what it holds is lost: it goes on where it was.
#[tokio::test]
async fn a_host_that_was_restarted_asks_for_a_hello() {
    let folder = folder(Database::sqlite()).await;
    let mut host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    let run = run(&host, "work").await;
    let held = poller.take().await;
    let address = host.address().to_owned();
    host.process.kill().await;
    let host = folder.serve_on(&address).await;
    let finished = ToHost::Finished { held: held.clone(), ending: Ending::Completed };
    let answer = poller.exchange(vec![finished.clone()], 0).await;
    assert_eq!(answer.problem(409), "hello_needed");
    poller.greet(std::slice::from_ref(&held)).await;
    assert_eq!(poller.poll(vec![finished], 0).await, [ToWorker::Settled { held }]);
    host.run_with_status(&run, "completed").await;
}

#[tokio::test]
async fn a_place_that_nobody_asks_for_is_given_up() {
    let folder = folder(Database::sqlite()).await.with_clock();
    let host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    assert!(MOST_OF_SILENCE < SILENCE_MAX);
    for _ in 0..2 {
        let before = heard(&host, &mut poller).await;
        folder.advance(MOST_OF_SILENCE);
        wait::until("the host to see what the clock says", async || {
            let heard = heard(&host, &mut poller).await;
            (heard.since(before) >= MOST_OF_SILENCE).then_some(())
        })
        .await;
    }
    folder.advance(SILENCE_MAX);
    wait::until("the worker to be gone", async || {
        let worker = host.read(&format!("workers/{}", poller.id)).await;
        (worker["health"] == "offline").then_some(())
    })
    .await;
    assert_eq!(poller.exchange(vec![], 0).await.problem(409), "hello_needed");
    poller.greet(&[]).await;
    run(&host, "work").await;
    poller.take().await;
}

/// Says that the worker lives, and when that was by the host's clock.
async fn heard(host: &Host, poller: &mut Poller) -> Time {
    let alive = ToHost::Heartbeat { active: vec![], capacity: None, offer: None };
    assert_eq!(poller.poll(vec![alive], 0).await, []);
    let worker = host.read(&format!("workers/{}", poller.id)).await;
    worker["last_heartbeat_at"].as_str().unwrap().parse().unwrap()
}

/// A worker may say something while it waits to be told something.
#[tokio::test]
async fn a_later_poll_ends_the_wait_of_an_earlier() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let poller = Poller::greeted(&host).await;
    let waiting = poller.exchange(vec![], WAIT_MS_MAX);
    let other = async {
        loop {
            let answer = poller.exchange(vec![], 0).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    let begin = std::time::Instant::now();
    tokio::select! {
        answer = waiting => assert_eq!(answer.json()["messages"], json!([])),
        () = other => unreachable!(),
    }
    assert!(begin.elapsed() < Duration::from_millis(WAIT_MS_MAX), "it did not wait to the end");
}

/// Whoever asked has gone without its answer: what waits is for the next poll.
#[tokio::test]
async fn what_is_said_after_a_client_has_gone_waits_for_its_next_poll() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    let patience = Duration::from_millis(50);
    let waiting = poller.exchange(vec![], WAIT_MS);
    assert!(tokio::time::timeout(patience, waiting).await.is_err(), "there is nothing to say");
    let run = run(&host, "work").await;
    let held = poller.take().await;
    let finished = ToHost::Finished { held: held.clone(), ending: Ending::Completed };
    assert_eq!(poller.poll(vec![finished], 0).await, [ToWorker::Settled { held }]);
    host.run_with_status(&run, "completed").await;
}

#[tokio::test]
async fn what_is_no_poll_is_refused_and_changes_nothing() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut poller = Poller::greeted(&host).await;
    let place = poller.place.clone().unwrap();
    let with_place = |rest: &str| format!(r#"{{"place":"{place}",{rest}}}"#);
    for (body, status, code) in [
        ("no JSON".to_owned(), 400, "malformed_poll"),
        (with_place(r#""messages":{}"#), 400, "malformed_poll"),
        (with_place(r#""message":[]"#), 400, "malformed_poll"),
        (with_place(r#""messages":[{"type":"shrug"}]"#), 400, "malformed_poll"),
        (with_place(r#""wait_ms":30001"#), 400, "invalid_parameter"),
        (with_place(r#""wait_ms":-1"#), 400, "malformed_poll"),
        (" ".repeat(MESSAGE_BYTES_MAX + 1), 413, "body_too_large"),
        ("{}".to_owned(), 409, "hello_needed"),
        (r#"{"messages":[{"type":"draining"}]}"#.to_owned(), 409, "hello_needed"),
        (r#"{"place":"elsewhere"}"#.to_owned(), 409, "hello_needed"),
    ] {
        let shown: String = body.chars().take(60).collect();
        assert_eq!(poller.post(body.into_bytes()).await.problem(status), code, "{shown}");
    }
    assert_eq!(poller.poll(vec![], 0).await, [], "the place is its own still");

    let twice = poller.exchange(vec![hello(&poller.id, 1, &[])], 0).await;
    assert_eq!(twice.problem(400), "protocol_violated");
    assert_eq!(poller.exchange(vec![], 0).await.problem(409), "hello_needed");

    poller.place = None;
    let mut newer = serde_json::to_value(hello(&poller.id, 1, &[])).unwrap();
    newer["version"] = json!(hillock::dispatch::protocol::VERSION + 1);
    let answer = poller.post(json!({ "messages": [newer] }).to_string().into_bytes()).await;
    assert_eq!(answer.problem(400), "unsupported_version");
    poller.key = "hlk_wrong".to_owned();
    assert_eq!(poller.exchange(vec![hello(&poller.id, 1, &[])], 0).await.status, 401);
}

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
                vec![ToHost::Heartbeat {
                    active: vec![held.clone()],
                    capacity: None,
                    offer: None,
                    agents: None,
                }],
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

/// What another worker holds, and what it has not acknowledged, is not a worker's to speak of.
#[tokio::test]
async fn a_token_counts_in_its_own_workers_hands_and_once_acknowledged() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut holder = Poller::greeted(&host).await;
    let run = run(&host, "work").await;
    let held = order(holder.poll(vec![], WAIT_MS).await.pop());
    let mut thief = Poller::greeted(&host).await;
    let completed = ToHost::Finished { held: held.clone(), ending: Ending::Completed };
    let words = vec![
        ToHost::Started { held: held.clone() },
        ToHost::Logs { held: held.clone(), first: 1, lines: vec![line("mine")] },
        completed.clone(),
    ];
    let refused = ToWorker::Refused { held: held.clone() };
    assert_eq!(holder.poll(words.clone(), 0).await, vec![refused.clone(); 3], "not acknowledged");
    assert_eq!(holder.poll(vec![ToHost::Acknowledged { held: held.clone() }], 0).await, []);
    let mut stolen = words;
    stolen.insert(0, ToHost::Acknowledged { held: held.clone() });
    stolen.push(ToHost::HandBack { held: held.clone() });
    let active = vec![held.clone()];
    stolen.push(ToHost::Heartbeat { active, capacity: None, offer: None, agents: None });
    assert_eq!(thief.poll(stolen, 0).await, vec![refused; 6], "another's");
    assert_eq!(host.read(&format!("runs/{run}")).await["status"], "scheduled");
    assert_eq!(holder.poll(vec![completed], 0).await, [ToWorker::Settled { held }]);
    host.run_with_status(&run, "completed").await;
    assert_eq!(host.logs(&run).await, []);
}

/// Whoever is heard of is served before who is silent, who gets one command and no more.
#[tokio::test]
async fn a_silent_worker_gets_what_is_left_and_one_command_at_most() {
    let folder = folder(Database::sqlite()).await.with_clock();
    let host = folder.serve().await;
    let (mut silent, mut online) = (Poller::new(&host), Poller::new(&host));
    silent.poll(vec![hello(&silent.id.clone(), 4, &[])], 0).await;
    online.poll(vec![hello(&online.id.clone(), 2, &[])], 0).await;
    let before = heard(&host, &mut online).await;
    folder.advance(MOST_OF_SILENCE);
    wait::until("the host to see what the clock says", async || {
        let heard = heard(&host, &mut online).await;
        (heard.since(before) >= MOST_OF_SILENCE).then_some(())
    })
    .await;
    let mut held = vec![];
    for _ in 0..2 {
        run(&host, "work").await;
        held.push(order(online.poll(vec![], WAIT_MS).await.pop()));
    }
    assert_eq!(silent.poll(vec![], 0).await, [], "somebody else had room");
    run(&host, "work").await;
    order(silent.poll(vec![], WAIT_MS).await.pop());
    run(&host, "work").await;
    assert_eq!(silent.poll(vec![], 1500).await, [], "it has one");
    let back = ToHost::HandBack { held: held.remove(0) };
    let said = online.poll(vec![back], 0).await;
    assert!(matches!(said[..], [ToWorker::Settled { .. }]), "{said:?}");
    order(online.poll(vec![], WAIT_MS).await.pop());
}

/// What is too long is cut, and says so.
#[tokio::test]
async fn what_a_worker_says_is_bounded() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut poller = Poller::new(&host);
    let long = || "x".repeat(100_000);
    let mut greeting = hello(&poller.id, 1, &[]);
    if let ToHost::Hello { name, offer, .. } = &mut greeting {
        *name = long();
        offer.labels = [("team".to_owned(), long())].into();
        offer.capabilities = (0..1000).map(|n| format!("{n} {}", "y".repeat(50))).collect();
        offer.region = Some(long());
    }
    poller.poll(vec![greeting], 0).await;
    let worker = host.read(&format!("workers/{}", poller.id)).await;
    assert_eq!(worker["name"].as_str().unwrap().len(), 128);
    assert!(worker.to_string().len() < 64 * 1024, "{}", worker.to_string().len());
    assert!(worker.to_string().contains("… [cut: "));

    let run = run(&host, "work").await;
    let held = poller.take().await;
    let error = format!("{}{}", "é".repeat(100), "z".repeat(400_000));
    let finished = ToHost::Finished { held: held.clone(), ending: Ending::failed(error) };
    assert_eq!(poller.poll(vec![finished], 0).await, [ToWorker::Settled { held }]);
    let ended = host.run_with_status(&run, "failed").await;
    let error = ended["error"].as_str().unwrap();
    assert!(error.len() < 9000 && error.starts_with("éé") && error.ends_with(" bytes]"), "{error}");
    // As an earlier version kept it.
    let long = format!("UPDATE runs SET error = '{}'", "w".repeat(500_000));
    folder.database.execute(&long).await;
    let shown = host.read(&format!("runs/{run}")).await;
    assert!(shown["error"].as_str().unwrap().len() < 9000);
}

/// Nothing closes before their places have been given up.
#[tokio::test]
async fn a_stopping_host_lets_those_that_poll_go_first() {
    let folder = folder(Database::sqlite()).await;
    let mut host = folder.serve().await;
    let pollers =
        [Poller::greeted(&host).await, Poller::greeted(&host).await, Poller::greeted(&host).await];
    let mut polls = tokio::task::JoinSet::new();
    for poller in pollers {
        polls.spawn(async move { poller.exchange(vec![], WAIT_MS).await.status });
    }
    run(&host, "work").await;
    assert!(host.process.stop().await.success());
    polls.join_all().await;
    let written = host.process.written();
    assert!(!written.contains("nobody was told") && !written.contains("put back"), "{written}");
    let gone = "workers WHERE health = 'offline' AND connection IS NULL";
    assert_eq!(folder.database.count(gone).await, 3, "{written}");
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
    let alive = ToHost::Heartbeat { active: vec![], capacity: None, offer: None, agents: None };
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

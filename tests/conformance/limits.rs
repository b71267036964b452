//! Fire limits: what counts, when there is room again, and that rivals never go beyond.

use std::time::Duration;

use futures_util::future::join_all;
use hillock::model::decision::Verdict;
use hillock::model::definition::{FireLimit, Over};
use hillock::model::id::RunId;
use hillock::model::run::NewRun;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::events::{self, Activation, activate};
use hillock::store::firing::by_hand;
use hillock::store::{Store, commands, runs};

use super::fixture::{
    accepted, activation, agent, at, claim, claimed, event, event_in, firing, new_run, open,
    scheduled_as, scope,
};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_window_rolls_on,
    a_limit_is_each_triggers_own,
    what_was_called_off_does_not_count,
    a_retry_is_no_run,
    rivals_never_go_beyond,
    crossing_rivals_all_get_through,
    runs_by_hand_count_like_others,
    a_trigger_without_limit_has_none,
);

const LIMIT: FireLimit = FireLimit { max: 3, window: Duration::from_secs(100), over: Over::Drop };

/// An event for each of these triggers' limits, activated at `now`; what became of it.
async fn fire(store: &Store, triggers: &[(&str, Option<FireLimit>)], now: Time) -> Vec<Verdict> {
    fire_in(store, &Scope::Global, triggers, now).await
}

async fn fire_in(
    store: &Store,
    scope: &Scope,
    triggers: &[(&str, Option<FireLimit>)],
    now: Time,
) -> Vec<Verdict> {
    let id = accepted(store, event_in(scope)).await;
    let made =
        |trigger: &str| NewRun { created_at: now, ..new_run(scope, &id, trigger, "triager") };
    let all: Vec<NewRun> = triggers.iter().map(|(trigger, _)| made(trigger)).collect();
    let limited = all.iter().cloned().zip(triggers).map(|(run, (_, limit))| firing(run, *limit));
    let runs = limited.collect();
    let activation = Activation { runs, at: now, ..activation(&id, all) };
    let made = activate(store, activation).await.unwrap().unwrap();
    let decisions = events::decisions(store, &id).await.unwrap();
    let verdicts: Vec<Verdict> = decisions.into_iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts.iter().filter(|verdict| verdict.run_id().is_some()).count(), made);
    verdicts
}

/// The run that one trigger made, or when it may fire again.
async fn fire_one(store: &Store, now: Time) -> Result<RunId, Time> {
    match fire(store, &[("triage", Some(LIMIT))], now).await.pop() {
        Some(Verdict::Fired(run)) => Ok(run),
        Some(Verdict::Limited(retry_at)) => Err(retry_at),
        other => panic!("{other:?}"),
    }
}

async fn a_window_rolls_on(database: Database) {
    let store = open(&database).await;
    for (secs, wanted) in [
        (1000, None),
        (1010, None),
        (1020, None),
        // The first of three leaves the window at 1100.
        (1030, Some(1100)),
        (1099, Some(1100)),
        (1100, None),
        (1105, Some(1110)),
        (1119, None),
        (1119, Some(1120)),
        (1500, None),
    ] {
        let limited = fire_one(&store, at(secs)).await.err();
        assert_eq!(limited, wanted.map(at), "at {secs}");
    }
    assert_eq!(database.count("runs").await, 6);
    assert_eq!(database.count("commands").await, 6);
    assert_eq!(database.count("decisions").await, 10);
}

async fn a_limit_is_each_triggers_own(database: Database) {
    let store = open(&database).await;
    let two = FireLimit { max: 1, ..LIMIT };
    let triggers = [("a", Some(LIMIT)), ("b", Some(two)), ("c", None)];
    fire(&store, &triggers, at(1)).await;
    let verdicts = fire(&store, &triggers, at(2)).await;
    let words: Vec<&str> = verdicts.iter().map(|verdict| verdict.outcome().as_str()).collect();
    assert_eq!(words, ["fired", "limited", "fired"]);
    assert_eq!(verdicts[1], Verdict::Limited(at(101)));
    let elsewhere = fire_in(&store, &scope("acme"), &triggers, at(3)).await;
    assert!(elsewhere.iter().all(|verdict| verdict.run_id().is_some()), "{elsewhere:?}");
}

async fn what_was_called_off_does_not_count(database: Database) {
    let store = open(&database).await;
    let first = fire_one(&store, at(1)).await.unwrap();
    for secs in [2, 3] {
        fire_one(&store, at(secs)).await.unwrap();
    }
    assert_eq!(fire_one(&store, at(4)).await, Err(at(101)));
    commands::cancel(&store, &Scope::Global, &first, at(5)).await.unwrap();
    fire_one(&store, at(6)).await.unwrap();
    assert_eq!(fire_one(&store, at(7)).await, Err(at(102)));
}

async fn a_retry_is_no_run(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let retry = hillock::model::definition::Retry::Backoff { max_retries: 9, base_delay_ms: 1 };
    scheduled_as(&store, &agent, |run| NewRun { retry, ..run }).await;
    for secs in [10, 20, 30, 40] {
        let claim = claim(&store, &super::fixture::worker(), &agent, at(secs)).await.unwrap();
        let ending = hillock::model::run::Ending::failed("once more");
        claims::finish(&store, &claim, ending, at(secs)).await.unwrap();
    }
    fire_one(&store, at(50)).await.unwrap();
    fire_one(&store, at(51)).await.unwrap();
    assert_eq!(fire_one(&store, at(52)).await, Err(at(103)));
}

async fn rivals_never_go_beyond(database: Database) {
    let store = open(&database).await;
    // As two hosts over one database.
    let other = open(&database).await;
    let rivals = (0..16).map(|i| fire_one(if i % 2 == 0 { &store } else { &other }, at(10)));
    let answers = join_all(rivals).await;
    let (fired, limited): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((fired.len(), limited.len()), (3, 13));
    assert!(limited.iter().all(|answer| *answer == Err(at(110))), "{limited:?}");
    assert_eq!(database.count("runs").await, 3);
}

/// Events of several triggers each, named in either order: nobody waits in a circle.
async fn crossing_rivals_all_get_through(database: Database) {
    let store = open(&database).await;
    let forward = [("a", Some(LIMIT)), ("b", Some(LIMIT)), ("c", Some(LIMIT))];
    let mut backward = forward;
    backward.reverse();
    let rivals =
        (0..16).map(|i| fire(&store, if i % 2 == 0 { &forward } else { &backward }, at(9)));
    let fired = join_all(rivals).await.concat();
    assert_eq!(fired.iter().filter(|verdict| verdict.run_id().is_some()).count(), 9);
    assert_eq!(database.count("runs").await, 9);
}

async fn runs_by_hand_count_like_others(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let by_hand = async |now| {
        let run = NewRun {
            event_id: None,
            created_at: now,
            ..new_run(&Scope::Global, &id, "triage", "triager")
        };
        by_hand(&store, firing(run, Some(LIMIT)), now).await.unwrap()
    };
    let Verdict::Fired(run) = by_hand(at(1)).await else { panic!("it is the first") };
    let made = runs::find(&store, &Scope::Global, &run).await.unwrap().unwrap();
    assert_eq!(made.made.event_id, None);
    fire_one(&store, at(2)).await.unwrap();
    assert!(matches!(by_hand(at(3)).await, Verdict::Fired(_)));
    assert_eq!(by_hand(at(4)).await, Verdict::Limited(at(101)));
    assert_eq!(fire_one(&store, at(5)).await, Err(at(101)));
    assert_eq!(database.count("runs").await, 3);
}

async fn a_trigger_without_limit_has_none(database: Database) {
    let store = open(&database).await;
    for _ in 0..40 {
        let verdicts = fire(&store, &[("triage", None)], at(1)).await;
        assert!(verdicts[0].run_id().is_some());
    }
    let agent = agent();
    let (_, claimed) = claimed(&store, &agent, at(2)).await;
    assert_eq!(claimed.attempt, 1);
}

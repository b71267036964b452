//! Gatherings: who joins which, when it is complete, and that it is flushed once.

use std::time::Duration;

use futures_util::future::join_all;
use hillock::model::decision::{Decision, Verdict};
use hillock::model::definition::{Batching, FireLimit, Over};
use hillock::model::id::{EventId, TriggerId};
use hillock::model::run::NewRun;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::Store;
use hillock::store::events::{self, Activation, activate};
use hillock::store::gatherings::{
    self, BatchMember, Flush, Gathering, complete, flush, next_due, postpone,
};

use super::fixture::{
    accepted, activation, at, event_in, firing, gathering_id, new_run, open, run_id, scope,
};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_burst_ends_when_it_is_quiet,
    a_burst_ends_when_it_has_lasted_long_enough,
    a_batch_ends_when_it_is_full_or_has_waited,
    keys_and_triggers_are_told_apart,
    what_is_due_takes_no_more,
    a_batch_never_overflows,
    a_flush_makes_one_run_and_decides_for_all,
    a_flush_without_a_run_decides_for_all,
    a_limited_flush_makes_no_run,
    rivals_flush_once,
    what_was_not_flushed_is_still_there,
    what_is_postponed_waits,
    a_workspace_sees_only_its_own,
);

const NAME: &str = "digest";

fn debounce(window: u64, max_wait: Option<u64>) -> Batching {
    let (window, max_wait) = (Duration::from_secs(window), max_wait.map(Duration::from_secs));
    Batching::Debounce { key: None, window, max_wait }
}

fn batch(size: u32, wait: u64) -> Batching {
    Batching::Batch { key: None, size, wait: Duration::from_secs(wait) }
}

/// An event that `trigger` holds back from `now` on.
async fn hold_as(
    store: &Store,
    scope: &Scope,
    (trigger, key): (&str, &str),
    gather: &Batching,
    now: Time,
) -> EventId {
    let id = accepted(store, event_in(scope)).await;
    let trigger_id = TriggerId::derive(scope, trigger);
    let decision = Decision {
        trigger_id: trigger_id.clone(),
        trigger: trigger.parse().unwrap(),
        verdict: Verdict::Held,
        at: now,
    };
    let key = key.to_owned();
    let holding = BatchMember { id: gathering_id(), trigger_id, key, gather: gather.clone() };
    let decisions = vec![decision];
    let activation =
        Activation { decisions, held: vec![holding], at: now, ..activation(&id, vec![]) };
    assert_eq!(activate(store, activation).await.unwrap(), Some(0));
    id
}

async fn hold(store: &Store, gather: &Batching, now: Time) -> EventId {
    hold_as(store, &Scope::Global, (NAME, ""), gather, now).await
}

/// The one gathering that is complete.
async fn only(store: &Store, now: Time) -> Gathering {
    let mut found = complete(store, now, 100).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().unwrap()
}

async fn none(store: &Store, now: Time) {
    let found = complete(store, now, 100).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// The events of a gathering, two at a time.
async fn of(store: &Store, gathering: &Gathering) -> Vec<EventId> {
    let (mut ids, mut after) = (vec![], 0);
    loop {
        let some = events::gathered(store, &gathering.id, after, 2).await.unwrap();
        let Some((last, _)) = some.last() else { return ids };
        after = *last;
        ids.extend(some.into_iter().map(|(_, event)| event.unwrap().id.clone()));
    }
}

fn fires(gathering: Gathering, event: &EventId, limit: Option<FireLimit>, at: Time) -> Flush {
    let run = new_run(&Scope::Global, event, NAME, "triager");
    let run = NewRun { created_at: at, ..run };
    Flush { gathering, outcome: Ok(firing(run, limit)), at }
}

async fn verdict(store: &Store, id: &EventId) -> Verdict {
    events::decisions(store, id).await.unwrap().pop().unwrap().verdict
}

async fn a_burst_ends_when_it_is_quiet(database: Database) {
    let store = open(&database).await;
    let gather = debounce(10, None);
    let mut ids = vec![];
    for secs in [100, 109, 118, 127] {
        ids.push(hold(&store, &gather, at(secs)).await);
        none(&store, at(secs)).await;
    }
    assert_eq!(next_due(&store).await.unwrap(), Some(at(137)));
    none(&store, at(136)).await;
    let burst = only(&store, at(137)).await;
    assert_eq!((burst.size, &burst.scope), (4, &Scope::Global));
    assert_eq!(burst.trigger_id, TriggerId::derive(&Scope::Global, NAME));
    assert_eq!(of(&store, &burst).await, ids);
    let last = events::last_gathered(&store, &burst.id).await.unwrap().unwrap();
    assert_eq!(Some(&last.unwrap().id), ids.last());
}

async fn a_burst_ends_when_it_has_lasted_long_enough(database: Database) {
    let store = open(&database).await;
    let gather = debounce(10, Some(25));
    for secs in [100, 108, 116, 124] {
        hold(&store, &gather, at(secs)).await;
    }
    assert_eq!(next_due(&store).await.unwrap(), Some(at(125)));
    none(&store, at(124)).await;
    assert_eq!(only(&store, at(125)).await.size, 4);
}

async fn a_batch_ends_when_it_is_full_or_has_waited(database: Database) {
    let store = open(&database).await;
    let gather = batch(3, 60);
    for secs in [100, 101] {
        hold(&store, &gather, at(secs)).await;
    }
    none(&store, at(101)).await;
    hold(&store, &gather, at(102)).await;
    let full = only(&store, at(102)).await;
    assert_eq!(full.size, 3);
    hold(&store, &gather, at(103)).await;
    assert_eq!(only(&store, at(103)).await.id, full.id);
    let both = complete(&store, at(163), 100).await.unwrap();
    assert_eq!(both.iter().map(|one| one.size).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(complete(&store, at(163), 1).await.unwrap()[0].id, full.id);
}

async fn keys_and_triggers_are_told_apart(database: Database) {
    let store = open(&database).await;
    let gather = debounce(10, None);
    let (global, acme) = (Scope::Global, scope("acme"));
    for (scope, of) in [
        (&global, ("digest", "a")),
        (&global, ("digest", "b")),
        (&global, ("digest", "a")),
        (&global, ("other", "a")),
        (&acme, ("digest", "a")),
    ] {
        hold_as(&store, scope, of, &gather, at(100)).await;
    }
    let mut sizes: Vec<(String, u32)> = vec![];
    for one in complete(&store, at(110), 100).await.unwrap() {
        sizes.push((one.scope.workspace_id().to_owned(), one.size));
    }
    sizes.sort();
    let global = |size| (String::new(), size);
    assert_eq!(sizes, [global(1), global(1), global(2), ("acme".to_owned(), 1)]);
}

/// Nobody looked when the first burst ended.
async fn what_is_due_takes_no_more(database: Database) {
    let store = open(&database).await;
    let gather = debounce(10, None);
    hold(&store, &gather, at(100)).await;
    let later = hold(&store, &gather, at(110)).await;
    assert_eq!(only(&store, at(119)).await.size, 1);
    let both = complete(&store, at(120), 100).await.unwrap();
    assert_eq!(of(&store, &both[1]).await, [later]);
}

async fn a_batch_never_overflows(database: Database) {
    let store = open(&database).await;
    let gather = batch(4, 600);
    join_all((0..14).map(|_| hold(&store, &gather, at(100)))).await;
    let full = complete(&store, at(100), 100).await.unwrap();
    assert_eq!(full.iter().map(|one| one.size).collect::<Vec<_>>(), [4, 4, 4]);
    for one in &full {
        assert_eq!(of(&store, one).await.len(), 4);
    }
    assert_eq!(database.count("gathered").await, 14);
}

async fn a_flush_makes_one_run_and_decides_for_all(database: Database) {
    let store = open(&database).await;
    let mut ids = vec![];
    for secs in [100, 101, 102] {
        ids.push(hold(&store, &batch(3, 60), at(secs)).await);
    }
    let waiting = hold(&store, &batch(3, 60), at(103)).await;
    let full = only(&store, at(104)).await;
    let done = flush(&store, fires(full, &ids[2], None, at(105))).await.unwrap().unwrap();
    for id in &ids {
        let decisions = events::decisions(&store, id).await.unwrap();
        assert_eq!((&decisions[0].verdict, decisions[0].at), (&done, at(105)));
    }
    assert!(done.run_id().is_some());
    assert_eq!(verdict(&store, &waiting).await, Verdict::Held);
    let counts = [("runs", 1), ("commands", 1), ("gatherings", 1), ("gathered", 1)];
    for (table, count) in counts {
        assert_eq!(database.count(table).await, count, "{table}");
    }
}

async fn a_flush_without_a_run_decides_for_all(database: Database) {
    let store = open(&database).await;
    for wanted in [
        Verdict::Disabled,
        Verdict::RenderError("the event has no `data.x`".to_owned()),
        Verdict::Canceled("`guard`: not now".to_owned()),
    ] {
        let ids = [
            hold(&store, &batch(2, 60), at(100)).await,
            hold(&store, &batch(2, 60), at(101)).await,
        ];
        let gathering = only(&store, at(101)).await;
        let outcome = Flush { gathering, outcome: Err(wanted.clone()), at: at(102) };
        assert_eq!(flush(&store, outcome).await.unwrap(), Some(wanted.clone()));
        for id in ids {
            assert_eq!(verdict(&store, &id).await, wanted);
        }
    }
    for table in ["runs", "gatherings", "gathered"] {
        assert_eq!(database.count(table).await, 0, "{table}");
    }
}

async fn a_limited_flush_makes_no_run(database: Database) {
    let store = open(&database).await;
    let limit = Some(FireLimit { max: 1, window: Duration::from_secs(100), over: Over::Drop });
    let mut done = vec![];
    for secs in [100, 110] {
        let id = hold(&store, &debounce(5, None), at(secs)).await;
        let gathering = only(&store, at(secs + 5)).await;
        flush(&store, fires(gathering, &id, limit, at(secs + 5))).await.unwrap();
        done.push(verdict(&store, &id).await);
    }
    assert!(done[0].run_id().is_some());
    assert_eq!(done[1], Verdict::Limited(at(205)));
    assert_eq!((database.count("runs").await, database.count("gatherings").await), (1, 0));
}

async fn rivals_flush_once(database: Database) {
    let store = open(&database).await;
    let other = open(&database).await;
    let id = hold(&store, &debounce(5, None), at(100)).await;
    let gathering = only(&store, at(105)).await;
    assert_eq!(only(&other, at(105)).await.id, gathering.id);
    let rivals = (0..8).map(|i| {
        let store = if i % 2 == 0 { &store } else { &other };
        flush(store, fires(gathering.clone(), &id, None, at(106)))
    });
    let answers = join_all(rivals).await;
    let won = answers.iter().filter(|answer| answer.as_ref().unwrap().is_some()).count();
    assert_eq!((won, database.count("runs").await), (1, 1));
}

/// As after a crash between looking and flushing.
async fn what_was_not_flushed_is_still_there(database: Database) {
    let store = open(&database).await;
    let id = hold(&store, &debounce(5, None), at(100)).await;
    let before = only(&store, at(105)).await;
    let next = hold(&store, &debounce(5, None), at(106)).await;
    store.close().await;
    let store = open(&database).await;
    let after = only(&store, at(110)).await;
    assert_eq!((&after.id, of(&store, &after).await), (&before.id, vec![id.clone()]));
    flush(&store, fires(after, &id, None, at(110))).await.unwrap().unwrap();
    assert_eq!(of(&store, &only(&store, at(111)).await).await, [next]);
    assert_eq!(verdict(&store, &id).await.outcome().as_str(), "fired");
}

async fn what_is_postponed_waits(database: Database) {
    let store = open(&database).await;
    hold(&store, &debounce(5, None), at(100)).await;
    let gathering = only(&store, at(105)).await;
    postpone(&store, &gathering.id, at(120), at(105)).await.unwrap();
    none(&store, at(119)).await;
    assert_eq!(next_due(&store).await.unwrap(), Some(at(120)));
    let own = hold(&store, &debounce(5, None), at(118)).await;
    assert_eq!(only(&store, at(120)).await.id, gathering.id);
    assert_eq!(gatherings::holding(&store, &Scope::Global, &own).await.unwrap().len(), 1);
}

async fn a_workspace_sees_only_its_own(database: Database) {
    let store = open(&database).await;
    let acme = scope("acme");
    let id = hold_as(&store, &acme, (NAME, ""), &debounce(5, None), at(100)).await;
    let own = gatherings::holding(&store, &acme, &id).await.unwrap();
    assert_eq!(own, [(TriggerId::derive(&acme, NAME), at(105))]);
    for other in [Scope::Global, scope("umbrella")] {
        assert!(gatherings::holding(&store, &other, &id).await.unwrap().is_empty());
    }
    let run = run_id().to_string();
    assert!(hillock::store::runs::owners(&store, &acme, &[run]).await.unwrap().is_empty());
}

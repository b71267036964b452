//! What a fire limit has no room for: it waits in its place, and fires in its turn.

use std::time::Duration;

use futures_util::future::join_all;
use hillock::model::decision::Verdict;
use hillock::model::definition::{Batching, DEFERRED_MAX, FireLimit, Over};
use hillock::model::id::{EventId, RunId, TriggerId};
use hillock::model::run::NewRun;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::deferrals::{self, Line};
use hillock::store::events::{self, Activation, activate};
use hillock::store::gatherings::{BatchMember, Flush, Gathering, complete, flush, next_due};
use hillock::store::{Store, commands};

use super::fixture::{accepted, activation, at, event_in, firing, gathering_id, new_run, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    what_is_over_waits_for_its_turn,
    what_comes_later_goes_behind,
    room_that_is_made_is_given_to_the_first,
    a_burst_that_is_over_waits_too,
    rivals_fire_each_once,
    only_so_many_wait,
);

const LIMIT: FireLimit = FireLimit { max: 2, window: Duration::from_secs(100), over: Over::Defer };
const NAME: &str = "triage";

fn trigger() -> TriggerId {
    TriggerId::derive(&Scope::Global, NAME)
}

fn run_for(id: &EventId, now: Time) -> NewRun {
    NewRun { created_at: now, ..new_run(&Scope::Global, id, NAME, "triager") }
}

/// An event that the trigger wants to fire for.
async fn fire(store: &Store, now: Time) -> EventId {
    let id = accepted(store, event_in(&Scope::Global)).await;
    let run = run_for(&id, now);
    let runs = vec![firing(run.clone(), Some(LIMIT))];
    let activation = Activation { runs, at: now, ..activation(&id, vec![run]) };
    activate(store, activation).await.unwrap().unwrap();
    id
}

async fn verdict(store: &Store, id: &EventId) -> Verdict {
    events::decisions(store, id).await.unwrap().pop().unwrap().verdict
}

async fn flushed(store: &Store, gathering: Gathering, id: &EventId, now: Time) -> Option<Verdict> {
    let outcome = Ok(firing(run_for(id, now), Some(LIMIT)));
    flush(store, Flush { gathering, outcome, at: now }).await.unwrap()
}

/// The events of what is due, in the order in which it is flushed.
async fn due(store: &Store, now: Time) -> Vec<(Gathering, EventId)> {
    let mut due = vec![];
    for gathering in complete(store, now, 100).await.unwrap() {
        let event = events::last_gathered(store, &gathering.id).await.unwrap().unwrap().unwrap();
        due.push((gathering, event.id.clone()));
    }
    due
}

async fn what_is_over_waits_for_its_turn(database: Database) {
    let store = open(&database).await;
    let mut ids = vec![];
    for secs in [1000, 1001, 1010, 1011, 1012] {
        ids.push(fire(&store, at(secs)).await);
    }
    let mut waits = vec![];
    for id in &ids[2..] {
        waits.push(verdict(&store, id).await);
    }
    // As the first two leave the window, and then the one that took the first's place.
    assert_eq!(waits, [1100, 1101, 1200].map(|secs| Verdict::Deferred(at(secs))));
    assert_eq!(database.count("runs").await, 2);

    assert!(due(&store, at(1099)).await.is_empty());
    assert_eq!(next_due(&store).await.unwrap(), Some(at(1100)));
    let [(gathering, id)] = &due(&store, at(1100)).await[..] else { panic!("one is due") };
    assert_eq!(*id, ids[2]);
    let fired = flushed(&store, gathering.clone(), id, at(1100)).await.unwrap();
    assert!(matches!(fired, Verdict::Fired(_)), "{fired:?}");
    assert_eq!(verdict(&store, id).await, fired);

    // Where there is no room after all, it stays in its place.
    let (gathering, id) = due(&store, at(1150)).await.remove(0);
    fire_by_hand(&store, at(1149)).await;
    let again = flushed(&store, gathering, &id, at(1150)).await;
    assert_eq!(again, Some(Verdict::Deferred(at(1200))));
    let order: Vec<EventId> = due(&store, at(1300)).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(order, ids[3..]);
}

async fn fire_by_hand(store: &Store, now: Time) {
    let id = accepted(store, event_in(&Scope::Global)).await;
    let run = NewRun { event_id: None, ..run_for(&id, now) };
    let verdict = hillock::store::firing::by_hand(store, firing(run, Some(LIMIT)), now).await;
    assert!(matches!(verdict.unwrap(), Verdict::Fired(_)));
}

async fn what_comes_later_goes_behind(database: Database) {
    let store = open(&database).await;
    for secs in [1000, 1001] {
        fire(&store, at(secs)).await;
    }
    let waiting = fire(&store, at(1002)).await;
    // There is room; but who waits goes first.
    let later = fire(&store, at(1150)).await;
    assert!(matches!(verdict(&store, &later).await, Verdict::Deferred(_)));
    let (gathering, id) = due(&store, at(1150)).await.remove(0);
    assert_eq!(id, waiting);
    let found = due(&store, at(1151)).await;
    assert_eq!(found.len(), 2);
    // The second cannot overtake the first.
    let (second, _) = found.into_iter().find(|(_, id)| *id == later).unwrap();
    let overtaking = flushed(&store, second, &later, at(1151)).await.unwrap();
    assert!(matches!(overtaking, Verdict::Deferred(_)), "{overtaking:?}");
    assert!(matches!(flushed(&store, gathering, &id, at(1151)).await, Some(Verdict::Fired(_))));
    let (second, _) = due(&store, at(1153)).await.remove(0);
    assert!(matches!(flushed(&store, second, &later, at(1153)).await, Some(Verdict::Fired(_))));
    assert_eq!((database.count("gatherings").await, database.count("gathered").await), (0, 0));
    assert!(matches!(verdict(&store, &fire(&store, at(1260)).await).await, Verdict::Fired(_)));
}

async fn room_that_is_made_is_given_to_the_first(database: Database) {
    let store = open(&database).await;
    let first = fire(&store, at(1000)).await;
    let Verdict::Fired(run) = verdict(&store, &first).await else { panic!("it fires") };
    fire(&store, at(1001)).await;
    let waiting = fire(&store, at(1002)).await;
    fire(&store, at(1003)).await;
    let line = |limit| vec![Line { trigger_id: trigger(), limit }];
    assert_eq!(deferrals::lines(&store, at(1010)).await.unwrap(), [trigger()]);
    deferrals::release(&store, line(Some(LIMIT)), at(1010)).await.unwrap();
    assert!(due(&store, at(1010)).await.is_empty(), "there is no room");
    let cancel = async |run: &RunId| commands::cancel(&store, &Scope::Global, run, at(1011)).await;
    cancel(&run).await.unwrap();
    deferrals::release(&store, line(Some(LIMIT)), at(1012)).await.unwrap();
    let found: Vec<EventId> = due(&store, at(1012)).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, [waiting], "there is room for one");
    // Without a limit any more, all of it.
    deferrals::release(&store, line(None), at(1020)).await.unwrap();
    assert_eq!(due(&store, at(1020)).await.len(), 2);
    assert!(deferrals::lines(&store, at(1020)).await.unwrap().is_empty());
}

async fn a_burst_that_is_over_waits_too(database: Database) {
    let store = open(&database).await;
    for secs in [1000, 1001] {
        fire(&store, at(secs)).await;
    }
    let id = accepted(&store, event_in(&Scope::Global)).await;
    let (window, key) = (Duration::from_secs(5), String::new());
    let gather = Batching::Debounce { key: None, window, max_wait: None };
    let held = vec![BatchMember { id: gathering_id(), trigger_id: trigger(), key, gather }];
    let mut activation =
        Activation { held, at: at(1002), ..activation(&id, vec![run_for(&id, at(1002))]) };
    activation.runs.clear();
    activation.decisions[0].verdict = Verdict::Held;
    activate(&store, activation).await.unwrap().unwrap();
    let (gathering, _) = due(&store, at(1007)).await.remove(0);
    let put_off = flushed(&store, gathering.clone(), &id, at(1007)).await;
    assert_eq!(put_off, Some(Verdict::Deferred(at(1100))));
    assert_eq!(verdict(&store, &id).await, Verdict::Deferred(at(1100)));
    // Whoever has read it before comes too late.
    assert_eq!(flushed(&store, gathering, &id, at(1008)).await, None);
    // It goes before what comes after it.
    let later = fire(&store, at(1010)).await;
    assert_eq!(verdict(&store, &later).await, Verdict::Deferred(at(1101)));
    let (gathering, _) = due(&store, at(1100)).await.remove(0);
    assert!(matches!(flushed(&store, gathering, &id, at(1100)).await, Some(Verdict::Fired(_))));
}

async fn rivals_fire_each_once(database: Database) {
    let store = open(&database).await;
    let other = open(&database).await;
    let rivals = (0..16).map(|i| fire(if i % 2 == 0 { &store } else { &other }, at(1000)));
    join_all(rivals).await;
    assert_eq!((database.count("runs").await, database.count("gatherings").await), (2, 14));
    let places = "(SELECT DISTINCT place FROM gatherings) AS places";
    assert_eq!(database.count(places).await, 14, "each has a place of its own");
    let mut now = at(1100);
    while database.count("gatherings").await > 0 {
        for (gathering, id) in due(&store, now).await {
            let stores = [&store, &other];
            join_all(stores.map(|store| flushed(store, gathering.clone(), &id, now))).await;
        }
        now = now + Duration::from_secs(50);
        assert!(now < at(3000), "all of it has its turn");
    }
    assert_eq!(database.count("runs").await, 16);
    assert_eq!(database.count("decisions WHERE outcome = 'fired'").await, 16);
}

async fn only_so_many_wait(database: Database) {
    let store = open(&database).await;
    for secs in [1000, 1001, 1002] {
        fire(&store, at(secs)).await;
    }
    let trigger = trigger();
    let row = |place| format!("('g{place}', '{trigger}', '', '', 0, 9000000000000, 1, 1, {place})");
    let rows: Vec<String> = (2..=DEFERRED_MAX).map(row).collect();
    let insert = format!(
        "INSERT INTO gatherings (id, trigger_id, key, workspace_id, first_at, due_at, size, closed, \
                                 place) VALUES {}",
        rows.join(", ")
    );
    database.execute(&insert).await;
    let over = fire(&store, at(1003)).await;
    assert!(matches!(verdict(&store, &over).await, Verdict::Limited(_)));
    assert_eq!(database.count("gatherings").await, 1000);
}

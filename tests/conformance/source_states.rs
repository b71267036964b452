//! What observers and extensions remember, kept with their events.

use std::time::Duration;

use hillock::config::{Config, Overrides};
use hillock::model::definition::Point;
use hillock::model::envelope::{Producer, Source, Way};
use hillock::model::id::{ExtensionId, NoticeId, ObserverId};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::events::{Accepted, Delivery};
use hillock::store::notices::{self, Notice};
use hillock::store::source_states::{self, SourceState};
use hillock::store::{Store, commands, definitions};

use super::fixture::*;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

const INTERVALS: &str = r#"
extensions = [{ name = "rss" }, { name = "other", component = "rss" }]
observers = [{ name = "runs", watch = "runs" }, { name = "runs-too", watch = "runs" }]
"#;

async fn sync(store: &Store, text: &str, now: Time) {
    let path = std::path::Path::new("hillock.toml");
    let config = Config::parse(text, path, &Overrides::default()).unwrap();
    definitions::sync(store, config.declared, now).await.unwrap().unwrap();
}

/// A store with two extensions and two observers of runs.
async fn with_sources(database: &Database) -> Store {
    let store = open(database).await;
    sync(&store, INTERVALS, at(0)).await;
    store
}

fn rss() -> String {
    ExtensionId::derive(&Scope::Global, "rss").into()
}

fn observers() -> [String; 2] {
    ["runs", "runs-too"].map(|name| ObserverId::derive(&Scope::Global, name).into())
}

async fn state(store: &Store, id: &str) -> SourceState {
    source_states::open(store, id).await.unwrap().unwrap()
}

/// An event of the extension.
fn found(identity: [u8; 32]) -> Delivery {
    let producer = Producer { id: rss(), name: "rss".parse().unwrap() };
    let event = hillock::model::envelope::Event {
        source: Source::Extension,
        way: Way::Producer(producer),
        ..event()
    };
    delivery(event, &[identity])
}

async fn what_is_new_is_due_at_once_and_keeps_its_time(database: Database) {
    let store = with_sources(&database).await;
    let (rss, ids) = (rss(), vec![rss()]);
    assert_eq!(source_states::find(&store, &rss).await.unwrap(), None);
    source_states::follow(&store, ids.clone(), at(10)).await.unwrap();
    assert_eq!(source_states::due(&store, &ids, at(9), 10).await.unwrap(), []);
    let [due] = &source_states::due(&store, &ids, at(10), 10).await.unwrap()[..] else { panic!() };
    let new = SourceState {
        definition_id: rss.clone(),
        cursor: None,
        state: [].into(),
        revision: 0,
        next_at: Some(at(10)),
        set_at: Some(at(10)),
        last_at: None,
        failures: 0,
        last_error: None,
    };
    assert_eq!(*due, new);
    source_states::follow(&store, ids.clone(), at(20)).await.unwrap();
    assert_eq!(state(&store, &rss).await, new);
    assert_eq!(source_states::next_at(&store, &ids).await.unwrap(), Some(at(10)));
    // The other one has not been followed.
    assert_eq!(source_states::next_at(&store, &observers()).await.unwrap(), None);
    assert_eq!(source_states::due(&store, &observers(), at(99), 10).await.unwrap(), []);
}

async fn events_and_state_are_kept_together_and_once(database: Database) {
    let store = with_sources(&database).await;
    let before = state(&store, &rss()).await;
    let after = SourceState {
        cursor: Some("there".to_owned()),
        state: [("seen".to_owned(), "\u{0}one".to_owned())].into(),
        next_at: Some(at(300)),
        last_at: Some(at(1)),
        failures: 2,
        last_error: Some("why".to_owned()),
        ..before.clone()
    };
    let identity = identity();
    let kept = source_states::commit(&store, &after, &[found(identity)]).await.unwrap().unwrap();
    let [Accepted::New(id)] = &kept[..] else { panic!("{kept:?}") };
    let now = SourceState { revision: before.revision + 1, ..after.clone() };
    assert_eq!(state(&store, &rss()).await, now);

    // Whoever has read it before is too late, with everything.
    let late = SourceState { cursor: None, ..before };
    assert_eq!(
        source_states::commit(&store, &late, &[found(self::identity())]).await.unwrap(),
        None
    );
    assert_eq!(state(&store, &rss()).await, now);
    assert_eq!(database.count("events").await, 1);
    // What is found again is known.
    let again = source_states::commit(&store, &now, &[found(identity)]).await.unwrap();
    assert_eq!(again, Some(vec![Accepted::Duplicate(id.clone())]));
    assert_eq!(database.count("events").await, 1);
}

async fn one_of_many_replicas_claims(database: Database) {
    let store = with_sources(&database).await;
    source_states::follow(&store, vec![rss()], at(0)).await.unwrap();
    let due = state(&store, &rss()).await;
    let claims = (0..8).map(|_| {
        let (store, due) = (store.clone(), due.clone());
        async move {
            let claimed = SourceState { next_at: Some(at(60)), ..due };
            source_states::commit(&store, &claimed, &[]).await.unwrap().is_some()
        }
    });
    let claimed = futures_util::future::join_all(claims).await;
    assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 1);
}

async fn a_changed_definition_is_due_at_once_and_drops_what_is_under_way(database: Database) {
    let store = with_sources(&database).await;
    let ids = vec![rss()];
    source_states::follow(&store, ids.clone(), at(0)).await.unwrap();
    let before = state(&store, &rss()).await;
    let polled = SourceState {
        cursor: Some("there".to_owned()),
        next_at: Some(at(3600)),
        failures: 3,
        last_error: Some("why".to_owned()),
        ..before
    };
    source_states::commit(&store, &polled, &[]).await.unwrap().unwrap();
    let under_way = state(&store, &rss()).await;

    let changed = INTERVALS.replace("\"rss\" },", "\"rss\", interval = \"1h\" },");
    sync(&store, &changed, at(5)).await;
    source_states::follow(&store, ids.clone(), at(6)).await.unwrap();
    let now = state(&store, &rss()).await;
    let wanted = SourceState {
        next_at: Some(at(6)),
        set_at: Some(at(6)),
        failures: 0,
        revision: under_way.revision + 1,
        ..under_way.clone()
    };
    assert_eq!(now, wanted);
    assert_eq!(source_states::commit(&store, &under_way, &[]).await.unwrap(), None);
    // Every replica follows; the first has done it.
    source_states::follow(&store, ids, at(7)).await.unwrap();
    assert_eq!(state(&store, &rss()).await, now);
}

async fn what_is_remembered_goes_with_the_definition(database: Database) {
    let store = with_sources(&database).await;
    let before = state(&store, &rss()).await;
    sync(&store, "", at(5)).await;
    assert_eq!(source_states::find(&store, &rss()).await.unwrap(), None);
    assert_eq!(source_states::open(&store, &rss()).await.unwrap(), None);
    assert_eq!(source_states::commit(&store, &before, &[found(identity())]).await.unwrap(), None);
    source_states::follow(&store, vec![rss()], at(6)).await.unwrap();
    assert_eq!(database.count("source_states").await, 0);
    assert_eq!(database.count("events").await, 0);
}

/// A notice of a run that the observers see.
async fn notice(store: &Store) -> NoticeId {
    let id = NoticeId::derive(&Scope::Global, &format!("{:?}", identity()));
    let notice = Notice {
        id: id.clone(),
        scope: Scope::Global,
        point: Point::RunFailed,
        data: "{}".to_owned(),
        depth: 1,
        causes: vec!["run_1".to_owned()],
        at: at(1),
    };
    notices::post(store, notice).await.unwrap();
    assert_eq!(notices::waiting(store, 10).await.unwrap().len(), 1);
    id
}

async fn a_notice_is_settled_with_all_its_observers_or_not_at_all(database: Database) {
    let store = with_sources(&database).await;
    let id = notice(&store).await;
    let [one, two] = observers();
    let (one, two) = (state(&store, &one).await, state(&store, &two).await);
    let seen =
        |state: &SourceState| SourceState { cursor: Some("seen".to_owned()), ..state.clone() };

    // Somebody else has kept something of the second meanwhile.
    source_states::commit(&store, &two, &[]).await.unwrap().unwrap();
    let stale = vec![seen(&one), seen(&two)];
    let settled = notices::settle(&store, &id, &[found(identity())], stale).await.unwrap();
    assert_eq!(settled, None);
    assert_eq!(state(&store, &one.definition_id).await, one);
    assert_eq!(notices::waiting(&store, 10).await.unwrap().len(), 1);
    assert_eq!(database.count("events").await, 0);

    let two = state(&store, &two.definition_id).await;
    let states = vec![seen(&two), seen(&one)];
    let settled = notices::settle(&store, &id, &[found(identity())], states).await.unwrap();
    assert!(matches!(settled.as_deref(), Some([Accepted::New(_)])), "{settled:?}");
    assert_eq!(notices::waiting(&store, 10).await.unwrap().len(), 0);
    for before in [&one, &two] {
        let wanted = SourceState { revision: before.revision + 1, ..seen(before) };
        assert_eq!(state(&store, &before.definition_id).await, wanted);
    }
    // Whoever has read the notice before, and the states after.
    let states = vec![state(&store, &one.definition_id).await];
    let again = notices::settle(&store, &id, &[found(identity())], states).await.unwrap();
    assert_eq!(again, None);
    assert_eq!(database.count("events").await, 1);
}

async fn rivals_settle_a_notice_once(database: Database) {
    let store = with_sources(&database).await;
    for _ in 0..10 {
        let id = notice(&store).await;
        let before = [state(&store, &observers()[0]).await, state(&store, &observers()[1]).await];
        let rivals = (0..4).map(|i| {
            let (store, id, mut states) = (store.clone(), id.clone(), before.to_vec());
            states.rotate_left(i % 2);
            async move { notices::settle(&store, &id, &[found(identity())], states).await.unwrap() }
        });
        let settled = futures_util::future::join_all(rivals).await;
        assert_eq!(settled.iter().filter(|settled| settled.is_some()).count(), 1, "{settled:?}");
        assert_eq!(state(&store, &observers()[0]).await.revision, before[0].revision + 1);
    }
    assert_eq!(database.count("events").await, 10);
}

async fn a_backlog_is_what_could_go_out(database: Database) {
    let store = open(&database).await;
    let (busy, other) = (agent(), agent());
    for _ in 0..3 {
        scheduled(&store, &busy).await;
    }
    scheduled(&store, &other).await;
    claim(&store, &worker(), &other, at(4)).await.unwrap();
    let elsewhere =
        hillock::model::definition::Agent { scope: scope("acme"), name: busy.name.clone() };
    scheduled(&store, &elsewhere).await;
    let later = at(3) + Duration::from_secs(7);
    let found = commands::backlogs(&store, &Scope::Global, later).await.unwrap();
    let wanted = commands::Backlog { agent: busy.name.clone(), waiting: 3, oldest_at: at(3) };
    assert_eq!(found, [wanted]);
    let found = commands::backlogs(&store, &scope("acme"), later).await.unwrap();
    assert_eq!(found.iter().map(|b| b.waiting).collect::<Vec<_>>(), [1]);
    assert_eq!(commands::backlogs(&store, &scope("acm"), later).await.unwrap(), []);
}

on_both_databases!(
    what_is_new_is_due_at_once_and_keeps_its_time,
    events_and_state_are_kept_together_and_once,
    one_of_many_replicas_claims,
    a_changed_definition_is_due_at_once_and_drops_what_is_under_way,
    what_is_remembered_goes_with_the_definition,
    a_notice_is_settled_with_all_its_observers_or_not_at_all,
    rivals_settle_a_notice_once,
    a_backlog_is_what_could_go_out,
);

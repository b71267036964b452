//! The inbox: what is accepted, what is a duplicate, what waits, what is found.

use std::collections::BTreeSet;

use hillock::model::definition::Replay;
use hillock::model::envelope::{Arrival, Event, Payload, Way};
use hillock::model::id::{EventId, WebhookId};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::Store;
use hillock::store::events::{
    self, Accepted, Delivery, EventFilter, EventSummary, Likeness, Meaning, accept, activate, find,
    waiting,
};

use super::fixture::{
    accepted, activation, at, delivery, event, event_id, event_in, first_page, identity, open,
    scope,
};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    an_event_is_found_as_it_was_put_in,
    any_identity_makes_a_duplicate,
    a_partly_known_delivery_leaves_nothing_behind,
    identities_belong_to_an_endpoint,
    deliveries_without_identities_are_never_duplicates,
    deliveries_of_one_request_go_together,
    rivals_make_one_event,
    what_reads_alike_is_marked_or_refused,
    rivals_that_read_alike_see_each_other,
    what_an_older_host_knew_is_known,
    events_wait_in_order_until_they_are_activated,
    another_workspaces_event_does_not_exist,
    events_are_listed_by_kind_and_endpoint,
);

async fn an_event_is_found_as_it_was_put_in(database: Database) {
    let store = open(&database).await;
    let mut made = event_in(&scope("acme"));
    made.payload = Payload::Json(r#"{"made":"\u0000"}"#.into());
    let plain = event();
    for wanted in [made, plain] {
        let id = accepted(&store, wanted.clone()).await;
        let (summary, found) = find(&store, &wanted.scope, &id).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
        assert_eq!(summary.verified, wanted.verified);
        assert_eq!((summary.received_at, summary.activated_at), (wanted.received_at, None));
    }
}

async fn any_identity_makes_a_duplicate(database: Database) {
    let store = open(&database).await;
    let (by_id, by_body) = (identity(), identity());
    let first = event();
    let known = Accepted::Duplicate(first.id.clone());
    let (id, new) = (first.id.clone(), Accepted::New(first.id.clone()));
    assert_eq!(accept_one(&store, first, &[by_id, by_body]).await, new);
    for identities in [&[by_id][..], &[by_body], &[by_body, by_id], &[identity(), by_body]] {
        assert_eq!(accept_one(&store, event(), identities).await, known);
    }
    let (summary, _) = find(&store, &Scope::Global, &id).await.unwrap().unwrap();
    assert_eq!(summary.repeats, 4);
    assert_eq!(database.count("events").await, 1);
}

async fn a_partly_known_delivery_leaves_nothing_behind(database: Database) {
    let store = open(&database).await;
    let (known, unseen) = (identity(), identity());
    accept_one(&store, event(), &[known]).await;
    assert!(matches!(accept_one(&store, event(), &[unseen, known]).await, Accepted::Duplicate(_)));
    assert_eq!(database.count("dedupe").await, 1);
    assert!(matches!(accept_one(&store, event(), &[unseen]).await, Accepted::New(_)));
}

async fn identities_belong_to_an_endpoint(database: Database) {
    let store = open(&database).await;
    let same = identity();
    for workspace in ["", "acme", "umbrella"] {
        let event = event_in(&scope(workspace));
        assert!(matches!(accept_one(&store, event, &[same]).await, Accepted::New(_)));
    }
}

async fn deliveries_without_identities_are_never_duplicates(database: Database) {
    let store = open(&database).await;
    for _ in 0..3 {
        assert!(matches!(accept_one(&store, event(), &[]).await, Accepted::New(_)));
    }
}

async fn deliveries_of_one_request_go_together(database: Database) {
    let store = open(&database).await;
    let repeated = identity();
    let (one, two, three) = (event(), event(), event());
    let wanted = [
        Accepted::New(one.id.clone()),
        Accepted::Duplicate(one.id.clone()),
        Accepted::New(three.id.clone()),
    ];
    let request =
        vec![delivery(one, &[repeated]), delivery(two, &[repeated]), delivery(three, &[])];
    assert_eq!(accept(&store, request).await.unwrap(), wanted);

    let stored = event();
    accept_one(&store, stored.clone(), &[]).await;
    let request = vec![delivery(event(), &[identity()]), delivery(stored, &[identity()])];
    accept(&store, request).await.expect_err("the second one's id is taken");
    assert_eq!((database.count("events").await, database.count("dedupe").await), (3, 1));
}

async fn rivals_make_one_event(database: Database) {
    let store = open(&database).await;
    let same = identity();
    let rivals = (0..16).map(async |_| accept_one(&store, event(), &[same]).await);
    let answers = futures_util::future::join_all(rivals).await;
    let new: Vec<_> = answers.iter().filter(|a| matches!(a, Accepted::New(_))).collect();
    assert_eq!(new.len(), 1);
    let ids = answers.iter().map(|answer| match answer {
        Accepted::New(id) | Accepted::Duplicate(id) | Accepted::Refused(id) => id,
    });
    let ids: BTreeSet<_> = ids.collect();
    assert_eq!(ids.len(), 1);
}

async fn events_wait_in_order_until_they_are_activated(database: Database) {
    let store = open(&database).await;
    let mut late = event();
    late.received_at = at(50);
    let one = accepted(&store, event()).await;
    let two = accepted(&store, late).await;
    let three = accepted(&store, event()).await;
    let listed = async |after, until, limit| {
        let found = waiting(&store, after, until, &BTreeSet::new(), limit).await.unwrap();
        found
            .into_iter()
            .map(|(place, event)| (place, event.unwrap().id.clone()))
            .collect::<Vec<_>>()
    };
    let ids = |found: &[(i64, EventId)]| -> Vec<EventId> {
        found.iter().map(|(_, id)| id.clone()).collect()
    };

    let all = listed(0, at(100), 10).await;
    assert_eq!(ids(&all), [one.clone(), two.clone(), three.clone()]);
    assert_eq!(ids(&listed(0, at(100), 2).await), [one.clone(), two.clone()]);
    assert_eq!(ids(&listed(all[0].0, at(100), 10).await), [two.clone(), three.clone()]);
    assert_eq!(ids(&listed(0, at(49), 10).await), [one.clone(), three.clone()]);

    let acme = Scope::parse("acme").unwrap();
    let theirs = accepted(&store, event_in(&acme)).await;
    for (without, wanted) in [
        (vec![acme.clone()], vec![&one, &two, &three]),
        (vec![Scope::Global], vec![&theirs]),
        (vec![acme, Scope::Global], vec![]),
    ] {
        let without = without.into_iter().collect();
        let found = waiting(&store, 0, at(100), &without, 10).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(_, event)| event.unwrap().id.clone()).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "without {without:?}");
    }

    assert_eq!(activate(&store, activation(&one, vec![])).await.unwrap(), Some(0));
    assert_eq!(ids(&listed(0, at(100), 10).await), [two, three, theirs]);
    let (summary, _) = find(&store, &Scope::Global, &one).await.unwrap().unwrap();
    assert_eq!(summary.activated_at, Some(at(3)));
}

async fn another_workspaces_event_does_not_exist(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event_in(&scope("acme"))).await;
    for (workspace, found) in [("acme", true), ("umbrella", false), ("", false)] {
        let scope = scope(workspace);
        let event = find(&store, &scope, &id).await.unwrap();
        assert_eq!(event.is_some(), found, "{workspace}");
        let filter = EventFilter::default();
        let page = events::list(&store, &scope, &filter, first_page(10)).await.unwrap();
        assert_eq!(page.items.len(), usize::from(found), "{workspace}");
    }
    assert!(find(&store, &scope("acme"), &event_id()).await.unwrap().is_none());
}

async fn events_are_listed_by_kind_and_endpoint(database: Database) {
    let store = open(&database).await;
    for (kind, slug) in [("a", "x"), ("a", "y"), ("b", "x")] {
        let mut event = event();
        event.kind = kind.parse().unwrap();
        event.way = Way::Endpoint(Arrival {
            webhook_id: WebhookId::derive(&Scope::Global, slug),
            slug: slug.parse().unwrap(),
        });
        accepted(&store, event).await;
    }
    for (kind, endpoint, wanted) in [
        (None, None, &["b/x", "a/y", "a/x"][..]),
        (Some("a"), None, &["a/y", "a/x"]),
        (None, Some("x"), &["b/x", "a/x"]),
        (Some("b"), Some("y"), &[]),
    ] {
        let filter = EventFilter {
            kind: kind.map(|kind| kind.parse().unwrap()),
            producer: endpoint.map(|slug| slug.parse().unwrap()),
            ..EventFilter::default()
        };
        let page = events::list(&store, &Scope::Global, &filter, first_page(10)).await.unwrap();
        let slug = |event: &EventSummary| match &event.way {
            Way::Endpoint(arrival) => arrival.slug.to_string(),
            Way::Producer(producer) => panic!("{producer:?} is no endpoint"),
        };
        let found: Vec<String> =
            page.items.iter().map(|event| format!("{}/{}", event.kind, slug(event))).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
}

const HOUR_MS: i64 = 60 * 60 * 1000;

fn alike(text: u8, meaning: Meaning) -> Option<Likeness> {
    Some(Likeness { hash: [text; 32], former: [100; 32], meaning })
}

/// Accepts an event that came so many hours after the first.
async fn accept_alike(store: &Store, hours: i64, likeness: Option<Likeness>) -> Accepted {
    let received_at = Time::from_millis(at(0).as_millis() + hours * HOUR_MS).unwrap();
    let event = Event { received_at, ..event() };
    let delivery = Delivery { likeness, ..delivery(event, &[identity()]) };
    accept(store, vec![delivery]).await.unwrap().pop().unwrap()
}

async fn repeat_of(store: &Store, accepted: &Accepted) -> Option<EventId> {
    let Accepted::New(id) = accepted else { panic!("{accepted:?}") };
    find(store, &Scope::Global, id).await.unwrap().unwrap().0.repeat_of
}

async fn what_reads_alike_is_marked_or_refused(database: Database) {
    let store = open(&database).await;
    let mark = Meaning::Replay(Replay::Mark);
    let (mut before, mut ids) = (None, vec![]);
    for (hours, text, repeats) in
        [(0, 1, false), (1, 1, true), (2, 2, false), (24, 1, true), (49, 1, false)]
    {
        let accepted = accept_alike(&store, hours, alike(text, mark)).await;
        let wanted = before.clone().filter(|_| repeats);
        assert_eq!(repeat_of(&store, &accepted).await, wanted, "after {hours} h: {ids:?}");
        let Accepted::New(id) = accepted else { panic!("{accepted:?}") };
        if text == 1 {
            before = Some(id.clone());
        }
        ids.push(id);
    }
    let refuse = alike(1, Meaning::Replay(Replay::Refuse));
    assert_eq!(accept_alike(&store, 50, refuse.clone()).await, Accepted::Refused(ids[4].clone()));
    let (summary, _) = find(&store, &Scope::Global, &ids[4]).await.unwrap().unwrap();
    assert_eq!(summary.repeats, 1);
    assert!(matches!(accept_alike(&store, 80, refuse).await, Accepted::New(_)));
    let page = events::list(&store, &Scope::Global, &EventFilter::default(), first_page(10)).await;
    let marked = page.unwrap().items.into_iter().filter(|event| event.repeat_of.is_some());
    assert_eq!((marked.count(), database.count("events").await), (2, 6));
}

async fn rivals_that_read_alike_see_each_other(database: Database) {
    let store = open(&database).await;
    for (replay, new, marked) in [(Replay::Mark, 12, 11), (Replay::Refuse, 1, 0)] {
        let likeness = alike(u8::from(replay == Replay::Mark), Meaning::Replay(replay));
        let rivals = (0..12).map(async |_| accept_alike(&store, 0, likeness.clone()).await);
        let answers = futures_util::future::join_all(rivals).await;
        let accepted: Vec<_> =
            answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).collect();
        assert_eq!(accepted.len(), new, "{answers:?}");
        let mut found = 0;
        for one in accepted {
            found += u32::from(repeat_of(&store, one).await.is_some());
        }
        assert_eq!(found, marked, "{replay}");
    }
}

/// It kept the body alone beside a delivery's name, as an identity like others.
async fn what_an_older_host_knew_is_known(database: Database) {
    let store = open(&database).await;
    let (name, former) = (identity(), [100; 32]);
    let first = event();
    let known = Accepted::Duplicate(first.id.clone());
    accept_one(&store, first.clone(), &[name, former]).await;
    assert_eq!(accept_one(&store, event(), &[name]).await, known);
    let same = Delivery { likeness: alike(1, Meaning::Same), ..delivery(event(), &[]) };
    assert_eq!(accept(&store, vec![same]).await.unwrap(), [known]);
    let marked = accept_alike(&store, 0, alike(1, Meaning::Replay(Replay::Mark))).await;
    assert_eq!(repeat_of(&store, &marked).await, Some(first.id));

    let same = |text| Delivery { likeness: alike_anew(text), ..delivery(event(), &[]) };
    for (text, new) in [(7, true), (7, false), (8, true), (7, false), (8, false)] {
        let accepted = accept(&store, vec![same(text)]).await.unwrap();
        assert_eq!(matches!(accepted[0], Accepted::New(_)), new, "{text}");
    }
}

fn alike_anew(text: u8) -> Option<Likeness> {
    Some(Likeness { hash: [text; 32], former: [text + 50; 32], meaning: Meaning::Same })
}

async fn accept_one(store: &Store, event: Event, identities: &[[u8; 32]]) -> Accepted {
    accept(store, vec![delivery(event, identities)]).await.unwrap().pop().unwrap()
}

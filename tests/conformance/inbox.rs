//! The inbox: what is accepted, what is a duplicate, what waits, what is found.

use std::collections::BTreeSet;

use hillock::model::envelope::{Arrival, Event, Payload, Way};
use hillock::model::id::{EventId, WebhookId};
use hillock::model::scope::Scope;
use hillock::store::Store;
use hillock::store::events::{
    self, Accepted, EventFilter, EventSummary, accept, activate, find, waiting,
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
    let ids: BTreeSet<_> =
        answers.iter().map(|(Accepted::New(id) | Accepted::Duplicate(id))| id).collect();
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

async fn accept_one(store: &Store, event: Event, identities: &[[u8; 32]]) -> Accepted {
    accept(store, vec![delivery(event, identities)]).await.unwrap().pop().unwrap()
}

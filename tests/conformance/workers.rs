//! Workers' rows: who comes, who is heard of, who falls silent; each step done twice.

use hillock::model::definition::Agent;
use hillock::model::id::WorkerId;
use hillock::model::routing::Offer;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::model::worker::{Dismissal, Eligibility, Health, Presence, Worker};
use hillock::store::Store;
use hillock::store::workers::{
    self, Admission, Arrival, Change, Changed, Named, NewWorker, arrive, change, depart, heard,
    register, rotate, standings, sweep,
};

use super::fixture::{agent, at, identity, open, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    silence_makes_a_worker_degraded_then_offline,
    an_earlier_connection_changes_nothing,
    a_row_says_who_may_stay,
    a_heartbeat_says_whom_a_worker_serves_now,
);

fn ms(ms: i64) -> Time {
    Time::from_millis(at(0).as_millis() + ms).unwrap()
}

fn presence(id: &WorkerId, connection: &str, credential: Option<[u8; 32]>) -> Presence {
    Presence { worker_id: id.clone(), connection: connection.to_owned(), credential }
}

fn arrival(presence: &Presence) -> Arrival {
    Arrival {
        presence: presence.clone(),
        name: "one".to_owned(),
        agents: vec![agent()],
        capacity: 2,
        offer: Offer::default(),
    }
}

fn resized(capacity: u32) -> Changed {
    Changed { capacity: Some(capacity), ..Changed::default() }
}

async fn row(store: &Store, id: &WorkerId) -> Worker {
    match workers::find(store, &Scope::Global, id.as_str()).await.unwrap() {
        Named::One(worker) => *worker,
        other => panic!("{other:?}"),
    }
}

async fn silence_makes_a_worker_degraded_then_offline(database: Database) {
    let store = open(&database).await;
    let id = worker();
    let here = presence(&id, "a", None);
    assert_eq!(arrive(&store, arrival(&here), ms(0)).await.unwrap(), Ok(Eligibility::Eligible));
    for (after, wanted, gone) in [
        (44_999, Health::Online, 0),
        (45_000, Health::Degraded, 0),
        (89_999, Health::Degraded, 0),
        (90_000, Health::Offline, 1),
    ] {
        assert_eq!(sweep(&store, ms(after)).await.unwrap(), gone, "{after}");
        assert_eq!(sweep(&store, ms(after)).await.unwrap(), 0, "{after}, again");
        assert_eq!(row(&store, &id).await.health, wanted, "{after}");
    }
    for _ in 0..2 {
        let alive = heard(&store, &here, resized(7), ms(90_001)).await.unwrap();
        assert_eq!(alive, Ok(Eligibility::Eligible));
        let row = row(&store, &id).await;
        assert_eq!((row.health, row.capacity), (Health::Online, 7));
        assert_eq!(row.last_heartbeat_at, Some(ms(90_001)));
    }
    // One that drains falls silent like any other.
    change(&store, &Scope::Global, &id, Change::Drain, ms(90_002)).await.unwrap().unwrap();
    let said = heard(&store, &here, Changed::default(), ms(90_002)).await.unwrap();
    assert_eq!(said, Ok(Eligibility::Draining));
    assert_eq!(row(&store, &id).await.health, Health::Draining);
    sweep(&store, ms(135_002)).await.unwrap();
    assert_eq!(row(&store, &id).await.health, Health::Degraded);
    let said = heard(&store, &here, Changed::default(), ms(135_003)).await.unwrap();
    assert_eq!(said, Ok(Eligibility::Draining));
    assert_eq!(row(&store, &id).await.health, Health::Draining);
}

async fn an_earlier_connection_changes_nothing(database: Database) {
    let store = open(&database).await;
    let id = worker();
    let (early, late) = (presence(&id, "early", None), presence(&id, "late", None));
    for presence in [&early, &late] {
        assert_eq!(
            arrive(&store, arrival(presence), ms(0)).await.unwrap(),
            Ok(Eligibility::Eligible)
        );
    }
    let said = heard(&store, &early, resized(9), ms(5)).await.unwrap();
    assert_eq!(said, Err(Dismissal::Replaced));
    depart(&store, &early, ms(5)).await.unwrap();
    workers::leave(&store, &early).await.unwrap();
    let seen = row(&store, &id).await;
    assert_eq!((seen.health, seen.capacity, seen.draining), (Health::Online, 2, false));
    let all = standings(&store, &[early, late.clone()]).await.unwrap();
    assert_eq!(
        all,
        [(id.clone(), Err(Dismissal::Replaced)), (id.clone(), Ok(Eligibility::Eligible))]
    );
    for _ in 0..2 {
        depart(&store, &late, ms(6)).await.unwrap();
        assert_eq!(row(&store, &id).await.health, Health::Offline);
    }
}

async fn a_row_says_who_may_stay(database: Database) {
    let store = open(&database).await;
    let (id, hash, now) = (worker(), identity(), ms(0));
    let own = presence(&id, "a", Some(hash));
    assert_eq!(arrive(&store, arrival(&own), now).await.unwrap(), Err(Dismissal::Unknown));
    let new = NewWorker {
        id: id.clone(),
        name: "one".to_owned(),
        credential_hash: hash,
        credential_prefix: "hlk_wrk_000000".to_owned(),
    };
    let by = Admission::Administrator(Scope::Global);
    assert!(register(&store, new, by, now).await.unwrap().is_some());
    let scope = Scope::Global;
    let check = async |wanted: Result<Eligibility, Dismissal>| {
        let said = heard(&store, &own, Changed::default(), now).await.unwrap();
        assert_eq!(said, wanted);
        let seen = standings(&store, std::slice::from_ref(&own)).await.unwrap();
        assert_eq!(seen, [(id.clone(), wanted)]);
    };
    let make = async |wish: Change| change(&store, &scope, &id, wish, now).await.unwrap().unwrap();

    assert_eq!(arrive(&store, arrival(&own), now).await.unwrap(), Ok(Eligibility::Eligible));
    check(Ok(Eligibility::Eligible)).await;
    for (stop, go, wanted) in [
        (Change::Drain, Change::Undrain, Eligibility::Draining),
        (Change::Disable, Change::Enable, Eligibility::Disabled),
    ] {
        make(stop).await;
        check(Ok(wanted)).await;
        make(go).await;
        check(Ok(Eligibility::Eligible)).await;
    }
    make(Change::Reject).await;
    check(Err(Dismissal::Rejected)).await;
    assert_eq!(arrive(&store, arrival(&own), now).await.unwrap(), Err(Dismissal::Rejected));
    make(Change::Approve).await;
    check(Err(Dismissal::Replaced)).await;
    assert_eq!(arrive(&store, arrival(&own), now).await.unwrap(), Ok(Eligibility::Eligible));
    rotate(&store, &scope, &id, identity(), "hlk_wrk_000001", now).await.unwrap().unwrap();
    check(Err(Dismissal::Rotated)).await;
    assert_eq!(arrive(&store, arrival(&own), now).await.unwrap(), Err(Dismissal::Rotated));
    make(Change::Revoke).await;
    check(Err(Dismissal::Revoked)).await;
    assert_eq!(row(&store, &id).await.health, Health::Offline);
}

async fn a_heartbeat_says_whom_a_worker_serves_now(database: Database) {
    let store = open(&database).await;
    let acme = Scope::Workspace("acme".parse().unwrap());
    let (id, hash, now) = (worker(), identity(), ms(0));
    let own = presence(&id, "a", Some(hash));
    let new = NewWorker {
        id: id.clone(),
        name: "one".to_owned(),
        credential_hash: hash,
        credential_prefix: "hlk_wrk_000000".to_owned(),
    };
    let by = Admission::Administrator(acme.clone());
    assert!(register(&store, new, by, now).await.unwrap().is_some());
    let arrival = Arrival { agents: vec![], ..arrival(&own) };
    assert!(arrive(&store, arrival, now).await.unwrap().is_ok());
    let agent = agent();
    let of = |scope: &Scope| Agent { scope: scope.clone(), ..agent.clone() };
    let serves = async |agents: Vec<Agent>| {
        let changed = Changed { agents: Some(agents), ..Changed::default() };
        heard(&store, &own, changed, now).await.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(serves(vec![of(&acme)]).await, Ok(Eligibility::Eligible));
    }
    let refused = serves(vec![of(&acme), of(&Scope::Global)]).await;
    let outside = Dismissal::Outside { own: acme.clone(), agent: of(&Scope::Global) };
    assert_eq!(refused, Err(outside));
    let Named::One(row) = workers::find(&store, &acme, id.as_str()).await.unwrap() else {
        panic!("the worker is there")
    };
    assert_eq!(row.agents, [of(&acme)]);
}

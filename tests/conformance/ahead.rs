//! What a clock far ahead has left in the future: put right once the clock is, and nothing else.

use std::time::Duration;

use hillock::controllers::put_right;
use hillock::model::command::LEASE;
use hillock::model::decision::Verdict;
use hillock::model::definition::{Batching, FireLimit, Over, Retry};
use hillock::model::id::{ExtensionId, ReplicaId, TriggerId};
use hillock::model::run::{Ending, NewRun};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::controllers::{self, Begin, Turn};
use hillock::store::events::{self, Activation, activate};
use hillock::store::gatherings::{BatchMember, complete};
use hillock::store::source_states::{self, SourceState};
use hillock::store::{Store, commands};

use super::fixture::*;
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_retry_is_due_after_its_wait,
    what_was_gathered_is_due_after_its_window,
    a_lease_is_no_longer_than_a_lease,
    a_limit_counts_what_was_made_ahead_from_now_on,
    a_source_is_due_after_its_interval,
    an_event_is_taken_up,
    a_pass_that_began_ahead_keeps_nobody_from_the_next,
    another_hosts_clock_may_be_a_few_seconds_off,
);

/// By how much the clock was wrong.
const HOUR: Duration = Duration::from_secs(3600);

/// An instant as that clock said it.
fn wrong(secs: i64) -> Time {
    at(secs) + HOUR
}

/// What was put right at `now`, in words; and that a second look finds nothing.
async fn righted(store: &Store, now: Time) -> Vec<&'static str> {
    let right = put_right(store, now).await.unwrap();
    assert!(put_right(store, now).await.unwrap().is_empty(), "{right:?}");
    right.into_keys().collect()
}

async fn a_retry_is_due_after_its_wait(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let retry = Retry::Backoff { max_retries: 1, base_delay_ms: 20_000 };
    let made = |run: NewRun| NewRun { retry, created_at: wrong(0), ..run };
    let id = scheduled_as(&store, &agent, made).await;
    let held = claim(&store, &worker(), &agent, wrong(1)).await.unwrap();
    claims::finish(&store, &held, Ending::failed("no"), wrong(2)).await.unwrap();
    let due = run(&store, &id).await.due_at.unwrap();
    assert!(due > wrong(10));

    let right = righted(&store, at(5)).await;
    assert!(right.contains(&"commands") && right.contains(&"retries"), "{right:?}");
    let wait = due.since(wrong(2));
    assert_eq!(run(&store, &id).await.due_at, Some(at(5) + wait));
    assert!(claim(&store, &worker(), &agent, (at(5) + wait).before()).await.is_none());
    let again = claim(&store, &worker(), &agent, at(5) + wait).await.unwrap();
    assert_eq!((again.run_id, again.attempt), (id, 2));
}

async fn what_was_gathered_is_due_after_its_window(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let trigger_id = TriggerId::derive(&Scope::Global, "digest");
    let (window, key) = (Duration::from_secs(20), String::new());
    let gather = Batching::Debounce { key: None, window, max_wait: None };
    let held = vec![BatchMember { id: gathering_id(), trigger_id, key, gather }];
    let activation = Activation { held, at: wrong(0), ..activation(&id, vec![]) };
    activate(&store, activation).await.unwrap().unwrap();
    assert!(complete(&store, at(30), 9).await.unwrap().is_empty());
    assert_eq!(righted(&store, at(30)).await, ["gatherings"]);
    assert!(complete(&store, at(50).before(), 9).await.unwrap().is_empty());
    assert_eq!(complete(&store, at(50), 9).await.unwrap().len(), 1);
}

async fn a_lease_is_no_longer_than_a_lease(database: Database) {
    let store = open(&database).await;
    let (_, held) = claimed(&store, &agent(), wrong(0)).await;
    let now = at(10);
    let right = righted(&store, now).await;
    assert!(right.contains(&"leases") && right.contains(&"commands_out"), "{right:?}");
    let released = async |now| commands::release_expired(&store, now).await.unwrap();
    assert_eq!(released((now + LEASE).before()).await, 0);
    assert_eq!(released(now + LEASE).await, 1);
    let error = run(&store, &held.run_id).await.delivery_error.unwrap();
    assert!(error.0.contains("never acknowledged"), "{error:?}");
}

async fn a_limit_counts_what_was_made_ahead_from_now_on(database: Database) {
    let store = open(&database).await;
    let window = Duration::from_secs(20);
    let limit = FireLimit { max: 1, window, over: Over::Drop };
    let fire = async |now: Time| {
        let id = accepted(&store, event()).await;
        let made = NewRun { created_at: now, ..new_run(&Scope::Global, &id, "t", "triager") };
        let runs = vec![firing(made.clone(), Some(limit))];
        let activation = Activation { runs, at: now, ..activation(&id, vec![made]) };
        activate(&store, activation).await.unwrap().unwrap();
        events::decisions(&store, &id).await.unwrap().pop().unwrap().verdict
    };
    assert!(matches!(fire(wrong(0)).await, Verdict::Fired(_)));
    // Not an hour and a window from now.
    assert_eq!(fire(at(5)).await, Verdict::Limited(at(25)));
    assert!(righted(&store, at(6)).await.contains(&"runs"));
    assert_eq!(fire(at(7)).await, Verdict::Limited(at(26)));
    assert!(matches!(fire(at(26)).await, Verdict::Fired(_)));
}

async fn a_source_is_due_after_its_interval(database: Database) {
    let store = open(&database).await;
    let config = "extensions = [{ name = \"rss\" }]";
    let path = std::path::Path::new("hillock.toml");
    let overrides = hillock::config::Overrides::default();
    let config = hillock::config::Config::parse(config, path, &overrides).unwrap();
    hillock::store::definitions::sync(&store, config.declared, wrong(0)).await.unwrap().unwrap();
    let id: String = ExtensionId::derive(&Scope::Global, "rss").into();
    source_states::follow(&store, vec![id.clone()], wrong(0)).await.unwrap();
    let state = async || source_states::find(&store, &id).await.unwrap().unwrap();
    let (next_at, last_at) = (Some(wrong(310)), Some(wrong(10)));
    let polled = SourceState { next_at, set_at: last_at, last_at, ..state().await };
    source_states::commit(&store, &polled, &[]).await.unwrap().unwrap();
    assert_eq!(righted(&store, at(20)).await, ["definitions", "sources"]);
    let right = state().await;
    assert_eq!((right.next_at, right.last_at), (Some(at(320)), Some(at(20))));
    // A poll that was under way when the host died.
    let claimed = SourceState { next_at: Some(wrong(460)), set_at: Some(wrong(400)), ..right };
    source_states::commit(&store, &claimed, &[]).await.unwrap().unwrap();
    assert_eq!(righted(&store, at(30)).await, ["sources"]);
    assert_eq!(state().await.next_at, Some(at(90)));
}

async fn an_event_is_taken_up(database: Database) {
    let store = open(&database).await;
    let early =
        accepted(&store, hillock::model::envelope::Event { received_at: wrong(0), ..event() });
    let early = early.await;
    // In a few seconds by another clock: it is just being handed over.
    let close = hillock::model::envelope::Event { received_at: at(12), ..event() };
    accepted(&store, close).await;
    let waiting = async |until| {
        let none = std::collections::BTreeSet::new();
        let waiting = events::waiting(&store, 0, until, &none, 9).await.unwrap();
        waiting.into_iter().map(|(_, event)| event.unwrap().id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(waiting(at(5)).await, std::slice::from_ref(&early));
    assert_eq!(righted(&store, at(5)).await, ["events"]);
    let (_, event) = events::find(&store, &Scope::Global, &early).await.unwrap().unwrap();
    assert_eq!(event.received_at, at(5), "retention goes by it");
}

async fn a_pass_that_began_ahead_keeps_nobody_from_the_next(database: Database) {
    let store = open(&database).await;
    let turn = |replica: u8, now: Time| Turn {
        name: hillock::model::controller::ControllerName::Inbox,
        replica: ReplicaId::mint(at(0), [replica; 10]),
        now,
        until: now + LEASE,
        at_once: false,
    };
    assert_eq!(controllers::begin(&store, turn(1, wrong(0))).await.unwrap(), Begin::Begun);
    assert!(controllers::is_any_ahead(&store, at(1)).await.unwrap());
    assert_eq!(controllers::begin(&store, turn(2, at(1))).await.unwrap(), Begin::Begun);
    assert!(!controllers::is_any_ahead(&store, at(1)).await.unwrap());
    // Another host's clock may be a few seconds ahead.
    let held = controllers::begin(&store, turn(1, at(1))).await.unwrap();
    assert!(matches!(held, Begin::Held(_)), "{held:?}");
}

async fn another_hosts_clock_may_be_a_few_seconds_off(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let retry = Retry::Backoff { max_retries: 1, base_delay_ms: 20_000 };
    let made = |run: NewRun| NewRun { retry, created_at: at(5), ..run };
    let id = scheduled_as(&store, &agent, made).await;
    let held = claim(&store, &worker(), &agent, at(5)).await.unwrap();
    claims::finish(&store, &held, Ending::failed("no"), at(5)).await.unwrap();
    let due = run(&store, &id).await.due_at;
    assert!(put_right(&store, at(0)).await.unwrap().is_empty());
    assert_eq!(run(&store, &id).await.due_at, due);
}

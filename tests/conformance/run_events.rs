//! Events of runs: in order, once, only from who holds the command, and what they mean.

use hillock::model::activity::Cursor;
use hillock::model::id::RunId;
use hillock::model::redaction::Redaction;
use hillock::model::run::{Ending, Interaction, RunEvent};
use hillock::model::scope::Scope;
use hillock::model::secret::Secret;
use hillock::store::Store;
use hillock::store::activity::{self, Activity, Portion};
use hillock::store::commands::Fence;
use serde_json::{Value, json};

use super::fixture::{agent, at, claimed, open, token};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    events_are_kept_as_they_were_told,
    repeated_events_are_passed_over,
    only_the_holder_tells_events,
    a_question_waits_for_an_answer,
    a_result_is_the_runs,
    a_long_event_is_cut,
    too_many_events_are_marked_once,
    events_are_kept_without_secrets,
);

async fn events_are_kept_as_they_were_told(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let odd = json!({ "type": "odd", "nul": "\u{0}", "n": 1.5, "deep": [{ "é": "\"\\" }] });
    let events = vec![event("one", json!({ "type": "one" })), event("odd", odd.clone())];
    assert_eq!(tell(&store, &claim, 1, events).await, Fence::Held);
    let found = told(&store, &claim.run_id).await.events;
    assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((found[1].event.kind.as_str(), &found[1].event.data), ("odd", &odd));
    assert_eq!(found[1].event.at, at(5));
}

async fn repeated_events_are_passed_over(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    for (first, kinds, stored, fence) in [
        (1, &["a", "b"][..], &["a", "b"][..], Fence::Held),
        (1, &["a", "b"], &["a", "b"], Fence::Held),
        (2, &["b", "c"], &["a", "b", "c"], Fence::Held),
        (0, &["x"], &["a", "b", "c"], Fence::Lost),
        (5, &["x"], &["a", "b", "c"], Fence::Lost),
        (4, &["d"], &["a", "b", "c", "d"], Fence::Held),
    ] {
        let events = kinds.iter().map(|kind| event(kind, json!({}))).collect();
        assert_eq!(tell(&store, &claim, first, events).await, fence, "{kinds:?} from {first}");
        assert_eq!(kinds_of(&store, &claim.run_id).await, stored, "{kinds:?} from {first}");
    }
}

async fn only_the_holder_tells_events(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let events =
        || vec![event("result", json!({ "data": 1 })), event("waiting_for_input", json!({}))];
    let stranger = Held { token: token(), ..claim.clone() };
    assert_eq!(tell(&store, &stranger, 1, events()).await, Fence::Lost);
    claims::finish(&store, &claim, Ending::Completed, at(11)).await.unwrap();
    assert_eq!(tell(&store, &claim, 1, events()).await, Fence::Lost);
    let Activity { run, events, pending_inputs, .. } = told(&store, &claim.run_id).await;
    assert_eq!((events, pending_inputs), (vec![], vec![]));
    assert_eq!((run.result, run.interaction), (None, Interaction::Closed));
}

async fn a_question_waits_for_an_answer(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    claims::start(&store, &claim, at(10)).await.unwrap();
    let asking = json!({ "type": "waiting_for_input", "prompt": "Which one?\u{0}" });
    let events = vec![event("progress", json!({})), event("waiting_for_input", asking)];
    tell(&store, &claim, 1, events).await;
    // Said again, it asks once.
    tell(&store, &claim, 2, vec![event("waiting_for_input", json!({}))]).await;
    tell(&store, &claim, 3, vec![event("progress", json!({}))]).await;
    let Activity { run, pending_inputs, .. } = told(&store, &claim.run_id).await;
    assert_eq!(run.interaction, Interaction::WaitingForInput);
    let asked: Vec<_> = pending_inputs.iter().map(|p| (p.seq, p.prompt.as_deref())).collect();
    assert_eq!(asked, [(2, Some("Which one?\u{fffd}"))]);
    claims::finish(&store, &claim, Ending::Completed, at(11)).await.unwrap();
    let Activity { run, pending_inputs, .. } = told(&store, &claim.run_id).await;
    assert_eq!((run.interaction, pending_inputs), (Interaction::Closed, vec![]));
}

async fn a_result_is_the_runs(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let result = |data: Value| event("result", json!({ "type": "result", "data": data }));
    let wanted = json!({ "sum": 3, "of": ["a", null] });
    tell(&store, &claim, 1, vec![result(json!("draft")), result(wanted.clone())]).await;
    assert_eq!(told(&store, &claim.run_id).await.run.result, Some(wanted));
}

async fn a_long_event_is_cut(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let long = json!({ "type": "result", "data": "x".repeat(64 * 1024) });
    let bytes = long.to_string().len();
    tell(&store, &claim, 1, vec![event("result", long)]).await;
    let Activity { run, events, .. } = told(&store, &claim.run_id).await;
    let marker = json!(format!("… [cut: {bytes} bytes]"));
    assert_eq!(events[0].event.data, json!({ "type": "result", "data": marker }));
    assert_eq!(run.result, Some(marker));
}

async fn too_many_events_are_marked_once(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    for batch in 0..11 {
        let events = (0..1000).map(|_| event("tick", json!({}))).collect();
        assert_eq!(tell(&store, &claim, batch * 1000 + 1, events).await, Fence::Held);
    }
    let result = json!({ "data": "all the same" });
    assert_eq!(tell(&store, &claim, 11_001, vec![event("result", result)]).await, Fence::Held);
    let after = Cursor { events: 9_999, ..Cursor::default() };
    let Activity { run, events, .. } = told_after(&store, &claim.run_id, after).await;
    let found: Vec<_> = events.iter().map(|e| (e.seq, e.event.kind.as_str())).collect();
    assert_eq!(found, [(10_000, "tick"), (10_001, "host.cut")]);
    assert_eq!(run.result, Some(json!("all the same")));
}

async fn events_are_kept_without_secrets(database: Database) {
    let store = open(&database).await;
    let secret = Secret::new(b"correct-horse".to_vec()).unwrap();
    store.redact(Redaction::of([&secret]).unwrap());
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    claims::start(&store, &claim, at(10)).await.unwrap();
    let events = vec![
        event("a.correct-horse", json!({ "correct-horse": ["the correct-horse"] })),
        event("waiting_for_input", json!({ "prompt": "correct-horse?" })),
        event("result", json!({ "data": "correct-horse" })),
    ];
    tell(&store, &claim, 1, events).await;
    let Activity { run, events, pending_inputs, .. } = told(&store, &claim.run_id).await;
    assert_eq!(events[0].event.kind.as_str(), "a.redacted");
    assert_eq!(events[0].event.data, json!({ "[redacted]": ["the [redacted]"] }));
    assert_eq!(pending_inputs[0].prompt.as_deref(), Some("[redacted]?"));
    assert_eq!(run.result, Some(json!("[redacted]")));
}

fn event(kind: &str, data: Value) -> RunEvent {
    RunEvent { at: at(5), kind: kind.parse().unwrap(), data }
}

async fn tell(store: &Store, held: &Held, first: u64, events: Vec<RunEvent>) -> Fence {
    claims::tell(store, held, first, events, at(10)).await.unwrap()
}

async fn told(store: &Store, run: &RunId) -> Activity {
    told_after(store, run, Cursor::default()).await
}

async fn told_after(store: &Store, run: &RunId, after: Cursor) -> Activity {
    let portion = Portion { logs: 10, events: 10 };
    activity::read(store, &Scope::Global, run, after, portion).await.unwrap().unwrap()
}

async fn kinds_of(store: &Store, run: &RunId) -> Vec<String> {
    let events = told(store, run).await.events;
    events.into_iter().map(|event| event.event.kind.as_str().to_owned()).collect()
}

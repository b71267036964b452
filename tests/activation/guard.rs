//! Loops: events that runs caused.

use hillock::model::decision::Verdict;
use hillock::model::envelope::Event;
use hillock::model::run::Run;
use hillock::model::scope::Scope;
use serde_json::json;

use super::{Scene, event};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    an_event_too_deep_is_kept_and_not_activated,
    a_trigger_does_not_hear_itself,
    a_run_passes_on_its_past,
);

/// What the host makes of a run's end.
fn caused_by(run: &Run) -> Event {
    let mut causes = run.made.causes.clone();
    causes.push(run.made.id.to_string());
    Event { depth: run.made.depth + 1, causes, ..event(&json!({})) }
}

async fn an_event_too_deep_is_kept_and_not_activated(database: Database) {
    let triggers = json!([
        { "name": "a" },
        { "name": "b", "allow_self": true },
        { "name": "c", "enabled": false },
        { "name": "d", "batch": { "size": 2, "wait": "1h" } },
    ]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let at = async |depth| {
        let decided = scene.decide(Event { depth, ..event(&json!({})) }).await;
        decided.into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>()
    };
    let words = |found: &[Verdict]| found.iter().map(|v| v.outcome().as_str()).collect::<Vec<_>>();
    assert_eq!(words(&at(7).await), ["fired", "fired", "disabled", "held"]);
    for depth in [8, 9] {
        let found = at(depth).await;
        assert_eq!(words(&found), ["loop_guard", "loop_guard", "disabled", "loop_guard"]);
        assert!(found[0].reason().unwrap().starts_with(&depth.to_string()), "{found:?}");
    }
    assert_eq!((database.count("events").await, database.count("runs").await), (3, 2));
}

async fn a_trigger_does_not_hear_itself(database: Database) {
    let triggers = json!([{ "name": "deaf" }, { "name": "fond", "allow_self": true }]);
    let scene = Scene::of_triggers(&database, triggers).await;
    let runs = scene.decide(event(&json!({}))).await;
    let (deaf, fond) = (runs[0].1.run_id().unwrap(), runs[1].1.run_id().unwrap());
    let (deaf, fond) = (scene.run(deaf).await, scene.run(fond).await);

    let own = scene.decide(caused_by(&deaf)).await;
    let Verdict::LoopGuard(why) = &own[0].1 else { panic!("{own:?}") };
    assert!(why.contains("allow_self"), "{why}");
    assert!(own[1].1.run_id().is_some());
    // Through the run of another.
    let through = scene.run(own[1].1.run_id().unwrap()).await;
    let far = scene.decide(caused_by(&through)).await;
    assert!(matches!(far[0].1, Verdict::LoopGuard(_)), "{far:?}");
    // What another trigger alone has caused is news.
    let others = scene.decide(caused_by(&fond)).await;
    assert!(others.iter().all(|(_, verdict)| verdict.run_id().is_some()), "{others:?}");
    // A run of another workspace is nobody's here.
    let elsewhere = Event { scope: Scope::parse("acme").unwrap(), ..caused_by(&deaf) };
    assert!(scene.decide(elsewhere).await.is_empty());
}

async fn a_run_passes_on_its_past(database: Database) {
    let scene = Scene::of_triggers(&database, json!([{ "name": "t", "allow_self": true }])).await;
    let mut run = scene.fired(event(&json!({}))).await;
    let mut past = vec![];
    for depth in 0..8 {
        assert_eq!((run.made.depth, &run.made.causes), (depth, &past));
        past.push(run.made.id.to_string());
        let next = caused_by(&run);
        if depth < 7 {
            run = scene.fired(next).await;
        } else {
            assert_eq!(scene.outcomes(next).await, [("t".to_owned(), "loop_guard")]);
        }
    }
}

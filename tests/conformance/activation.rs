//! Activation: an event's decisions and runs, once.

use hillock::model::decision::{Decision, Verdict};
use hillock::model::id::TriggerId;
use hillock::model::run::RunStatus;
use hillock::model::scope::Scope;
use hillock::store::events::{self, Activation, activate};
use hillock::store::runs;

use super::fixture::{
    accepted, activation, agent, at, claim, event, event_id, new_run, open, run, run_id, scope,
    worker,
};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    decisions_are_kept_by_trigger,
    a_fired_trigger_makes_a_run_with_a_command,
    the_second_activation_changes_nothing,
    rivals_make_one_run,
    an_activation_goes_whole_or_not_at_all,
    nul_characters_are_replaced,
    a_runs_owner_is_found_by_its_id,
);

async fn decisions_are_kept_by_trigger(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let verdicts = [
        ("a", Verdict::Fired(run_id())),
        ("b", Verdict::Filtered("data.action is `closed`, not `opened`".to_owned())),
        ("c", Verdict::Disabled),
        ("d", Verdict::RenderError("data.x is missing".to_owned())),
        ("e", Verdict::ComponentError("exceeded its time limit (1000 ms)".to_owned())),
    ];
    let decisions = verdicts.clone().map(|(name, verdict)| decision(name, verdict));
    let decisions = decisions.into_iter().rev().collect();
    let activation = Activation { decisions, ..activation(&id, vec![]) };
    assert_eq!(activate(&store, activation).await.unwrap(), Some(0));
    let found = events::decisions(&store, &id).await.unwrap();
    for (decision, (name, verdict)) in found.iter().zip(&verdicts) {
        assert_eq!((decision.trigger.as_str(), &decision.verdict), (*name, verdict));
        assert_eq!(decision.trigger_id, TriggerId::derive(&Scope::Global, name));
        assert_eq!(decision.at, at(4));
    }
    assert_eq!(found.len(), verdicts.len());
    assert!(events::decisions(&store, &event_id()).await.unwrap().is_empty());
}

async fn a_fired_trigger_makes_a_run_with_a_command(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = accepted(&store, event()).await;
    let made = new_run(&Scope::Global, &id, "triage", agent.name.as_str());
    assert_eq!(activate(&store, activation(&id, vec![made.clone()])).await.unwrap(), Some(1));

    let found = run(&store, &made.id).await;
    assert_eq!(format!("{:?}", found.made), format!("{made:?}"));
    assert_eq!((found.status, found.attempt), (RunStatus::Scheduled, 0));
    assert_eq!((found.started_at, found.ended_at, found.error), (None, None, None));
    let claim = claim(&store, &worker(), &agent, at(10)).await.unwrap();
    assert_eq!((&claim.run_id, claim.attempt, &claim.prompt), (&made.id, 1, &made.prompt));
    assert_eq!((claim.scope, claim.agent), (Scope::Global, agent.name));
}

async fn the_second_activation_changes_nothing(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let again = || activation(&id, vec![new_run(&Scope::Global, &id, "triage", "triager")]);
    assert_eq!(activate(&store, again()).await.unwrap(), Some(1));
    assert_eq!(activate(&store, again()).await.unwrap(), None);
    assert_eq!(activate(&store, activation(&event_id(), vec![])).await.unwrap(), None);
    for table in ["runs", "commands", "decisions"] {
        assert_eq!(database.count(table).await, 1, "{table}");
    }
}

async fn rivals_make_one_run(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let rivals = (0..8).map(|_| {
        activate(&store, activation(&id, vec![new_run(&Scope::Global, &id, "triage", "triager")]))
    });
    let answers = futures_util::future::join_all(rivals).await;
    let won = answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_some()).count();
    assert_eq!((won, database.count("runs").await), (1, 1));
}

async fn an_activation_goes_whole_or_not_at_all(database: Database) {
    let store = open(&database).await;
    let (one, two) = (accepted(&store, event()).await, accepted(&store, event()).await);
    let taken = new_run(&Scope::Global, &one, "triage", "triager");
    assert_eq!(activate(&store, activation(&one, vec![taken.clone()])).await.unwrap(), Some(1));

    let good = new_run(&Scope::Global, &two, "review", "triager");
    let bad = activation(&two, vec![good.clone(), taken]);
    activate(&store, bad).await.expect_err("the second run's id is taken");
    assert_eq!((database.count("runs").await, database.count("commands").await), (1, 1));
    assert!(events::decisions(&store, &two).await.unwrap().is_empty());
    assert_eq!(activate(&store, activation(&two, vec![good])).await.unwrap(), Some(1));
}

/// JSON may carry them in any text, and PostgreSQL stores them in none.
async fn nul_characters_are_replaced(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let mut fired = new_run(&Scope::Global, &id, "triage", "triager");
    fired.prompt = "look\0here".to_owned();
    let mut activation = activation(&id, vec![fired.clone()]);
    activation.decisions.push(decision("review", Verdict::Filtered("is `\0`".to_owned())));
    assert_eq!(activate(&store, activation).await.unwrap(), Some(1));
    assert_eq!(run(&store, &fired.id).await.made.prompt, "look\u{fffd}here");
    let decisions = events::decisions(&store, &id).await.unwrap();
    assert_eq!(decisions[0].verdict, Verdict::Filtered("is `\u{fffd}`".to_owned()));
}

fn decision(trigger: &str, verdict: Verdict) -> Decision {
    Decision {
        trigger_id: TriggerId::derive(&Scope::Global, trigger),
        trigger: trigger.parse().unwrap(),
        verdict,
        at: at(4),
    }
}

async fn a_runs_owner_is_found_by_its_id(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let [one, two] = ["a", "b"].map(|name| new_run(&Scope::Global, &id, name, "triager"));
    activate(&store, activation(&id, vec![one.clone(), two.clone()])).await.unwrap();
    let ids = [one.id.to_string(), id.to_string(), run_id().to_string(), "no id".to_owned()];
    let owners = async |scope, ids: &[String]| runs::owners(&store, scope, ids).await.unwrap();
    let found = owners(&Scope::Global, &ids).await;
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [one.owner.id()]);
    assert_eq!(owners(&Scope::Global, &[two.id.to_string(), one.id.to_string()]).await.len(), 2);
    assert!(owners(&scope("acme"), &ids).await.is_empty());
}

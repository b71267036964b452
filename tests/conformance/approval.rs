//! Commands that somebody has to approve first.

use std::time::Duration;

use hillock::model::command::{Command, CommandState};
use hillock::model::definition::Agent;
use hillock::model::id::{CommandId, RunId};
use hillock::model::policy::{Ask, Policy};
use hillock::model::run::RunStatus;
use hillock::model::scope::Scope;
use hillock::store::commands::{self, CommandFilter, Decided, Decision};
use hillock::store::{Store, classes};

use super::fixture::{agent, at, claim, first_page, open, run, scheduled_as, scope, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    an_approved_command_goes_out_and_waits_as_long_as_another,
    a_denied_command_takes_its_run_along,
    who_asks_once_asks_for_each_class_once,
    nobody_decides_for_another_workspace,
);

/// A run whose policy asks like this, and its command.
async fn asked(store: &Store, agent: &Agent, ask: Ask) -> (RunId, CommandId) {
    let run_id = scheduled_as(store, agent, |mut run| {
        run.terms.policy = Some(Policy { ask, ..Policy::default() });
        run.terms.queue_timeout_ms = None;
        run
    })
    .await;
    let command = of_run(store, &agent.scope, &run_id).await;
    (run_id, command.id)
}

async fn of_run(store: &Store, scope: &Scope, run_id: &RunId) -> Command {
    let filter = CommandFilter { run_id: Some(run_id.clone()), ..CommandFilter::default() };
    commands::list(store, scope, &filter, first_page(10)).await.unwrap().items.pop().unwrap()
}

async fn decide(store: &Store, id: &CommandId, decision: Decision, secs: i64) -> Option<Decided> {
    commands::decide(store, &Scope::Global, id, decision, at(secs)).await.unwrap()
}

async fn state(store: &Store, id: &CommandId) -> CommandState {
    commands::find(store, &Scope::Global, id).await.unwrap().unwrap().state
}

async fn an_approved_command_goes_out_and_waits_as_long_as_another(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (run_id, id) = asked(&store, &agent, Ask::Always).await;
    assert_eq!(state(&store, &id).await, CommandState::Blocked);
    assert!(claim(&store, &worker(), &agent, at(10)).await.is_none());
    assert_eq!(decide(&store, &id, Decision::Approve, 1000).await, Some(Decided::Done));
    let command = of_run(&store, &Scope::Global, &run_id).await;
    assert_eq!(command.expires_at, Some(at(1000) + Duration::from_secs(60 * 60)));
    let again = decide(&store, &id, Decision::Deny, 1001).await;
    assert_eq!(again, Some(Decided::NotBlocked(CommandState::Pending)));
    assert_eq!(claim(&store, &worker(), &agent, at(1001)).await.unwrap().run_id, run_id);

    let (_, next) = asked(&store, &agent, Ask::Always).await;
    assert_eq!(state(&store, &next).await, CommandState::Blocked, "it asks each time");
}

async fn a_denied_command_takes_its_run_along(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (run_id, id) = asked(&store, &agent, Ask::OnMiss).await;
    assert_eq!(decide(&store, &id, Decision::Deny, 10).await, Some(Decided::Done));
    assert_eq!(state(&store, &id).await, CommandState::Canceled);
    let run = run(&store, &run_id).await;
    assert_eq!((run.status, run.ended_at), (RunStatus::Canceled, Some(at(10))));
    assert!(run.error.unwrap().starts_with("denied"));
    let again = decide(&store, &id, Decision::Approve, 11).await;
    assert_eq!(again, Some(Decided::NotBlocked(CommandState::Canceled)));
    let (_, next) = asked(&store, &agent, Ask::OnMiss).await;
    assert_eq!(state(&store, &next).await, CommandState::Blocked, "a denial is not remembered");
}

async fn who_asks_once_asks_for_each_class_once(database: Database) {
    let store = open(&database).await;
    let (one, other) = (agent(), agent());
    let (_, first) = asked(&store, &one, Ask::OnMiss).await;
    let (_, second) = asked(&store, &one, Ask::OnMiss).await;
    let (_, elsewhere) = asked(&store, &other, Ask::OnMiss).await;
    let (_, stricter) = asked(&store, &one, Ask::Always).await;
    assert_eq!(decide(&store, &second, Decision::Approve, 10).await, Some(Decided::Done));
    let (_, third) = asked(&store, &one, Ask::OnMiss).await;
    for (id, wanted) in [
        (&first, CommandState::Pending),
        (&second, CommandState::Pending),
        (&third, CommandState::Pending),
        (&elsewhere, CommandState::Blocked),
        (&stricter, CommandState::Blocked),
    ] {
        assert_eq!(state(&store, id).await, wanted, "{id}");
    }
    let classes = classes::list(&store, &Scope::Global, 10).await.unwrap();
    let approved: Vec<_> = classes.iter().filter_map(|class| class.approved_at).collect();
    assert_eq!(approved, [at(10)]);
}

async fn nobody_decides_for_another_workspace(database: Database) {
    let store = open(&database).await;
    let agent = Agent { scope: scope("acme"), name: agent().name };
    let (_, id) = asked(&store, &agent, Ask::Always).await;
    assert_eq!(decide(&store, &id, Decision::Approve, 10).await, None);
    let called_off = commands::call_off(&store, &scope("umbrella"), &id, at(10)).await.unwrap();
    assert_eq!(called_off, None);
    assert!(commands::find(&store, &Scope::Global, &id).await.unwrap().is_none());
    let standing = commands::standing(&store, &Scope::Global, &id, 0, at(10)).await.unwrap();
    assert_eq!(standing, None);
    let command = commands::find(&store, &agent.scope, &id).await.unwrap().unwrap();
    assert_eq!(command.state, CommandState::Blocked);
}

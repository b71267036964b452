//! Runs: found in their own workspace, listed by what they are.

use hillock::model::run::{OwnerKind, RunStatus};
use hillock::model::scope::Scope;
use hillock::store::commands::cancel;
use hillock::store::events::activate;
use hillock::store::runs::{RunFilter, find, list};

use super::fixture::{
    accepted, activation, at, event, event_in, first_page, new_run, open, run_id, scope,
};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    another_workspaces_run_does_not_exist,
    runs_are_listed_by_status_trigger_and_event,
    triggers_of_one_name_in_two_workspaces_are_two,
);

async fn another_workspaces_run_does_not_exist(database: Database) {
    let store = open(&database).await;
    let acme = scope("acme");
    let event_id = accepted(&store, event_in(&acme)).await;
    let made = new_run(&acme, &event_id, "triage", "triager");
    activate(&store, activation(&event_id, vec![made.clone()])).await.unwrap();
    for (workspace, found) in [("acme", true), ("umbrella", false), ("", false)] {
        let scope = scope(workspace);
        assert_eq!(find(&store, &scope, &made.id).await.unwrap().is_some(), found, "{workspace}");
        let page = list(&store, &scope, &RunFilter::default(), first_page(10)).await.unwrap();
        assert_eq!(page.items.len(), usize::from(found), "{workspace}");
    }
    assert!(find(&store, &acme, &run_id()).await.unwrap().is_none());
}

async fn runs_are_listed_by_status_trigger_and_event(database: Database) {
    let store = open(&database).await;
    let (one, two) = (accepted(&store, event()).await, accepted(&store, event()).await);
    let run = |event_id, trigger| new_run(&Scope::Global, event_id, trigger, "triager");
    let runs = [run(&one, "a"), run(&one, "b"), run(&two, "a")];
    let ids = runs.clone().map(|run| run.id);
    let made = runs[0].created_at;
    let later = made + std::time::Duration::from_millis(1);
    activate(&store, activation(&one, runs[..2].to_vec())).await.unwrap();
    activate(&store, activation(&two, runs[2..].to_vec())).await.unwrap();
    cancel(&store, &Scope::Global, &ids[0], at(9)).await.unwrap();

    let id = |i: usize| Some(runs[i].owner.id().to_owned());
    let all = RunFilter::default;
    for (filter, wanted) in [
        (all(), &[2, 1, 0][..]),
        (RunFilter { status: Some(RunStatus::Scheduled), ..all() }, &[2, 1]),
        (RunFilter { status: Some(RunStatus::Canceled), ..all() }, &[0]),
        (RunFilter { owner_id: id(0), ..all() }, &[2, 0]),
        (RunFilter { event_id: Some(one), ..all() }, &[1, 0]),
        (
            RunFilter {
                event_id: Some(two),
                owner_id: id(1),
                status: Some(RunStatus::Scheduled),
                owner_kind: Some(OwnerKind::Trigger),
                ..all()
            },
            &[],
        ),
        (RunFilter { agent: Some("triager".parse().unwrap()), ..all() }, &[2, 1, 0]),
        (RunFilter { agent: Some("other".parse().unwrap()), ..all() }, &[]),
        (RunFilter { since: Some(made), until: Some(made), ..all() }, &[]),
        (RunFilter { since: Some(made), ..all() }, &[2, 1, 0]),
        (RunFilter { until: Some(later), ..all() }, &[2, 1, 0]),
        (RunFilter { since: Some(later), ..all() }, &[]),
        (RunFilter { exclude: vec!["canceled".into()], ..all() }, &[2, 1]),
        (RunFilter { exclude: vec!["trigger".into()], ..all() }, &[]),
        (RunFilter { exclude: vec![runs[1].owner.id().into()], ..all() }, &[2, 0]),
    ] {
        let page = list(&store, &Scope::Global, &filter, first_page(10)).await.unwrap();
        let found: Vec<_> = page.items.into_iter().map(|run| run.made.id).collect();
        let wanted: Vec<_> = wanted.iter().map(|&i| ids[i].clone()).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
}

async fn triggers_of_one_name_in_two_workspaces_are_two(database: Database) {
    let store = open(&database).await;
    for workspace in ["acme", "umbrella"] {
        let scope = scope(workspace);
        let event_id = accepted(&store, event_in(&scope)).await;
        let run = new_run(&scope, &event_id, "triage", "triager");
        assert_eq!(activate(&store, activation(&event_id, vec![run])).await.unwrap(), Some(1));
    }
    assert_eq!(database.count("runs").await, 2);
}

//! Where commands stand in line, what is listed of them, and how many there are.

use hillock::model::command::{CommandState, CommandType};
use hillock::model::definition::{Agent, Priority};
use hillock::model::id::{CommandId, RunId};
use hillock::model::run::{Ending, NewRun, SessionRef};
use hillock::model::scope::Scope;
use hillock::store::commands::{self, CommandFilter, Standing, Stats};
use hillock::store::{PageRequest, Store};

use super::fixture::{agent, at, claim, first_page, open, scheduled, scheduled_as, scope, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    the_place_is_that_of_the_claim,
    what_cannot_go_out_has_no_place,
    recent_commands_say_how_long_one_takes,
    commands_are_listed_by_what_is_asked,
    stats_count_every_state_of_a_workspace,
);

async fn command_of(store: &Store, scope: &Scope, run_id: &RunId) -> CommandId {
    let filter = CommandFilter { run_id: Some(run_id.clone()), ..CommandFilter::default() };
    let page = commands::list(store, scope, &filter, first_page(9)).await.unwrap();
    page.items[0].id.clone()
}

async fn standing(store: &Store, run_id: &RunId, secs: i64) -> Standing {
    let id = command_of(store, &Scope::Global, run_id).await;
    commands::standing(store, &Scope::Global, &id, 0, at(secs)).await.unwrap().unwrap()
}

async fn end(store: &Store, held: &Held, ending: Ending, secs: i64) {
    claims::finish(store, held, ending, at(secs)).await.unwrap();
}

async fn the_place_is_that_of_the_claim(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    scheduled(&store, &super::fixture::agent()).await;
    let mut made = vec![];
    for (minute, priority) in [
        (0, Priority::Low),
        (30, Priority::Normal),
        (60, Priority::Normal),
        (90, Priority::High),
        (195, Priority::Critical),
        (199, Priority::High),
    ] {
        let run = scheduled_as(&store, &agent, |mut run: NewRun| {
            run.terms.queue_timeout_ms = Some(100 * 3_600_000);
            NewRun { priority, created_at: at(60 * minute), ..run }
        });
        made.push(run.await);
    }
    for minute in [199, 200, 230, 500] {
        let mut places = vec![];
        for run in &made {
            let standing = standing(&store, run, 60 * minute).await;
            assert_eq!(standing.total, 6);
            places.push((standing.position.unwrap(), run.clone()));
        }
        places.sort();
        let numbers: Vec<u32> = places.iter().map(|(place, _)| *place).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        // Claimed in this order, and put back.
        let mut held = vec![];
        for (place, run) in &places {
            let claim = claim(&store, &worker(), &agent, at(60 * minute)).await.unwrap();
            assert_eq!(claim.run_id, *run, "place {place} at minute {minute}");
            held.push(claim);
        }
        for one in held {
            let now = at(60 * minute);
            claims::hand_back(&store, &one, now).await.unwrap();
        }
    }
}

async fn what_cannot_go_out_has_no_place(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let session = SessionRef::of(&Scope::Global, "talk".parse().unwrap());
    let mut talk = vec![];
    for _ in 0..2 {
        let run = scheduled_as(&store, &agent, |mut run| {
            run.terms.session = Some(session.clone());
            run
        });
        talk.push(run.await);
    }
    let first = standing(&store, &talk[0], 10).await;
    assert_eq!((first.position, first.total, first.behind_session), (Some(1), 1, false));
    let second = standing(&store, &talk[1], 10).await;
    assert_eq!((second.position, second.total, second.behind_session), (None, 1, true));
    claim(&store, &worker(), &agent, at(10)).await.unwrap();
    let second = standing(&store, &talk[1], 10).await;
    assert_eq!((second.position, second.total, second.behind_session), (None, 0, true));
    assert_eq!((second.class_active, second.workspace_active, second.host_active), (1, 1, 1));
}

async fn recent_commands_say_how_long_one_takes(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    for took in [10, 30] {
        scheduled(&store, &agent).await;
        let held = claim(&store, &worker(), &agent, at(10)).await.unwrap();
        claims::start(&store, &held, at(20)).await.unwrap();
        end(&store, &held, Ending::Completed, 20 + took).await;
    }
    scheduled(&store, &agent).await;
    let held = claim(&store, &worker(), &agent, at(10)).await.unwrap();
    end(&store, &held, Ending::failed("at once"), 10).await;
    let waits = scheduled(&store, &agent).await;
    let standing = standing(&store, &waits, 10).await;
    assert_eq!((standing.mean_ms, standing.failures), (Some(20_000), 1));
    let other = scheduled(&store, &super::fixture::agent()).await;
    assert_eq!(self::standing(&store, &other, 10).await.mean_ms, None);
}

async fn commands_are_listed_by_what_is_asked(database: Database) {
    let store = open(&database).await;
    let (one, other) = (agent(), agent());
    let runs = [
        scheduled(&store, &one).await,
        scheduled(&store, &one).await,
        scheduled(&store, &other).await,
    ];
    let held = claim(&store, &worker(), &one, at(10)).await.unwrap();
    commands::cancel(&store, &Scope::Global, &held.run_id, at(10)).await.unwrap();
    let list = async |filter: CommandFilter| -> Vec<(CommandType, Option<RunId>)> {
        let page = commands::list(&store, &Scope::Global, &filter, first_page(9)).await.unwrap();
        page.items.into_iter().map(|one| (one.kind, one.run_id)).collect()
    };
    let run = |n: usize| (CommandType::Run, Some(runs[n].clone()));
    let word = (CommandType::Cancel, Some(runs[0].clone()));
    let all = CommandFilter::default();
    assert_eq!(list(all.clone()).await, [word.clone(), run(2), run(1), run(0)]);
    let pending = CommandFilter { state: Some(CommandState::Pending), ..all.clone() };
    assert_eq!(list(pending.clone()).await, [word.clone(), run(2), run(1)]);
    let of_agent = CommandFilter { agent: Some(one.name.clone()), ..all.clone() };
    assert_eq!(list(of_agent).await, [run(1), run(0)]);
    let of_type = CommandFilter { kind: Some(CommandType::Run), ..pending };
    assert_eq!(list(of_type).await, [run(2), run(1)]);
    let of_run = CommandFilter { run_id: Some(runs[0].clone()), ..all.clone() };
    assert_eq!(list(of_run).await, [word, run(0)]);

    let page = commands::list(&store, &Scope::Global, &all, first_page(3)).await.unwrap();
    let next = PageRequest::new(3, page.next_cursor.as_deref()).unwrap();
    let rest = commands::list(&store, &Scope::Global, &all, next).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.next_cursor), (3, 1, None));
    let shown = commands::find(&store, &Scope::Global, &held.id).await.unwrap().unwrap();
    assert_eq!(shown.token_prefix.as_deref(), Some(held.token.prefix()));
    assert_eq!(shown.queue.unwrap().agent, one.name);
}

async fn stats_count_every_state_of_a_workspace(database: Database) {
    let store = open(&database).await;
    let agent = Agent { scope: scope("acme"), name: agent().name };
    for _ in 0..6 {
        scheduled(&store, &agent).await;
    }
    scheduled(&store, &Agent { scope: scope("umbrella"), ..agent.clone() }).await;
    let mut held = vec![];
    for _ in 0..5 {
        held.push(claim(&store, &worker(), &agent, at(10)).await.unwrap());
    }
    claims::acknowledge(&store, &held[0], at(10)).await.unwrap();
    claims::start(&store, &held[1], at(10)).await.unwrap();
    end(&store, &held[2], Ending::Completed, 11).await;
    end(&store, &held[3], Ending::failed("x"), 11).await;
    end(&store, &held[4], Ending::Canceled, 11).await;
    let stats = commands::stats(&store, &agent.scope).await.unwrap();
    let wanted = Stats {
        total: 6,
        blocked: 0,
        pending: 1,
        running: 2,
        completed: 1,
        failed: 1,
        canceled: 1,
        expired: 0,
    };
    assert_eq!(stats, wanted);
    let late = at(400 * 24 * 60 * 60);
    assert_eq!(commands::expire(&store, late).await.unwrap(), 2, "the other workspace's, too");
    let stats = commands::stats(&store, &agent.scope).await.unwrap();
    assert_eq!(stats, Stats { pending: 0, expired: 1, ..wanted });
}

//! The order of claims: the formula of `model::queue`, held against what the statement chooses.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use hillock::model::definition::{Agent, Priority};
use hillock::model::id::RunId;
use hillock::model::queue::{AGEING_MAX, Queue, score};
use hillock::model::run::{Ending, NewRun};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::ClaimableQueue;
use hillock::store::{Store, queues};

use super::fixture::{agent, at, open, scheduled_as, scope, token, tokens, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    claims_follow_the_formula,
    nothing_starves_behind_what_is_more_urgent,
    sixteen_claimants_share_a_queue_in_order,
);

const MINUTE: Duration = Duration::from_secs(60);
/// Nothing here expires.
const PATIENCE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

async fn waiting(store: &Store, agent: &Agent, priority: Priority, at: Time) -> RunId {
    scheduled_as(store, agent, |mut run: NewRun| {
        run.terms.queue_timeout_ms = Some(PATIENCE_MS);
        NewRun { priority, created_at: at, ..run }
    })
    .await
}

async fn claim(
    store: &Store,
    agents: &[Agent],
    now: Time,
    bonus: impl Fn(&Scope) -> i64,
) -> Option<Held> {
    let lot = |queue: Queue| ClaimableQueue { bonus: bonus(&queue.scope), ..claims::lot(queue) };
    claims::claim_of(store, &worker(), agents, vec![token()], u32::MAX, now, lot).await.pop()
}

/// Dice that fall the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A command as the model sees it, in the order in which they were made.
struct Modeled {
    run: RunId,
    scope: Scope,
    priority: Priority,
    made: Time,
}

/// The best of those that wait, by the module's own words: overdue first, then by score, then by age.
fn best(waiting: &[Modeled], active: &HashMap<Scope, u32>, now: Time) -> usize {
    let rank = |(place, one): (usize, &Modeled)| {
        let waited = now.since(one.made);
        let out = active.get(&one.scope).copied().unwrap_or(0);
        let overdue = waited >= AGEING_MAX;
        let score = if overdue { 0 } else { score(one.priority, bonus(&one.scope), waited, out) };
        (!overdue, -score, place)
    };
    waiting.iter().enumerate().map(rank).min().unwrap().2
}

fn bonus(scope: &Scope) -> i64 {
    if *scope == Scope::Global { 0 } else { 130 }
}

async fn claims_follow_the_formula(database: Database) {
    const COMMANDS: usize = 14;
    let store = open(&database).await;
    for seed in 1..=12 {
        let mut dice = Dice(seed);
        let names = [agent().name, agent().name];
        let agents: Vec<Agent> = ["", "acme"]
            .into_iter()
            .flat_map(|of| names.clone().map(|name| Agent { scope: scope(of), name }))
            .collect();
        let (mut now, mut modeled) = (at(3600 * 24 * 10 * seed as i64), vec![]);
        for _ in 0..COMMANDS {
            now = now + Duration::from_secs(dice.roll(40 * 60));
            let agent = &agents[dice.roll(4) as usize];
            let priorities = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];
            let priority = priorities[dice.roll(4) as usize];
            let run = waiting(&store, agent, priority, now).await;
            modeled.push(Modeled { run, scope: agent.scope.clone(), priority, made: now });
        }
        let (mut active, mut out) = (HashMap::<Scope, u32>::new(), vec![]);
        while !modeled.is_empty() {
            now = now + Duration::from_secs(dice.roll(30 * 60));
            let wanted = modeled.remove(best(&modeled, &active, now));
            let held = claim(&store, &agents, now, bonus).await.unwrap();
            assert_eq!(held.run_id, wanted.run, "seed {seed}, {} left", modeled.len());
            *active.entry(wanted.scope).or_default() += 1;
            out.push(held);
            if dice.roll(3) == 0 {
                let held: Held = out.swap_remove(dice.roll(out.len() as u64) as usize);
                finish(&store, &held, now).await;
                *active.get_mut(&held.scope).unwrap() -= 1;
            }
        }
        for held in out {
            finish(&store, &held, now).await;
        }
    }
}

async fn finish(store: &Store, held: &Held, now: Time) {
    claims::finish(store, held, Ending::Completed, now).await.unwrap();
}

async fn nothing_starves_behind_what_is_more_urgent(database: Database) {
    let store = open(&database).await;
    let agents = [agent()];
    let patient = waiting(&store, &agents[0], Priority::Low, at(0)).await;
    for minute in 0.. {
        assert!(minute <= 38, "it should have been claimed");
        let now = at(0) + MINUTE * minute;
        waiting(&store, &agents[0], Priority::Critical, now).await;
        let held = claim(&store, &agents, now, |_| 0).await.unwrap();
        finish(&store, &held, now).await;
        if held.run_id == patient {
            assert_eq!(minute, 38, "as soon as it has gained more than the difference");
            return;
        }
    }
}

async fn sixteen_claimants_share_a_queue_in_order(database: Database) {
    const COMMANDS: usize = 320;
    let store = open(&database).await;
    let agents = [agent()];
    let mut made = vec![];
    for _ in 0..COMMANDS {
        made.push(waiting(&store, &agents[0], Priority::Normal, at(3)).await);
    }
    assert_eq!(queues::waited_on(&store).await.unwrap().len(), 1);
    let claimants = (0..16).map(async |_| {
        let (worker, mut claimed) = (worker(), vec![]);
        loop {
            let some = claims::claim(&store, &worker, &agents, tokens(3), u32::MAX, at(10)).await;
            if some.is_empty() {
                return claimed;
            }
            claimed.extend(some.into_iter().map(|held| held.run_id));
        }
    });
    let claimed = futures_util::future::join_all(claimants).await;
    let place = |run: &RunId| made.iter().position(|other| other == run).unwrap();
    for own in &claimed {
        assert!(own.is_sorted_by_key(place), "each gets what is next: {own:?}");
    }
    let all: Vec<RunId> = claimed.concat();
    assert_eq!(all.len(), COMMANDS);
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), made.iter().collect());
}

//! The commands, and what has become of them, straight from the store.

use std::collections::BTreeMap;

use hillock::clock::Clock;
use hillock::model::content::Content;
use hillock::model::definition::{Priority, Retry};
use hillock::model::id::{RunId, TriggerId};
use hillock::model::run::{NewRun, Owner, Run, RunStatus, Stages, Terms};
use hillock::model::scope::Scope;
use hillock::store::firing::{self, Firing};
use hillock::store::runs::{self, RunFilter};
use hillock::store::{PageRequest, Store};

/// How many are made at once.
const AT_ONCE: usize = 64;

/// Makes this many runs for the agent `mill`, each with its command.
pub(super) async fn fill(store: &Store, count: usize) -> Vec<RunId> {
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let size = AT_ONCE.min(count - made.len());
        let several: Vec<Firing> = (0..size).map(|_| firing()).collect();
        made.extend(several.iter().map(|one| one.run.id.clone()));
        let fired = several.into_iter().map(|one| firing::by_hand(store, one, Clock.now()));
        for one in futures_util::future::join_all(fired).await {
            one.unwrap();
        }
    }
    made
}

/// How many runs have not ended.
pub(super) async fn left(store: &Store) -> usize {
    let mut left = 0;
    for status in [RunStatus::Scheduled, RunStatus::Running] {
        let filter = RunFilter { status: Some(status), ..RunFilter::default() };
        let page = PageRequest::new(100, None).unwrap();
        left += runs::list(store, &Scope::Global, &filter, page).await.unwrap().items.len();
    }
    left
}

/// Every run as it ended.
pub(super) async fn ended(store: &Store, ids: &[RunId]) -> BTreeMap<RunId, Run> {
    let mut ended = BTreeMap::new();
    for id in ids {
        let run = runs::find(store, &Scope::Global, id).await.unwrap();
        ended.insert(id.clone(), run.expect("a committed run is never forgotten"));
    }
    ended
}

fn firing() -> Firing {
    let run = NewRun {
        id: Clock.run_id(),
        scope: Scope::Global,
        owner: Owner::Trigger {
            id: TriggerId::derive(&Scope::Global, "mill"),
            name: "mill".parse().unwrap(),
        },
        event_id: None,
        fire: None,
        agent: "mill".parse().unwrap(),
        prompt: "grind".to_owned(),
        content: Content::Trusted,
        task: None,
        priority: Priority::Normal,
        retry: Retry::None,
        depth: 0,
        causes: vec![],
        stages: Stages::default(),
        terms: Terms { queue_timeout_ms: Some(30 * 24 * 3_600_000), ..Terms::default() },
        created_at: Clock.now(),
    };
    Firing { run, command_id: Clock.command_id(), limit: None }
}

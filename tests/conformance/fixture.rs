//! Events, runs and commands to put into a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hillock::model::command::Token;
use hillock::model::content::Content;
use hillock::model::decision::{Decision, Verdict};
use hillock::model::definition::{Agent, FireLimit, Priority, Retry};
use hillock::model::envelope::{Arrival, Event, Origin, Payload, Source, Verified, Way};
use hillock::model::id::{CommandId, EventId, GatheringId, RunId, TriggerId, WebhookId, WorkerId};
use hillock::model::run::{NewRun, Owner, Run, Stages, Terms};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::events::{self, Accepted, Activation, Delivery};
use hillock::store::firing::Firing;
use hillock::store::{PageRequest, Store, runs};

use crate::harness::claims::{self, Held};
use crate::harness::database::Database;

/// Every fixture happens on this day, at so many seconds.
pub(super) fn at(secs: i64) -> Time {
    const DAY_MS: i64 = 1_767_225_600_000;
    Time::from_millis(DAY_MS + secs * 1000).unwrap()
}

fn unique() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..8].copy_from_slice(&unique().to_be_bytes());
    bytes
}

pub(super) fn event_id() -> EventId {
    EventId::mint(at(0), bytes())
}

pub(super) fn run_id() -> RunId {
    RunId::mint(at(0), bytes())
}

pub(super) fn gathering_id() -> GatheringId {
    GatheringId::mint(at(0), bytes())
}

pub(super) fn worker() -> WorkerId {
    WorkerId::mint(at(0), bytes())
}

pub(super) fn token() -> Token {
    Token::mint(bytes())
}

pub(super) fn tokens(count: usize) -> Vec<Token> {
    std::iter::repeat_with(token).take(count).collect()
}

/// An identity of no other delivery.
pub(super) fn identity() -> [u8; 32] {
    bytes()
}

pub(super) fn scope(workspace: &str) -> Scope {
    Scope::parse(workspace).unwrap()
}

pub(super) fn origin(component: &str) -> Origin {
    Origin {
        component: component.parse().unwrap(),
        version: "0.1.0".to_owned(),
        digest: "sha256:00".to_owned(),
    }
}

/// A verified event of the global endpoint `hooks`.
pub(super) fn event() -> Event {
    event_in(&Scope::Global)
}

pub(super) fn event_in(scope: &Scope) -> Event {
    Event {
        id: event_id(),
        scope: scope.clone(),
        kind: "github.issues".parse().unwrap(),
        source: Source::Webhook,
        way: Way::Endpoint(Arrival {
            webhook_id: WebhookId::derive(scope, "hooks"),
            slug: "hooks".parse().unwrap(),
        }),
        occurred_at: at(1),
        received_at: at(2),
        origin: origin("github"),
        verified: Some(Verified {
            scheme: "github".to_owned(),
            key_ref: "env:SECRET".to_owned(),
            at: at(2),
        }),
        depth: 3,
        causes: vec!["run_1".to_owned()],
        traceparent: Some("00-ab-cd-01".to_owned()),
        body: br#"{"a": "\u0000", "b": 1}"#.as_slice().into(),
        payload: Payload::Body,
    }
}

pub(super) fn delivery(event: Event, identities: &[[u8; 32]]) -> Delivery {
    Delivery { event: Arc::new(event), identities: identities.to_vec(), likeness: None }
}

pub(super) async fn open(database: &Database) -> Store {
    Store::open(&database.url()).await.unwrap()
}

/// Puts an event into the inbox.
pub(super) async fn accepted(store: &Store, event: Event) -> EventId {
    let accepted = events::accept(store, vec![delivery(event, &[])]).await.unwrap();
    let [Accepted::New(id)] = &accepted[..] else { panic!("{accepted:?}") };
    id.clone()
}

/// How long these commands wait: the tests' clocks go far.
const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

pub(super) fn new_run(scope: &Scope, event_id: &EventId, trigger: &str, agent: &str) -> NewRun {
    NewRun {
        id: run_id(),
        scope: scope.clone(),
        owner: Owner::Trigger {
            id: TriggerId::derive(scope, trigger),
            name: trigger.parse().unwrap(),
        },
        event_id: Some(event_id.clone()),
        fire: None,
        agent: agent.parse().unwrap(),
        prompt: format!("work of {trigger}"),
        content: Content::Fenced,
        task: None,
        priority: Priority::High,
        retry: Retry::None,
        depth: 3,
        causes: vec!["run_1".to_owned()],
        stages: Stages {
            source: Some(origin("github")),
            filter: Some(origin("match")),
            template: Some(origin("handlebars")),
            hooks: vec![origin("guard")],
        },
        terms: Terms { queue_timeout_ms: Some(YEAR_MS), ..Terms::default() },
        created_at: at(3),
    }
}

/// An activation in which each of these runs was fired.
pub(super) fn activation(event_id: &EventId, runs: Vec<NewRun>) -> Activation {
    let fired = |run: &NewRun| Decision {
        trigger_id: run.owner.id().parse().unwrap(),
        trigger: run.owner.name().clone(),
        verdict: Verdict::Fired(run.id.clone()),
        at: at(3),
    };
    Activation {
        event_id: event_id.clone(),
        decisions: runs.iter().map(fired).collect(),
        runs: runs.into_iter().map(|run| firing(run, None)).collect(),
        held: vec![],
        at: at(3),
    }
}

/// The run with its first command, held against this limit.
pub(super) fn firing(run: NewRun, limit: Option<FireLimit>) -> Firing {
    Firing { run, command_id: CommandId::mint(at(3), bytes()), limit }
}

/// An agent of no other test's.
pub(super) fn agent() -> Agent {
    let name = format!("agent-{}", unique()).parse().unwrap();
    Agent { scope: Scope::Global, name }
}

/// A run that waits for this agent.
pub(super) async fn scheduled(store: &Store, agent: &Agent) -> RunId {
    scheduled_as(store, agent, |run| run).await
}

/// A run that waits for this agent, and is made as this says.
pub(super) async fn scheduled_as(
    store: &Store,
    agent: &Agent,
    change: impl FnOnce(NewRun) -> NewRun,
) -> RunId {
    let event_id = accepted(store, event_in(&agent.scope)).await;
    let run = change(new_run(&agent.scope, &event_id, "triage", agent.name.as_str()));
    let id = run.id.clone();
    let made = events::activate(store, activation(&event_id, vec![run])).await.unwrap();
    assert_eq!(made, Some(1));
    id
}

/// Claims at most one command for the agent.
pub(super) async fn claim(
    store: &Store,
    worker: &WorkerId,
    agent: &Agent,
    now: Time,
) -> Option<Held> {
    let agents = std::slice::from_ref(agent);
    claims::claim(store, worker, agents, vec![token()], u32::MAX, now).await.pop()
}

/// A run whose command a worker has claimed.
pub(super) async fn claimed(store: &Store, agent: &Agent, now: Time) -> (WorkerId, Held) {
    scheduled(store, agent).await;
    let worker = worker();
    let claim = claim(store, &worker, agent, now).await.unwrap();
    (worker, claim)
}

/// The run, of the global scope.
pub(super) async fn run(store: &Store, id: &RunId) -> Run {
    runs::find(store, &Scope::Global, id).await.unwrap().unwrap()
}

pub(super) fn first_page(limit: u32) -> PageRequest {
    PageRequest::new(limit, None).unwrap()
}

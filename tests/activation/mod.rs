//! Activation through the library, with real components and a real store: events as deep, and with
//! such causes, as no sender can make them; and through the program, where time has to pass.

mod deferring;
mod filters;
mod firing;
mod gathering;
mod guard;
mod hooks;
mod limits;
mod neighbours;
mod patience;
mod replay;
mod trials;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hillock::activation::Activator;
use hillock::catalog::Catalog;
use hillock::clock::Clock;
use hillock::config::{Limits, definitions};
use hillock::model::decision::Verdict;
use hillock::model::definition::{DefinitionKind, Definitions, Plugin, Trigger};
use hillock::model::envelope::{Arrival, Event, Origin, Payload, Source, Way};
use hillock::model::id::{EventId, RunId, WebhookId};
use hillock::model::problem::Problems;
use hillock::model::run::Run;
use hillock::model::scope::Scope;
use hillock::sandbox::Sandbox;
use hillock::store::events::{self, Delivery};
use hillock::store::{Store, runs};
use serde_json::{Value, json};

use crate::harness::components;
use crate::harness::database::Database;

/// A store and what activates its events.
struct Scene {
    store: Store,
    activator: Activator,
    catalog: Catalog,
}

impl Scene {
    /// With these definitions, as lists by their kinds' words.
    async fn new(database: &Database, defined: Value) -> Self {
        let store = Store::open(&database.url()).await.unwrap();
        let catalog = Catalog::new(define(defined));
        let sandbox = Arc::clone(sandbox());
        let activator = Activator::new(store.clone(), sandbox, Clock, catalog.clone());
        Self { store, activator, catalog }
    }

    /// With these triggers, which have an agent and a prompt unless they say otherwise.
    async fn of_triggers(database: &Database, triggers: Value) -> Self {
        Self::new(database, json!({ "triggers": triggers })).await
    }

    async fn accept(&self, event: Event) -> Arc<Event> {
        let event = Arc::new(event);
        let delivery = Delivery { event: Arc::clone(&event), identities: vec![], likeness: None };
        events::accept(&self.store, vec![delivery]).await.unwrap();
        event
    }

    /// What each trigger makes of an event that comes now.
    async fn decide(&self, event: Event) -> Vec<(String, Verdict)> {
        let event = self.accept(event).await;
        self.activator.activate(Arc::clone(&event)).await.unwrap().expect("it is the first time");
        self.decisions(&event.id).await
    }

    async fn decisions(&self, id: &EventId) -> Vec<(String, Verdict)> {
        let decisions = events::decisions(&self.store, id).await.unwrap();
        decisions.into_iter().map(|one| (one.trigger.to_string(), one.verdict)).collect()
    }

    /// The words of [`Self::decide`].
    async fn outcomes(&self, event: Event) -> Vec<(String, &'static str)> {
        words(&self.decide(event).await)
    }

    async fn run(&self, id: &RunId) -> Run {
        runs::find(&self.store, &Scope::Global, id).await.unwrap().unwrap()
    }

    /// The run of the one trigger that fires for an event that comes now.
    async fn fired(&self, event: Event) -> Run {
        let decisions = self.decide(event).await;
        let [(_, Verdict::Fired(run))] = &decisions[..] else { panic!("{decisions:?}") };
        self.run(run).await
    }

    fn trigger(&self, name: &str) -> Trigger {
        let definitions = self.catalog.now();
        definitions.triggers.iter().find(|one| one.name.as_str() == name).unwrap().clone()
    }
}

fn words(decisions: &[(String, Verdict)]) -> Vec<(String, &'static str)> {
    decisions.iter().map(|(name, verdict)| (name.clone(), verdict.outcome().as_str())).collect()
}

fn define(defined: Value) -> Definitions {
    let mut definitions = Definitions::default();
    let mut problems = Problems::default();
    for (kind, word, plural) in DefinitionKind::ALL {
        for (i, spec) in defined[plural].as_array().into_iter().flatten().enumerate() {
            let mut spec = spec.clone();
            if kind == DefinitionKind::Trigger {
                for (field, value) in [("event", "webhook"), ("agent", "agent"), ("prompt", "go")] {
                    let fields = spec.as_object_mut().unwrap();
                    fields.entry(field).or_insert_with(|| value.into());
                }
            }
            let path = format!("{word}[{i}]");
            let parsed =
                definitions::parse(kind, &path, &spec, None, Path::new("/"), &mut problems);
            definitions.add(parsed.unwrap_or_else(|| panic!("{problems}")));
        }
    }
    definitions
}

/// The built-in components and the hostile ones that decide on runs; only the clock ends what loops.
fn sandbox() -> &'static Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let limits = Limits {
            fuel: 1_000_000_000_000_000,
            time: Duration::from_millis(1500),
            ..Limits::default()
        };
        let folder = components::folder();
        let plugin = |kind: &str| Plugin {
            name: format!("hostile-{kind}").parse().unwrap(),
            version: "0.1.0".to_owned(),
            path: folder.join(format!("hostile_{}.wasm", kind.replace('-', "_"))),
        };
        let plugins = ["filter", "template", "pre-fire"].map(plugin);
        Arc::new(Sandbox::open(limits, &plugins, &folder.join("compiled")).unwrap())
    })
}

fn event_id() -> EventId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    EventId::mint(Clock.now(), bytes)
}

/// What came in on the endpoint `open` with this data.
fn event(data: &Value) -> Event {
    event_at("open", "webhook", &Scope::Global, data)
}

fn event_at(slug: &str, kind: &str, scope: &Scope, data: &Value) -> Event {
    let now = Clock.now();
    Event {
        id: event_id(),
        scope: scope.clone(),
        kind: kind.parse().unwrap(),
        source: Source::Webhook,
        way: Way::Endpoint(Arrival {
            webhook_id: WebhookId::derive(scope, slug),
            slug: slug.parse().unwrap(),
        }),
        occurred_at: now,
        received_at: now,
        origin: Origin {
            component: "generic".parse().unwrap(),
            version: "0.1.0".to_owned(),
            digest: "sha256:00".to_owned(),
        },
        verified: None,
        depth: 0,
        causes: vec![],
        traceparent: None,
        body: data.to_string().into(),
        payload: Payload::Body,
    }
}

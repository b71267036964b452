//! Jobs in a store, and what became of their slots.

use std::path::Path;
use std::time::Duration;

use hillock::clock::Clock;
use hillock::config::definitions::{Declared, parse};
use hillock::model::command::Token;
use hillock::model::definition::{Agent, DefinitionKind, Job};
use hillock::model::id::RunId;
use hillock::model::problem::Problems;
use hillock::model::run::{Ending, OwnerKind, Run};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::schedule::{self, Gate, Tick};
use hillock::store::definitions::{self, Change};
use hillock::store::runs::{self, RunFilter};
use hillock::store::schedules::{self, SchedulerState, StoredJob};
use hillock::store::{PageRequest, Store};
use serde_json::{Value, json};

use crate::harness::claims;
use crate::harness::database::Database;

/// When everything begins: a Thursday.
pub(super) fn start() -> Time {
    time("2026-01-01T00:00:00Z")
}

pub(super) fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// So many seconds after [`start`].
pub(super) fn at(secs: u64) -> Time {
    start() + Duration::from_secs(secs)
}

/// A database, and the store of a host on it.
pub(super) struct Host {
    pub(super) database: Database,
    pub(super) store: Store,
}

impl Host {
    pub(super) async fn open(database: Database) -> Self {
        let store = Store::open(&database.url()).await.unwrap();
        let agent = declared(DefinitionKind::Agent, &json!({ "name": AGENT }));
        definitions::create(&store, agent.id(), agent, start()).await.unwrap().unwrap();
        Self { database, store }
    }

    /// Another host on the same database.
    pub(super) async fn another(&self) -> Store {
        Store::open(&self.database.url()).await.unwrap()
    }

    /// A job with this schedule and these further fields, defined at [`start`].
    pub(super) async fn job(&self, name: &str, schedule: Value, fields: Value) -> Job {
        let spec = spec(name, schedule, fields);
        let declared = declared(DefinitionKind::Job, &spec);
        let id = declared.id();
        definitions::create(&self.store, id.clone(), declared, start()).await.unwrap().unwrap();
        schedule::read(&spec.to_string(), &id, true).unwrap()
    }

    /// The job with another schedule or other fields, from `now` on.
    pub(super) async fn change(
        &self,
        job: &Job,
        (schedule, fields): (Value, Value),
        now: Time,
    ) -> Job {
        let spec = spec(job.name.as_str(), schedule, fields);
        let declared = declared(DefinitionKind::Job, &spec);
        let change = self.change_of(job, now).await;
        definitions::update(&self.store, change, declared).await.unwrap().unwrap();
        schedule::read(&spec.to_string(), job.id.as_str(), true).unwrap()
    }

    pub(super) async fn set_enabled(&self, job: &Job, enabled: bool, now: Time) {
        let change = self.change_of(job, now).await;
        definitions::set_enabled(&self.store, change, enabled).await.unwrap().unwrap();
    }

    pub(super) async fn delete(&self, job: &Job) {
        let change = self.change_of(job, start()).await;
        definitions::delete(&self.store, change).await.unwrap().unwrap();
    }

    async fn change_of(&self, job: &Job, now: Time) -> Change {
        let (kind, id) = (DefinitionKind::Job, job.id.as_str());
        let found = definitions::find(&self.store, kind, &job.scope, id).await.unwrap().unwrap();
        Change { id: found.id, scope: job.scope.clone(), revision: found.revision, now }
    }

    pub(super) async fn tick(&self, now: Time) -> Tick {
        tick(&self.store, now).await
    }

    /// Ticks at every due time until this one.
    pub(super) async fn run_until(&self, until: Time) -> Tick {
        let mut all = Tick::default();
        let mut next = schedules::next_due(&self.store).await.unwrap();
        while let Some(due) = next.filter(|due| *due <= until) {
            let tick = self.tick(due).await;
            all.fired += tick.fired;
            all.skipped += tick.skipped;
            all.missed += tick.missed;
            next = tick.next_due;
        }
        all
    }

    /// Ticks at this instant for as long as anything is due.
    pub(super) async fn catch_up_with(&self, now: Time) -> Tick {
        let mut all = Tick::default();
        loop {
            let tick = self.tick(now).await;
            all.fired += tick.fired;
            all.skipped += tick.skipped;
            all.missed += tick.missed;
            all.next_due = tick.next_due;
            if tick.next_due.is_none_or(|due| due > now) {
                return all;
            }
        }
    }

    pub(super) async fn state(&self, job: &Job) -> SchedulerState {
        schedules::state(&self.store, &job.id).await.unwrap().unwrap()
    }

    /// Has a job's cursor stand where a host left it, by a clock that said `now`.
    pub(super) async fn set_cursor(&self, job: &Job, next: Time, now: Time) {
        let (next, now) = (next.as_millis(), now.as_millis());
        let moved = format!(
            "UPDATE schedules SET next_run_at = {next}, due_at = {next}, set_at = {now} \
             WHERE job_id = '{}'",
            job.id
        );
        self.database.execute(&moved).await;
    }

    pub(super) async fn stored(&self, job: &Job) -> StoredJob {
        let found = schedule::find(&self.store, &job.scope, job.id.as_str()).await;
        found.unwrap().unwrap()
    }

    /// The job's runs, in the order they were made.
    pub(super) async fn runs(&self, job: &Job) -> Vec<Run> {
        let filter = RunFilter {
            owner_kind: Some(OwnerKind::Job),
            owner_id: Some(job.id.to_string()),
            ..RunFilter::default()
        };
        let (mut found, mut cursor) = (vec![], None);
        loop {
            let request = PageRequest::new(200, cursor.as_deref()).unwrap();
            let page = runs::list(&self.store, &job.scope, &filter, request).await.unwrap();
            found.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                found.reverse();
                return found;
            }
        }
    }

    /// The slots of the job's runs, in the order they were made.
    pub(super) async fn slots(&self, job: &Job) -> Vec<Time> {
        let runs = self.runs(job).await;
        runs.iter().map(|run| run.made.fire.as_ref().unwrap().scheduled_at).collect()
    }

    /// The runs that a worker would get now, as many as there are.
    pub(super) async fn claim(&self, now: Time) -> Vec<claims::Held> {
        let agents = [Agent { scope: Scope::Global, name: AGENT.parse().unwrap() }];
        let tokens = (0..100).map(|_| Token::mint(Clock.random())).collect();
        let worker = Clock.worker_id();
        claims::claim(&self.store, &worker, &agents, tokens, 100, now).await
    }

    /// Has a worker complete everything that waits.
    pub(super) async fn complete_all(&self, now: Time) -> Vec<RunId> {
        let mut done = vec![];
        loop {
            let claims = self.claim(now).await;
            if claims.is_empty() {
                return done;
            }
            for claim in claims {
                claims::finish(&self.store, &claim, Ending::Completed, now).await.unwrap();
                done.push(claim.run_id);
            }
        }
    }
}

const AGENT: &str = "worker";

pub(super) async fn tick(store: &Store, now: Time) -> Tick {
    schedule::tick(store, Clock, &Gate::default(), now).await.unwrap()
}

/// A job as its author writes it.
pub(super) fn spec(name: &str, schedule: Value, fields: Value) -> Value {
    let mut spec = json!({ "name": name, "agent": AGENT, "prompt": "work", "schedule": schedule });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    spec
}

fn declared(kind: DefinitionKind, spec: &Value) -> Declared {
    let mut problems = Problems::default();
    let parsed = parse(kind, "it", spec, None, Path::new(""), &mut problems);
    let definition = parsed.unwrap_or_else(|| panic!("{problems}"));
    Declared { path: "it".to_owned(), kind, spec: spec.clone(), definition }
}

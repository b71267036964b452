//! A store with tasks, and a worker that carries out what waits.

use hillock::clock::Clock;
use hillock::model::command::{Charge, Claim, Control, Hold, Token};
use hillock::model::definition::Priority;
use hillock::model::id::{CommandId, RunId, TaskId, WorkerId};
use hillock::model::input::{Addressee, InputMode, NewInput, RunInput};
use hillock::model::name::Name;
use hillock::model::policy::Policy;
use hillock::model::run::{Ending, Run, RunEvent, SessionRef, Terms};
use hillock::model::scope::Scope;
use hillock::model::task::{Idempotency, NewTask, Task, TaskStatus};
use hillock::model::time::Time;
use hillock::store::commands::{self, Claimant, Fence};
use hillock::store::inputs::{self, Given};
use hillock::store::tasks::{self, Created};
use hillock::store::{PageRequest, Store, audit, queues, runs};

pub(super) use crate::harness::claims::Held;
use crate::harness::claims::{self, lot};
use crate::harness::database::Database;

/// The tests' day, at so many seconds.
pub(super) fn at(secs: i64) -> Time {
    Time::from_millis(1_767_225_600_000 + secs * 1000).unwrap()
}

pub(super) struct Host {
    pub(super) database: Database,
    pub(super) store: Store,
    pub(super) worker: WorkerId,
}

impl Host {
    pub(super) async fn open(database: Database) -> Self {
        let store = Store::open(&database.url()).await.unwrap();
        Self { database, store, worker: Clock.worker_id() }
    }

    pub(super) async fn task(&self, now: Time) -> Task {
        self.task_as(|task| task, now).await
    }

    /// A task that is made as this says.
    pub(super) async fn task_as(&self, change: impl FnOnce(NewTask) -> NewTask, now: Time) -> Task {
        let task = change(new_task(now));
        let id = task.id.clone();
        let created = self.create(task).await;
        assert!(matches!(created, Created::New), "{created:?}");
        self.read(&id).await
    }

    pub(super) async fn create(&self, task: NewTask) -> Created {
        tasks::create(&self.store, task, Clock.run_id(), Clock.command_id()).await.unwrap()
    }

    pub(super) async fn read(&self, id: &TaskId) -> Task {
        tasks::find(&self.store, &Scope::Global, id).await.unwrap().unwrap()
    }

    pub(super) async fn status(&self, id: &TaskId) -> TaskStatus {
        self.read(id).await.status
    }

    pub(super) async fn run(&self, id: &RunId) -> Run {
        runs::find(&self.store, &Scope::Global, id).await.unwrap().unwrap()
    }

    /// What the audit says was done, in that order.
    pub(super) async fn audited(&self) -> Vec<String> {
        let (scope, filter) = (Scope::Global, audit::AuditFilter::default());
        let page = PageRequest::new(200, None).unwrap();
        let page = audit::list(&self.store, &scope, &filter, page).await.unwrap();
        page.items.into_iter().rev().map(|row| row.action).collect()
    }

    /// The task's runs, in the order they were made.
    pub(super) async fn runs(&self, id: &TaskId) -> Vec<Run> {
        let page = PageRequest::new(200, None).unwrap();
        let page = runs::of_task(&self.store, &Scope::Global, id, page).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    /// Everything that waits and may go out, in the worker's hands.
    pub(super) async fn claim_all(&self, now: Time) -> Vec<Held> {
        let lots: Vec<_> =
            queues::waited_on(&self.store).await.unwrap().into_iter().map(lot).collect();
        let seat = Claimant {
            worker_id: self.worker.clone(),
            lots: (0..lots.len()).collect(),
            capacity: 100,
            active: 0,
            degraded: false,
        };
        let claims = commands::claim(&self.store, vec![seat], &lots, tokens(100), 1000, now).await;
        claims.unwrap().into_iter().map(Held::from).collect()
    }

    /// The one command that may go out.
    pub(super) async fn claim(&self, now: Time) -> Held {
        let mut claims = self.claim_all(now).await;
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims.remove(0)
    }

    /// The same, begun.
    pub(super) async fn start(&self, now: Time) -> Held {
        let held = self.claim(now).await;
        let fence = claims::start(&self.store, &held, now).await.unwrap();
        assert_eq!(fence, Fence::Held);
        held
    }

    pub(super) async fn finish(&self, held: &Held, ending: Ending, now: Time) {
        let fence = claims::finish(&self.store, held, ending, now).await;
        assert_eq!(fence.unwrap(), Fence::Held);
    }

    /// Says what came of it.
    pub(super) async fn result(&self, held: &Held, result: &str, now: Time) {
        let data = serde_json::json!({ "type": "result", "data": result });
        let told = RunEvent { at: now, kind: "result".parse().unwrap(), data };
        let fence = claims::tell(&self.store, held, 1, vec![told], now);
        assert_eq!(fence.await.unwrap(), Fence::Held);
    }

    /// The worker says that it has a word, and what came of it.
    pub(super) async fn answer(&self, id: &CommandId, token: &Token, ending: Ending, now: Time) {
        let (worker_id, command_id) = (self.worker.clone(), id.clone());
        let hold = Hold { worker_id, command_id, token: token.clone() };
        commands::acknowledge(&self.store, &hold, now).await.unwrap();
        assert_eq!(commands::finish(&self.store, &hold, ending, now).await.unwrap(), Fence::Held);
    }

    /// The words that wait for the worker.
    pub(super) async fn words(&self, now: Time) -> Vec<(CommandId, Token, Control)> {
        let claims = commands::claim_control(&self.store, &self.worker, tokens(16), now).await;
        let word = |claim: Claim| match claim.charge {
            Charge::Control(control) => (claim.id, claim.token, control),
            Charge::Run(run) => panic!("a run, not a word: {run:?}"),
        };
        claims.unwrap().into_iter().map(word).collect()
    }

    pub(super) async fn give(
        &self,
        to: Addressee,
        mode: InputMode,
        text: &str,
        now: Time,
    ) -> RunInput {
        match self.give_once(to, mode, text, None, now).await {
            Some(Given::New(input)) => input,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn give_once(
        &self,
        to: Addressee,
        mode: InputMode,
        text: &str,
        key: Option<&str>,
        now: Time,
    ) -> Option<Given> {
        let input = NewInput {
            id: Clock.input_id(),
            scope: Scope::Global,
            to,
            mode,
            text: text.to_owned(),
            idempotency: key.map(|key| idempotency(key, text)),
            run_id: Clock.run_id(),
            command_id: Clock.command_id(),
            now,
        };
        inputs::give(&self.store, input).await.unwrap()
    }
}

fn tokens(count: usize) -> Vec<Token> {
    (0..count).map(|_| Token::mint(Clock.random())).collect()
}

pub(super) fn agent() -> Name {
    "worker".parse().unwrap()
}

pub(super) fn new_task(now: Time) -> NewTask {
    let id = Clock.task_id();
    let session = SessionRef::of(&Scope::Global, id.as_str().parse().unwrap());
    NewTask {
        id,
        scope: Scope::Global,
        agent: agent(),
        message: "work".to_owned(),
        label: None,
        priority: Priority::Normal,
        terms: Terms { session: Some(session), ..Terms::default() },
        idempotency: None,
        created_at: now,
    }
}

/// The same, under this policy.
pub(super) fn under(policy: Policy) -> impl FnOnce(NewTask) -> NewTask {
    |task| NewTask { terms: Terms { policy: Some(policy), ..task.terms.clone() }, ..task }
}

pub(super) fn idempotency(key: &str, body: &str) -> Idempotency {
    let mut body_hash = [0; 32];
    body_hash[..body.len().min(32)].copy_from_slice(&body.as_bytes()[..body.len().min(32)]);
    Idempotency { key: key.to_owned(), body_hash }
}

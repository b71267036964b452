//! Clients of the API: they make tasks, tell runs more, call things off, and approve.

use std::collections::BTreeMap;

use hillock::model::definition::Priority;
use hillock::model::id::{CommandId, InputId, RunId, TaskId};
use hillock::model::input::{Addressee, InputMode, NewInput};
use hillock::model::policy::{Ask, Policy};
use hillock::model::run::{SessionRef, Terms};
use hillock::model::scope::Scope;
use hillock::model::task::{Idempotency, NewTask};
use hillock::model::time::Time;
use hillock::store::commands::{self, Canceling, Decided, Decision};
use hillock::store::inputs::{self, Given};
use hillock::store::tasks::{self, Created};

use super::rules;
use super::world::World;

/// Clients ask for more only while less than so many wait.
const WAITING_MAX: u32 = 60;
/// Whom they think of: the latest so many.
const LATEST: usize = 60;

#[derive(Default)]
pub(super) struct Clients {
    /// What was asked for under each key, and each try's identifier.
    asked: BTreeMap<Key, Asked>,
    keys: Vec<Key>,
}

/// Of tasks: the workspace, the agent, and the client's own.
type Key = (Scope, &'static str, String);

struct Asked {
    body: u8,
    tries: Vec<TaskId>,
}

impl World {
    pub(super) async fn ask(&mut self) {
        match self.dice.between(0, 99) {
            0..=24 => self.make_task().await,
            25..=59 => self.tell_more().await,
            60..=69 => self.cancel_run().await,
            70..=77 => self.cancel_task().await,
            78..=82 => self.call_off().await,
            83..=86 => self.archive().await,
            _ => self.decide(None).await,
        }
    }

    async fn make_task(&mut self) {
        if self.book.waiting > WAITING_MAX {
            return;
        }
        let replica = self.any_replica();
        let now = self.now(replica);
        let again = self.dice.pick_late(&self.clients.keys, 20).filter(|_| self.dice.once_in(3));
        let new = (
            self.dice.pick(&rules::scopes()).unwrap(),
            self.dice.pick(&rules::AGENTS).unwrap(),
            format!("key {}", self.clients.keys.len()),
        );
        let key = again.unwrap_or(new);
        let body = u8::from(self.dice.once_in(8));
        let id = TaskId::mint(now, self.dice.bytes());
        let task = self.task(&key, &id, body, now);
        let (run, command) =
            (RunId::mint(now, self.dice.bytes()), CommandId::mint(now, self.dice.bytes()));
        let create = async |store, _| tasks::create(&store, task, run, command).await;
        let created = self.write(replica, format!("makes {id} under {}", key.2), create).await;
        if !self.clients.asked.contains_key(&key) {
            self.clients.keys.push(key.clone());
        }
        let asked = self.clients.asked.entry(key).or_insert(Asked { body, tries: vec![] });
        asked.tries.push(id.clone());
        let made: Vec<TaskId> = asked
            .tries
            .iter()
            .filter(|id| self.book.tasks.get(id.as_str()).is_some_and(|task| task.is_keyed))
            .cloned()
            .collect();
        // As long as nothing is kept under a key, it may be asked for anything.
        if made.is_empty() || made == [id.clone()] {
            asked.body = body;
        }
        let same = asked.body == body;
        let changes = self.changes;
        let right = match &created {
            Some(Created::New) => made == [id],
            Some(Created::Known(task)) => made == [task.made.id.clone()] && same && changes == 0,
            Some(Created::Mismatch) => made.len() == 1 && !same && changes == 0,
            None => made.len() <= 1,
        };
        self.must(right, || format!("{made:?} were made under one key: {created:?}"));
        if !matches!(created, None | Some(Created::New)) {
            self.ledger.duplicates_refused += 1;
        }
    }

    fn task(&mut self, key: &Key, id: &TaskId, body: u8, now: Time) -> NewTask {
        let (scope, agent, key) = key;
        let room = format!("room {}", self.dice.between(0, 6)).parse().unwrap();
        let own = id.as_str().parse().unwrap();
        let session = SessionRef::of(scope, if self.dice.once_in(2) { room } else { own });
        let policy = match self.dice.between(0, 5) {
            0 => Some(rules::policy()),
            1 => Some(Policy { interactive: true, ..rules::policy() }),
            2 if self.dice.once_in(3) => Some(Policy { ask: Ask::Always, ..rules::policy() }),
            _ => None,
        };
        NewTask {
            id: id.clone(),
            scope: scope.clone(),
            agent: agent.parse().unwrap(),
            message: "work".to_owned(),
            label: None,
            priority: Priority::Normal,
            terms: Terms { session: Some(session), policy, ..Terms::default() },
            idempotency: Some(Idempotency { key: key.clone(), body_hash: [body; 32] }),
            created_at: now,
        }
    }

    async fn tell_more(&mut self) {
        if self.book.waiting > WAITING_MAX {
            return;
        }
        let replica = self.any_replica();
        let now = self.now(replica);
        let Some(run) = self.dice.pick_late(&self.book.run_ids, LATEST) else { return };
        let scope = self.scope_of(&run);
        let task = self.book.runs[&run].task_of();
        let to = match task {
            Some(task) if self.book.tasks.contains_key(task) && self.dice.once_in(2) => {
                Addressee::Task(task.parse().unwrap())
            }
            _ => Addressee::Run(run.parse().unwrap()),
        };
        let modes = InputMode::ALL;
        let mode = modes[self.dice.place(modes.len()).unwrap()].0;
        let key = format!("input {}", self.dice.between(0, 3));
        let idempotency = self.dice.once_in(3).then_some(Idempotency { key, body_hash: [0; 32] });
        let input = NewInput {
            id: InputId::mint(now, self.dice.bytes()),
            scope,
            to,
            mode,
            text: "more".to_owned(),
            idempotency,
            run_id: RunId::mint(now, self.dice.bytes()),
            command_id: CommandId::mint(now, self.dice.bytes()),
            now,
        };
        let what = format!("gives {} to {:?} as {mode}", input.id, input.to);
        let id = input.id.clone();
        let give = async |store, _| inputs::give(&store, input).await;
        let given = self.write(replica, what, give).await;
        let (there, changes) = (self.book.inputs.contains_key(id.as_str()), self.changes);
        let right = match &given {
            Some(Some(Given::New(input))) => there && input.id == id,
            Some(Some(Given::Known(_) | Given::Mismatch)) => changes == 0,
            Some(None) => self.book.runs[&run].is_handed_over() && changes == 0,
            None => true,
        };
        self.must(right, || format!("{id}: {given:?}, {changes} changes"));
        if matches!(given, Some(Some(Given::Known(_) | Given::Mismatch))) {
            self.ledger.duplicates_refused += 1;
        }
    }

    async fn cancel_run(&mut self) {
        let replica = self.any_replica();
        let Some(run) = self.dice.pick_late(&self.book.run_ids, LATEST) else { return };
        let (scope, id): (Scope, RunId) = (self.scope_of(&run), run.parse().unwrap());
        let over = self.book.runs[&run].status.is_terminal();
        let cancel = async |store, now| commands::cancel(&store, &scope, &id, now).await;
        let canceling = self.write(replica, format!("calls {run} off"), cancel).await;
        let changes = self.changes;
        let right = match &canceling {
            Some(None) => false,
            Some(Some(Canceling::Over)) => changes == 0,
            _ => !over || changes == 0,
        };
        self.must(right, || format!("{run}, over: {over}: {canceling:?}, {changes} changes"));
    }

    async fn cancel_task(&mut self) {
        let replica = self.any_replica();
        let Some(task) = self.dice.pick_late(&self.book.task_ids, LATEST) else { return };
        let (scope, id): (Scope, TaskId) = (self.scope_of_task(&task), task.parse().unwrap());
        let over = self.book.tasks[&task].status.is_terminal();
        let cancel = async |store, now| tasks::cancel(&store, &scope, &id, now).await;
        let canceling = self.write(replica, format!("calls {task} off"), cancel).await;
        let changes = self.changes;
        let right = canceling != Some(None) && (!over || changes == 0);
        self.must(right, || format!("{task}, over: {over}: {canceling:?}, {changes} changes"));
    }

    async fn call_off(&mut self) {
        let replica = self.any_replica();
        let Some(command) = self.dice.pick_late(&self.book.command_ids, LATEST) else { return };
        let scope = self.scope_of_command(&command);
        let over = self.book.commands[&command].state.is_terminal();
        let id: CommandId = command.parse().unwrap();
        let call_off = async |store, now| commands::call_off(&store, &scope, &id, now).await;
        let canceling = self.write(replica, format!("calls {command} off"), call_off).await;
        let changes = self.changes;
        let right = canceling != Some(None) && (!over || changes == 0);
        self.must(right, || format!("{command}, over: {over}: {canceling:?}, {changes} changes"));
    }

    async fn archive(&mut self) {
        let replica = self.any_replica();
        let Some(task) = self.dice.pick_late(&self.book.task_ids, LATEST) else { return };
        let (scope, id): (Scope, TaskId) = (self.scope_of_task(&task), task.parse().unwrap());
        let archive = async |store, now| tasks::archive(&store, &scope, &id, now).await;
        self.write(replica, format!("puts {task} away"), archive).await;
    }

    /// Somebody decides on what waits for it.
    pub(super) async fn decide(&mut self, decision: Option<Decision>) {
        let replica = self.any_replica();
        let blocked: Vec<String> = self.book.blocked.iter().cloned().collect();
        let Some(command) = self.dice.pick(&blocked) else { return };
        let (scope, id): (Scope, CommandId) =
            (self.scope_of_command(&command), command.parse().unwrap());
        let any = if self.dice.once_in(4) { Decision::Deny } else { Decision::Approve };
        let decision = decision.unwrap_or(any);
        let decide = async |store, now| commands::decide(&store, &scope, &id, decision, now).await;
        let decided = self.write(replica, format!("{decision:?} of {command}"), decide).await;
        let right = matches!(decided, None | Some(Some(Decided::Done)));
        self.must(right, || format!("{command} was blocked: {decided:?}"));
    }
}

//! Somebody of another workspace, to whom nothing exists.

use hillock::model::id::{CommandId, EventId, RunId, SessionId, TaskId};
use hillock::model::scope::Scope;
use hillock::store::{commands, events, runs, sessions, tasks};

use super::rules;
use super::world::World;

const LATEST: usize = 200;

impl World {
    pub(super) async fn pry(&mut self) {
        let replica = self.any_replica();
        match self.dice.between(0, 5) {
            0 => self.pry_for_event(replica).await,
            1 => self.pry_for_session(replica).await,
            2 => self.pry_for_task(replica).await,
            3 => self.pry_for_command(replica).await,
            _ => self.pry_for_run(replica).await,
        }
    }

    async fn pry_for_event(&mut self, replica: usize) {
        let Some(id) = self.dice.pick_late(&self.book.event_ids, LATEST) else { return };
        let id: EventId = id.parse().unwrap();
        let mut seen = 0;
        for scope in rules::scopes() {
            let found =
                self.read(replica, async |store, _| events::find(&store, &scope, &id).await);
            seen += usize::from(found.await.is_some());
        }
        self.must(seen == 1, || format!("{id} is seen in {seen} workspaces"));
        self.ledger.strangers_refused += 1;
    }

    async fn pry_for_session(&mut self, replica: usize) {
        let scopes = rules::scopes();
        let key = format!("talk {}", self.dice.between(0, 4));
        let id = SessionId::derive(&scopes[0], &key);
        let look = async |store, _| sessions::find(&store, &scopes[1], &id).await;
        let found = self.read(replica, look).await;
        self.must(found.is_none(), || format!("{id} is seen from another workspace"));
        self.ledger.strangers_refused += 1;
    }

    async fn pry_for_task(&mut self, replica: usize) {
        let Some(task) = self.dice.pick_late(&self.book.task_ids, LATEST) else { return };
        let (scope, id): (Scope, TaskId) =
            (other_than(&self.scope_of_task(&task)), task.parse().unwrap());
        let found = self.read(replica, async |store, _| tasks::find(&store, &scope, &id).await);
        let found = found.await.is_some();
        let cancel = async |store, now| tasks::cancel(&store, &scope, &id, now).await;
        let canceled = self.write(replica, format!("a stranger calls {task} off"), cancel).await;
        self.refused(&task, found, canceled.flatten().is_some());
    }

    async fn pry_for_command(&mut self, replica: usize) {
        let Some(command) = self.dice.pick_late(&self.book.command_ids, LATEST) else { return };
        let (scope, id): (Scope, CommandId) =
            (other_than(&self.scope_of_command(&command)), command.parse().unwrap());
        let found = self.read(replica, async |store, _| commands::find(&store, &scope, &id).await);
        let found = found.await.is_some();
        let cancel = async |store, now| commands::call_off(&store, &scope, &id, now).await;
        let canceled = self.write(replica, format!("a stranger calls {command} off"), cancel).await;
        self.refused(&command, found, canceled.flatten().is_some());
    }

    async fn pry_for_run(&mut self, replica: usize) {
        let Some(run) = self.dice.pick_late(&self.book.run_ids, LATEST) else { return };
        let (scope, id): (Scope, RunId) = (other_than(&self.scope_of(&run)), run.parse().unwrap());
        let found = self.read(replica, async |store, _| runs::find(&store, &scope, &id).await);
        let found = found.await.is_some();
        let cancel = async |store, now| commands::cancel(&store, &scope, &id, now).await;
        let canceled = self.write(replica, format!("a stranger calls {run} off"), cancel).await;
        self.refused(&run, found, canceled.flatten().is_some());
    }

    fn refused(&mut self, id: &str, found: bool, canceled: bool) {
        let changes = self.changes;
        let right = !found && !canceled && changes == 0;
        self.must(right, || {
            format!("{id} of another workspace: seen {found}, called off {canceled}, {changes}")
        });
        self.ledger.strangers_refused += 1;
    }

    pub(super) fn scope_of(&self, run: &str) -> Scope {
        Scope::parse(&self.book.runs[run].workspace).unwrap()
    }

    pub(super) fn scope_of_task(&self, task: &str) -> Scope {
        Scope::parse(&self.book.tasks[task].workspace).unwrap()
    }

    pub(super) fn scope_of_command(&self, command: &str) -> Scope {
        Scope::parse(&self.book.commands[command].workspace).unwrap()
    }
}

fn other_than(scope: &Scope) -> Scope {
    rules::scopes().into_iter().find(|other| other != scope).unwrap()
}

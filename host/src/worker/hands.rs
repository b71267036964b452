//! The programs that run: starts them, ends them, and keeps each one's budget of unanswered lines.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::drain::RELEASE_GRACE;
use super::outlet::{BUDGET_BYTES, News, Outlet, Report};
use super::program::{self, Order, Patience, Wish};
use crate::config::{Program, Worker};
use crate::dispatch::protocol::{Held, Served};
use crate::model::id::CommandId;
use crate::model::time::Time;

/// The programs at work. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Hands {
    reports: mpsc::Sender<Report>,
    now: fn() -> Time,
    busy: HashMap<CommandId, Hand>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Hand {
    held: Held,
    task: AbortHandle,
    wish: watch::Sender<Wish>,
    budget: Arc<Semaphore>,
    canceled: bool,
}

impl Hands {
    /// None yet; their news will go to `reports`.
    pub(super) fn new(reports: mpsc::Sender<Report>, now: fn() -> Time) -> Self {
        Self { reports, now, busy: HashMap::new(), tasks: JoinSet::new() }
    }

    /// How many programs run.
    pub(super) fn len(&self) -> usize {
        self.busy.len()
    }

    /// Starts the program of an order's agent; `false` when `worker` has none.
    pub(super) fn start(&mut self, worker: &Worker, order: Order) -> bool {
        let Some(program) = worker.programs.iter().find(|program| serves(program, &order.agent))
        else {
            return false;
        };
        let program = program.clone();
        let patience = Patience { timeout: program.timeout, grace: worker.cancel_grace };
        let held = order.held.clone();
        let budget = Arc::new(Semaphore::new(BUDGET_BYTES as usize));
        let outlet = self.outlet(held.clone(), budget.clone());
        let (wish, wished) = watch::channel(Wish::GoOn);
        let task = self.tasks.spawn(async move {
            let ending = program::run(&program, &order, patience, wished, &outlet).await;
            outlet.tell(News::Ended(ending)).await;
        });
        let hand = Hand { held: held.clone(), task, wish, budget, canceled: false };
        self.busy.insert(held.command_id, hand);
        true
    }

    fn outlet(&self, held: Held, budget: Arc<Semaphore>) -> Outlet {
        Outlet { held, budget, reports: self.reports.clone(), now: self.now }
    }

    /// Asks a command's program to end, because its work is not wanted any more.
    pub(super) fn cancel(&mut self, command_id: &CommandId, worker: &Worker) {
        if let Some(hand) = self.busy.get_mut(command_id) {
            hand.canceled = true;
            hand.wish.send_replace(Wish::EndWithin(worker.cancel_grace));
        }
    }

    /// Asks every program to end, because the worker ends.
    pub(super) fn release(&self) {
        for hand in self.busy.values() {
            hand.wish.send_replace(Wish::EndWithin(RELEASE_GRACE));
        }
    }

    /// Kills a command's program at once. No news of it come any more, but for those on their way.
    pub(super) fn kill(&mut self, command_id: &CommandId) {
        if let Some(hand) = self.busy.remove(command_id) {
            hand.task.abort();
        }
    }

    /// Gives back what lines weighed that the host has stored.
    pub(super) fn refill(&self, command_id: &CommandId, weight: usize) {
        if let Some(hand) = self.busy.get(command_id) {
            hand.budget.add_permits(weight);
        }
    }

    /// Notes that a program ended; says whether its work had been called off.
    pub(super) fn ended(&mut self, held: &Held) -> bool {
        let ours = self.busy.get(&held.command_id).is_some_and(|hand| hand.held == *held);
        let hand = if ours { self.busy.remove(&held.command_id) } else { None };
        hand.is_some_and(|hand| hand.canceled)
    }

    /// The command whose program's task failed by a defect of the worker's own; never ends without.
    pub(super) async fn crashed(&mut self) -> Held {
        loop {
            match self.tasks.join_next_with_id().await {
                None => return pending().await,
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let whose = |hand: &&Hand| hand.task.id() == error.id();
                    if let Some(hand) = self.busy.values().find(whose) {
                        return hand.held.clone();
                    }
                }
            }
        }
    }
}

fn serves(program: &Program, agent: &Served) -> bool {
    program.agent.name == agent.name && program.agent.scope.workspace_id() == agent.workspace_id
}

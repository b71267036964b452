//! The programs that run: starts them, ends them, and keeps each one's budget of unanswered lines.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Span;
use tracing::field::Empty;

use super::drain::RELEASE_GRACE;
use super::isolation::{Cell, Isolation};
use super::program::{self, Order, ProgramTimeouts, Task, Wish};
use super::reporter::{BUDGET_BYTES, ProgramEvent, ProgramReporter, Report};
use super::stdin::{INPUTS_WAITING, Input, StdinMode};
use crate::clock::Clock;
use crate::config::{Program, Worker};
use crate::dispatch::protocol::{Held, Served};
use crate::model::id::CommandId;
use crate::model::time::Time;
use crate::trace;

/// The programs at work. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Hands {
    name: String,
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
    /// Where an interactive program is told more.
    ear: Option<mpsc::Sender<Input>>,
    /// The inputs that are on their way to it.
    untold: Vec<Held>,
    canceled: bool,
}

impl Hands {
    /// None yet, of the worker that is called so; their news will go to `reports`.
    pub(super) fn new(name: String, reports: mpsc::Sender<Report>, now: fn() -> Time) -> Self {
        Self { name, reports, now, busy: HashMap::new(), tasks: JoinSet::new() }
    }

    /// How many programs run.
    pub(super) fn len(&self) -> usize {
        self.busy.len()
    }

    /// Starts the program of an order's agent.
    ///
    /// # Errors
    /// When `worker` has none, or cannot run it as its policy asks.
    pub(super) fn start(
        &mut self,
        worker: &Worker,
        isolation: &Isolation,
        order: Order,
    ) -> Result<(), String> {
        let held = order.held.clone();
        let (task, ear) = task(&self.name, worker, isolation, order)?;
        let budget = Arc::new(Semaphore::new(BUDGET_BYTES as usize));
        let reporter = self.reporter(held.clone(), budget.clone());
        let (wish, wished) = watch::channel(Wish::GoOn);
        let task = self.tasks.spawn(async move {
            let parent = task.order.terms.traceparent.clone();
            let span = span_of(&task.order);
            let work = program::run(task, wished, &reporter);
            let ending = trace::within(parent.as_ref(), span.clone(), Clock, work).await;
            span.record("outcome", ending.status().as_str());
            reporter.tell(ProgramEvent::Ended(ending)).await;
        });
        let untold = Vec::new();
        let hand = Hand { held: held.clone(), task, wish, budget, ear, untold, canceled: false };
        self.busy.insert(held.command_id, hand);
        Ok(())
    }

    /// Tells a command's program more. What becomes of it is reported.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be told.
    pub(super) fn tell(&mut self, command_id: &CommandId, input: Input) -> Result<(), String> {
        let hand = self.busy.get_mut(command_id).ok_or("no program of this command runs here")?;
        let ear = hand.ear.as_ref().ok_or("the program is not interactive")?;
        let held = input.held.clone();
        ear.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => "too many inputs wait for the program to read them",
            TrySendError::Closed(_) => "the program has ended",
        })?;
        hand.untold.push(held);
        Ok(())
    }

    /// Notes that it is known what became of an input.
    pub(super) fn answered(&mut self, input: &Held) {
        for hand in self.busy.values_mut() {
            hand.untold.retain(|untold| untold != input);
        }
    }

    fn reporter(&self, held: Held, budget: Arc<Semaphore>) -> ProgramReporter {
        ProgramReporter { held, budget, reports: self.reports.clone(), now: self.now }
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
    /// Gives the inputs that it was not told.
    pub(super) fn kill(&mut self, command_id: &CommandId) -> Vec<Held> {
        let Some(hand) = self.busy.remove(command_id) else { return Vec::new() };
        hand.task.abort();
        hand.untold
    }

    /// Gives back what that weighed which the host has stored.
    pub(super) fn refill(&self, command_id: &CommandId, weight: usize) {
        if let Some(hand) = self.busy.get(command_id) {
            hand.budget.add_permits(weight);
        }
    }

    /// Notes that a program ended; says whether its work had been called off, and gives the inputs
    /// that it was not told.
    pub(super) fn ended(&mut self, held: &Held) -> (bool, Vec<Held>) {
        let ours = self.busy.get(&held.command_id).is_some_and(|hand| hand.held == *held);
        let hand = if ours { self.busy.remove(&held.command_id) } else { None };
        hand.map(|hand| (hand.canceled, hand.untold)).unwrap_or_default()
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

/// What it takes to run an order's program, and where that is told more.
fn task(
    name: &str,
    worker: &Worker,
    isolation: &Isolation,
    order: Order,
) -> Result<(Task, Option<mpsc::Sender<Input>>), String> {
    let program = worker.programs.iter().find(|program| serves(program, &order.agent));
    let program = program
        .cloned()
        .ok_or_else(|| format!("the worker `{name}` has no program for this agent"))?;
    let policy = order.terms.policy.as_ref();
    if let Some(unmet) = policy.and_then(|policy| isolation.means.enforces().unmet(policy)) {
        return Err(format!("the worker `{name}` cannot enforce {unmet}"));
    }
    let context = isolation.context(worker, &program, &order)?;
    let Cell { argv, is_apart, dir, instead } =
        isolation.cell(worker, &program, policy, context.path())?;
    let asked = order.terms.timeout_ms.map_or(program.timeout, Duration::from_millis);
    let patience =
        ProgramTimeouts { timeout: program.timeout.min(asked), grace: worker.cancel_grace };
    let (mouth, ear) = if program.interactive || policy.is_some_and(|policy| policy.interactive) {
        let (ear, inputs) = mpsc::channel(INPUTS_WAITING);
        (StdinMode::Lines(inputs), Some(ear))
    } else {
        (StdinMode::Plain, None)
    };
    let keeper = isolation.keeper.clone();
    let register = Arc::clone(&isolation.register);
    let task = Task {
        program,
        argv,
        is_apart,
        dir,
        context,
        instead,
        keeper,
        register,
        order,
        patience,
        mouth,
    };
    Ok((task, ear))
}

fn span_of(order: &Order) -> Span {
    let Order { run_id, attempt, .. } = order;
    tracing::info_span!("program", run = %run_id, attempt, outcome = Empty)
}

fn serves(program: &Program, agent: &Served) -> bool {
    program.agent.name == agent.name && program.agent.scope.workspace_id() == agent.workspace_id
}
